// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Client returns what acts on the cluster as a service account of the given
// namespace, or as the controller if account is empty.
func (c *Cluster) Client(namespace, account string) (*apply.Client, error) {
	if account != "" && c.Acts() {
		return nil, fmt.Errorf("spec.kubeConfig: the kubeconfig impersonates somebody, and so does the service account %q; remove one of the two", account)
	}
	return c.Tenants.For(namespace, account)
}

// Reaching calls work with a context that ends when the cluster goes. If it has
// gone, away is why, and takes the place of what went wrong on account of it.
func (c *Cluster) Reaching(ctx context.Context, work func(context.Context) error) (err, away error) {
	bound, done := c.Bound(ctx)
	defer done()
	if err = work(bound); err == nil {
		return nil, nil
	}
	return err, c.Verdict(ctx)
}

// AccountGone reports whether a service account is known not to exist on the
// cluster. Live reads the cluster that the controller runs in.
func (c *Cluster) AccountGone(ctx context.Context, live client.Reader, namespace, name string) (bool, error) {
	if !c.Remote() {
		err := live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.ServiceAccount{})
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	reader, err := c.Tenants.For("", "")
	if err != nil {
		return false, err
	}
	_, err = reader.Get(ctx, inventory.Ref{Namespace: namespace, Name: name, Kind: "ServiceAccount"}, "v1")
	if apierrors.IsForbidden(err) {
		return false, nil // then the deletion itself has to show
	}
	return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
}
