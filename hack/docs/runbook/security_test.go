// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"errors"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// locking are what happens around the commands of docs/security.md.
func locking() map[string]deed {
	return map[string]deed{
		"-k bootstrap/locked-down": {
			before: func(t *testing.T, w *world) { w.administers(t, true) },
			after: func(t *testing.T, w *world, _ string) {
				w.administers(t, false)
				// The pages that follow are about the default installation.
				w.run(t, "kubectl apply --server-side --force-conflicts -k bootstrap")
				w.administers(t, true)
			},
		},
	}
}

// administers waits until kustomize-controller may do everything, or may not.
func (w *world) administers(t *testing.T, want bool) {
	t.Helper()
	w.await(t, "the rights of kustomize-controller", func(ctx context.Context) error {
		review, err := w.core.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User:               "system:serviceaccount:weir-system:kustomize-controller",
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "*", Group: "*", Resource: "*"},
			},
		}, metav1.CreateOptions{})
		if err == nil && review.Status.Allowed != want {
			err = errors.New("they are others than wanted")
		}
		return err
	})
}
