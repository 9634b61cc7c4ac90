// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"fmt"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// plannedFor is what a plan was made for.
type plannedFor struct {
	generation int64
	revision   string
}

// planOnly reports whether a HelmRelease shows what it would do and does nothing.
func planOnly(obj *helmv2.HelmRelease) bool {
	return obj.Spec.Weir != nil && obj.Spec.Weir.Mode == meta.ModePlan
}

// planOf returns the plan that the status holds, or nil.
func planOf(obj *helmv2.HelmRelease) *meta.Plan {
	if obj.Status.Weir == nil {
		return nil
	}
	return obj.Status.Weir.Plan
}

// applying leaves a phase out of reconciles that only plan.
func applying(phase reconcile.Phase[*scope]) reconcile.Phase[*scope] {
	return func(ctx context.Context, s *scope) error {
		if planOnly(s.obj) {
			return nil
		}
		return phase(ctx, s)
	}
}

// plan writes down what an install or upgrade would change, and changes nothing.
// It is made anew for another chart, spec or values, on request, and at every
// interval.
func (c *Controller) plan(ctx context.Context, s *scope) error {
	if !planOnly(s.obj) {
		return nil
	}
	s.forgetDrift()
	conditions.Delete(s.obj, helmv2.DriftedCondition)
	these := plannedFor{s.obj.Generation, revisionOf(s.want)}
	if s.memory.planned == these && planOf(s.obj) != nil && !s.requested && s.now.Before(s.memory.next) {
		return nil
	}
	s.memory.planned = plannedFor{}
	plan, err := c.makePlan(ctx, s)
	if err != nil {
		s.weir().Plan = nil
		return err
	}
	s.memory.planned = these
	if !equality.Semantic.DeepEqual(plan, planOf(s.obj)) {
		s.weir().Plan = plan
		c.event(s, corev1.EventTypeNormal, helmv2.PlannedReason, apply.DescribePlan(plan))
	}
	return nil
}

func (c *Controller) makePlan(ctx context.Context, s *scope) (*meta.Plan, error) {
	post, err := postrender.New(c.defaulted(s.obj))
	if err != nil {
		return nil, reconcile.Stalled(helmv2.UnsupportedFieldReason, err)
	}
	s.step = state.Step{Target: s.want.Target}
	bound, cancel := context.WithTimeout(ctx, s.obj.GetTimeout())
	defer cancel()
	before, after, err := c.Renderer.Render(bound, c.job(bound, s, post))
	if err != nil {
		return nil, reconcile.Fail(fluxmeta.ReconciliationFailedReason, fmt.Errorf("render the chart: %w", err))
	}
	if after, err = s.withNamespace(bound, after); err != nil {
		return nil, reconcile.Fail(fluxmeta.ReconciliationFailedReason, err)
	}
	set := s.target.Engine.Set(s.owner(), s.obj.UID)
	desired, err := apply.Prepare(after, s.owner(), kube.Labels(), kube.Keys())
	if err != nil {
		return nil, reconcile.Fail(fluxmeta.ReconciliationFailedReason, err)
	}
	differences, err := s.target.Engine.Plan(bound, set, desired, apply.Options{Client: s.client})
	if err != nil {
		return nil, reconcile.Fail(fluxmeta.ReconciliationFailedReason, err)
	}
	stale := inventoryOf(before).Minus(inventoryOf(after))
	doomed, err := s.target.Engine.Doomed(bound, stale, apply.PruneOptions{Client: s.client, Owner: s.owner()})
	if err != nil {
		return nil, reconcile.Fail(fluxmeta.ReconciliationFailedReason, err)
	}
	return apply.NewPlan(revisionOf(s.want), differences, doomed), nil
}

// withNamespace adds the namespace to the objects that an install would create
// first.
func (s *scope) withNamespace(ctx context.Context, objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	if !s.obj.GetInstall().CreateNamespace {
		return objects, nil
	}
	ref := inventory.Ref{Kind: "Namespace", Name: s.want.Target.Namespace}
	if _, err := s.client.Get(ctx, ref, "v1"); !apierrors.IsNotFound(err) {
		return objects, client.IgnoreNotFound(err)
	}
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind(ref.Kind)
	namespace.SetName(ref.Name)
	return append([]*unstructured.Unstructured{namespace}, objects...), nil
}

func inventoryOf(objects []*unstructured.Unstructured) inventory.Inventory {
	inv := make(inventory.Inventory, len(objects))
	for _, obj := range objects {
		inv[inventory.RefOf(obj)] = obj.GroupVersionKind().Version
	}
	return inv
}
