// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Uninstalling reports whether Weir itself is on its way out: the definition of
// a kind of ours, or the namespace that the controller runs in, is gone or is
// being deleted. Then objects of ours are deleted by the hundred, and not one
// workload may follow. An empty namespace is not looked at.
func Uninstalling(ctx context.Context, live client.Reader, definition, namespace string) (bool, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	err := live.Get(ctx, client.ObjectKey{Name: definition}, crd)
	if apierrors.IsNotFound(err) || err == nil && !crd.DeletionTimestamp.IsZero() {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("nothing is pruned before it is known whether Weir is being uninstalled: %w", err)
	}
	if namespace == "" {
		return false, nil
	}
	ns := &corev1.Namespace{}
	err = live.Get(ctx, client.ObjectKey{Name: namespace}, ns)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("nothing is pruned before it is known whether Weir is being uninstalled: %w", err)
	}
	return apierrors.IsNotFound(err) || !ns.DeletionTimestamp.IsZero(), nil
}
