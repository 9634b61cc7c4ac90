// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/health"
)

// Explain replaces what a queued object says of itself by what the queue says
// of it: the Workload that Kueue keeps for it knows what is missing, and
// whether it was taken out of the queue for good, which makes it Failed. Where
// there is no such Workload, or the client may not see it, the object stays as
// it is.
func (c *Client) Explain(ctx context.Context, queued Ailing) (Ailing, error) {
	workload, err := c.workload(ctx, queued)
	if err != nil || workload == nil {
		return queued, err
	}
	said := health.Of(workload)
	if said.Status == health.Queued {
		queued.Health.Message = said.Message
	}
	if said.Status == health.Failed {
		queued.Health.Status = health.Failed
		queued.Health.Message = "its Workload " + workload.GetName() + " has failed: " + said.Message
	}
	return queued, nil
}

// workload finds the latest Workload of an object, or nil.
func (c *Client) workload(ctx context.Context, queued Ailing) (*unstructured.Unstructured, error) {
	if queued.UID == "" || queued.Ref.Namespace == "" {
		return nil, nil
	}
	mapping, err := c.Mapper.RESTMapping(health.Workload)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the resource of %s: %w", health.Workload, err)
	}
	list, err := c.Dynamic.Resource(mapping.Resource).Namespace(queued.Ref.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: health.WorkloadOwnerLabel + "=" + string(queued.UID),
	})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the Workload of %s: %w", queued.Ref, err)
	}
	if len(list.Items) == 0 {
		return nil, nil
	}
	latest := slices.MaxFunc(list.Items, func(a, b unstructured.Unstructured) int {
		at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		if order := at.Compare(bt.Time); order != 0 {
			return order
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
	return &latest, nil
}
