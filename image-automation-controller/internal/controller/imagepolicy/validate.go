// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"context"
	"errors"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// errNoInterval is also what the definition of the kind refuses.
var errNoInterval = errors.New("spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'")

// validate stalls what no retry can help and fills policy.
func (c *Controller) validate(_ context.Context, s *scope) (err error) {
	spec := &s.obj.Spec
	if s.policy, err = policy.CompileFlux(spec.Policy, spec.FilterTags); err != nil {
		return s.lost(reconcile.Stalled(imagev1.InvalidPolicyReason, err))
	}
	if s.obj.GetDigestReflectionPolicy() == imagev1.ReflectAlways && spec.Interval == nil {
		return reconcile.Stalled(imagev1.IntervalNotConfiguredReason, errNoInterval)
	}
	return nil
}

// announce shows that there is something new to work on.
func (c *Controller) announce(_ context.Context, s *scope) error {
	reconcile.Announce(s.obj, s.obj.Status.ObservedGeneration, s.requested)
	return nil
}

// lost takes back what was picked, since nothing says any more that it is
// right, and passes err on. What was picked before goes too, so that the next
// pick is no update of anything.
func (s *scope) lost(err error) error {
	s.obj.Status.LatestRef, s.obj.Status.ObservedPreviousRef = nil, nil
	return err
}
