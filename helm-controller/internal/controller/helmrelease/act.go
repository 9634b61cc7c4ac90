// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// errStalled says that the step is one that no retry helps.
var errStalled = errors.New("no retry can help")

// act begins the action that is due. It never waits for one.
func (c *Controller) act(ctx context.Context, s *scope) error {
	switch {
	case s.step.Stalled != nil:
		return errStalled
	case s.memory.failure != nil && s.now.Before(s.memory.retryAt):
		return wait(s.memory, s.now)
	case s.step.Action == state.None && s.step.Retry > 0:
		return s.retryLater()
	case s.step.Action == state.None:
		return nil
	}
	post, err := postrender.New(c.defaulted(s.obj))
	if err != nil {
		return reconcile.Stalled(helmv2.UnsupportedFieldReason, err)
	}
	return c.start(ctx, s, post)
}

// start writes down what is begun, and begins it: after a crash the status says
// whose revision is found in Helm's storage.
func (c *Controller) start(ctx context.Context, s *scope, post *postrender.Chain) error {
	step := s.step
	state.Begin(s.obj, step, s.now)
	state.ForceHandled(s.obj)
	s.memory.running, s.memory.trigger = &step, ""
	s.showRunning()
	if err := s.patcher.Status(ctx); err != nil {
		s.memory.running = nil
		return fmt.Errorf("write down what is begun: %w", err)
	}
	if !c.Runner.Start(c.job(ctx, s, post)) {
		s.memory.running = nil
		return progress(connectAgain, step.Message())
	}
	ctrl.LoggerFrom(ctx).Info("begin", "action", step.Action, "release", step.Target.Namespace+"/"+step.Target.Name, "because", step.Reason)
	return errRunning
}

// job describes the action of the step.
func (c *Controller) job(ctx context.Context, s *scope, post *postrender.Chain) *helm.Job {
	obj := c.defaulted(s.obj)
	store, client, namespace := c.Stores.of(s.target.Remote()), s.client.Dynamic, s.step.Target.StorageNamespace
	job := &helm.Job{
		Owner: s.owner(), UID: s.obj.UID,
		Step: s.step, Object: obj, Chart: s.chart, Values: s.values, Post: post,
		Records: func(ctx context.Context) *storage.Records { return store.For(ctx, client, namespace) },
		Kube: kube.Options{
			Client: s.client,
			Config: s.target.Tenants.Config(s.obj.Namespace, s.account),
			Engine: s.target.Engine,
			Checks: s.checks,
			Ignore: s.rules,
			Legacy: obj.GetWaitStrategy() == helmv2.WaitStrategyLegacy,
			Log:    ctrl.LoggerFrom(ctx).WithName("helm"),
		},
		Schemas: c.Schemas,
		Redact:  s.secrets,
	}
	if s.target.Gate != nil && (s.step.Action == state.Install || s.step.Action == state.Upgrade) {
		s.memory.gated = &gated{}
		job.Gate = c.gate(s, obj)
	}
	return job
}

// defaulted returns a copy of a HelmRelease in which the defaults stand that the
// options ask for.
func (c *Controller) defaulted(obj *helmv2.HelmRelease) *helmv2.HelmRelease {
	obj = obj.DeepCopy()
	if !c.Options.Helm3Defaults {
		return obj
	}
	if obj.Spec.Install == nil {
		obj.Spec.Install = &helmv2.Install{}
	}
	if obj.Spec.Install.ServerSideApply == nil {
		obj.Spec.Install.ServerSideApply = new(bool)
	}
	if obj.Spec.WaitStrategy == nil {
		obj.Spec.WaitStrategy = &helmv2.WaitStrategy{Name: helmv2.WaitStrategyLegacy}
	}
	if obj.Spec.PostRenderStrategy == "" {
		obj.Spec.PostRenderStrategy = helmv2.PostRenderStrategyNoHooks
	}
	return obj
}

// settle is for a release that is as it is wanted.
func (c *Controller) settle(_ context.Context, s *scope) error {
	s.memory.begin()
	state.ForceHandled(s.obj)
	return s.driftErr
}
