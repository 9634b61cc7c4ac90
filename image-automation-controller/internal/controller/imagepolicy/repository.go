// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"context"
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/apis/acl"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// errNotScanned goes away when the ImageRepository has seen its registry,
// which wakes the policy.
var errNotScanned = errors.New("referenced ImageRepository has not been scanned yet")

// findRepository fills repo, if the policy may see it.
func (c *Controller) findRepository(ctx context.Context, s *scope) error {
	failed := func(reason string, err error) error {
		return reconcile.Fail(reason, fmt.Errorf("failed to get the referred ImageRepository: %w", err))
	}
	name := repository(s.obj)
	if c.Options.NoCrossNamespaceRefs && name.Namespace != s.obj.Namespace {
		return s.lost(failed(imagev1.AccessDeniedReason,
			fmt.Errorf("cannot access '%s/%s', cross-namespace references have been blocked", imagev1.ImageRepositoryKind, name)))
	}
	repo := &imagev1.ImageRepository{}
	err := c.Client.Get(ctx, name, repo)
	if apierrors.IsNotFound(err) {
		return s.lost(failed(imagev1.DependencyNotReadyReason, fmt.Errorf("referenced %s does not exist: %w", imagev1.ImageRepositoryKind, err)))
	}
	if err != nil {
		return failed(metav1.StatusFailure, err)
	}
	denied, err := c.denied(ctx, s.obj.Namespace, repo)
	switch {
	case err != nil:
		return failed(metav1.StatusFailure, err)
	case denied != nil:
		// Namespaces are not watched, so this is tried again.
		return s.lost(failed(imagev1.AccessDeniedReason, fmt.Errorf("access denied: %w", denied)))
	case repo.Status.LastScanResult == nil:
		return reconcile.Wait(0, imagev1.DependencyNotReadyReason, errNotScanned)
	}
	s.repo = repo
	return nil
}

// denied returns why objects of a namespace may not see repo, or nil.
func (c *Controller) denied(ctx context.Context, namespace string, repo *imagev1.ImageRepository) (denied, err error) {
	if repo.Namespace == namespace {
		return nil, nil
	}
	from := &corev1.Namespace{}
	if repo.Spec.AccessFrom != nil {
		if err := c.Live.Get(ctx, client.ObjectKey{Name: namespace}, from); err != nil {
			return nil, err
		}
	}
	return mayAccess(repo, from), nil
}

// mayAccess returns why objects of another namespace may not see repo, or nil.
func mayAccess(repo *imagev1.ImageRepository, from *corev1.Namespace) error {
	if repo.Spec.AccessFrom == nil {
		return fmt.Errorf("'%s/%s' can't be accessed due to missing ACL labels on 'accessFrom'", repo.Namespace, repo.Name)
	}
	for _, selector := range repo.Spec.AccessFrom.NamespaceSelectors {
		if matches(selector, from.Labels) {
			return nil
		}
	}
	return fmt.Errorf("'%s/%s' can't be accessed due to ACL labels mismatch on namespace '%s'", repo.Namespace, repo.Name, from.Name)
}

// matches reports whether labels meet a selector. An empty one is met by all.
func matches(selector acl.NamespaceSelector, of map[string]string) bool {
	compiled, err := labels.ValidatedSelectorFromSet(selector.MatchLabels)
	return err == nil && compiled.Matches(labels.Set(of))
}
