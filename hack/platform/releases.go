// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// HelmReleases is the kind of a released chart.
var HelmReleases = helmv2.GroupVersion.WithResource("helmreleases")

// HelmRelease returns one of the example's HelmReleases.
func (p *Platform) HelmRelease(ctx context.Context, name string) (*helmv2.HelmRelease, error) {
	object, err := p.client.Resource(HelmReleases).Namespace(PlatformNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	r := &helmv2.HelmRelease{}
	return r, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, r)
}

// Released returns nil if the chart and the values of a HelmRelease's spec are
// released, and otherwise why they are not.
func Released(r *helmv2.HelmRelease) error {
	ready := meta.FindStatusCondition(r.Status.Conditions, helmv2.ReadyCondition)
	switch {
	case ready == nil || ready.ObservedGeneration != r.Generation:
		return fmt.Errorf("the HelmRelease %s has not been reconciled", r.Name)
	case ready.Status != metav1.ConditionTrue:
		return fmt.Errorf("the HelmRelease %s is not ready: %s: %s", r.Name, ready.Reason, ready.Message)
	case len(r.Status.History) == 0:
		return fmt.Errorf("the HelmRelease %s has no history", r.Name)
	}
	return nil
}
