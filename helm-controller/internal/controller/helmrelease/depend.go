// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/runtime/conditions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/cel"
	"github.com/weir-gitops/weir/pkg/depend"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// attempt is what dependencies are asked about once.
type attempt struct {
	generation int64
	digest     string
}

// expressions are the compiled expressions of the dependencies of a generation.
type expressions struct {
	generation int64
	programs   []*cel.Program
}

// checkDependencies waits until every dependency is ready, once for each chart
// and spec: one that falls ill later stops nothing. A dependency that turns ready
// wakes its dependents, so the requeue is a safety net.
func (c *Controller) checkDependencies(ctx context.Context, s *scope) error {
	these := attempt{s.obj.Generation, s.artifact.Digest}
	if s.memory.cleared == these {
		return nil
	}
	if len(s.obj.Spec.DependsOn) > 0 && !s.releasedBefore() {
		if err := s.compileDependencies(); err != nil {
			return reconcile.Stalled(helmv2.InvalidCELExpressionReason, err)
		}
		if err := c.awaitDependencies(ctx, s); err != nil {
			return err
		}
	}
	c.rings.Leave(s.owner())
	s.memory.cleared = these
	return nil
}

// releasedBefore reports whether the status says that this chart was released
// with this spec, and so that the dependencies were ready then. It matters after a
// restart.
func (s *scope) releasedBefore() bool {
	status := &s.obj.Status
	same := status.LastAttemptedRevision == s.artifact.Revision ||
		status.LastAttemptedRevisionDigest != "" && strings.HasSuffix(s.artifact.Revision, status.LastAttemptedRevisionDigest)
	return same && conditions.IsReady(s.obj) && status.ObservedGeneration == s.obj.Generation && s.memory.cleared == attempt{}
}

func (s *scope) compileDependencies() error {
	if have := s.memory.expressions; have != nil && have.generation == s.obj.Generation {
		return nil
	}
	list := s.obj.Spec.DependsOn
	programs, err := depend.Compile("spec.dependsOn", len(list), func(i int) string { return list[i].ReadyExpr })
	if err != nil {
		return err
	}
	s.memory.expressions = &expressions{s.obj.Generation, programs}
	return nil
}

func (c *Controller) awaitDependencies(ctx context.Context, s *scope) error {
	var waiting []error
	for i, d := range s.obj.Spec.DependsOn {
		key := depend.KeyOf(s.obj.Namespace, d)
		dep, err := c.readDependency(ctx, key)
		if apierrors.IsNotFound(err) {
			waiting = append(waiting, fmt.Errorf("dependency '%s' not found: there is no such HelmRelease; create it, or remove it from spec.dependsOn", key))
			continue
		}
		if err != nil {
			return reconcile.Wait(c.Options.RequeueDependency, helmv2.DependencyNotReadyReason, fmt.Errorf("read dependency '%s': %w", key, err))
		}
		if err := c.checkDependency(ctx, s, dep, s.memory.expressions.programs[i]); err != nil {
			waiting = append(waiting, fmt.Errorf("dependency '%s' is not ready%w", key, err))
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	if cycle := c.findCycle(ctx, s.obj); len(cycle) > 0 {
		return reconcile.Stalled(helmv2.DependencyCycleReason,
			fmt.Errorf("dependency cycle: %s; remove one of these from spec.dependsOn", depend.Describe(cycle)))
	}
	return reconcile.Wait(c.Options.RequeueDependency, helmv2.DependencyNotReadyReason, depend.NotReady(waiting))
}

// readDependency reads from the cache, and what is not there live: the cache may
// hold one shard only, or lag behind.
func (c *Controller) readDependency(ctx context.Context, key types.NamespacedName) (*helmv2.HelmRelease, error) {
	dep := &helmv2.HelmRelease{}
	err := c.Client.Get(ctx, key, dep)
	if apierrors.IsNotFound(err) {
		err = c.Live.Get(ctx, key, dep)
	}
	return dep, err
}

// checkDependency returns why a HelmRelease is not ready, as the end of a
// sentence, or nil. An expression takes the place of the rule, unless the options
// ask for both.
func (c *Controller) checkDependency(ctx context.Context, s *scope, dep *helmv2.HelmRelease, expr *cel.Program) error {
	if expr == nil || c.Options.AdditiveDependencyCheck {
		if why := dependencyUnready(s.obj, dep); why != "" {
			return errors.New(why)
		}
	}
	if expr == nil {
		return nil
	}
	self, err := content(s.obj)
	if err != nil {
		return err
	}
	other, err := content(dep)
	if err != nil {
		return err
	}
	return depend.Evaluate(ctx, expr, self, other)
}

// dependencyUnready returns "" if a dependency is ready, and else what is
// missing. One that is only planned lets none go on but what is planned itself.
func dependencyUnready(obj, dep *helmv2.HelmRelease) string {
	switch {
	case dep.Status.ObservedGeneration != dep.Generation, !conditions.IsReady(dep):
		return depend.Unready(dep)
	case planOnly(dep) && !planOnly(obj):
		return ": it is only planned (its spec.weir.mode is Plan), and nothing of it is applied"
	}
	return ""
}

// content is what expressions see of a HelmRelease.
func content(obj *helmv2.HelmRelease) (map[string]any, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf(": convert it for its expression: %w", err)
	}
	fields["apiVersion"], fields["kind"] = helmv2.GroupVersion.String(), helmv2.HelmReleaseKind
	return fields, nil
}

// findCycle returns a way from obj back to itself, or nil.
func (c *Controller) findCycle(ctx context.Context, obj *helmv2.HelmRelease) []types.NamespacedName {
	start := client.ObjectKeyFromObject(obj)
	return c.rings.Find(start, func() func(types.NamespacedName) []types.NamespacedName {
		list := &helmv2.HelmReleaseList{}
		if err := c.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list HelmReleases, to look for a cycle")
		}
		next := map[types.NamespacedName][]types.NamespacedName{}
		for i := range list.Items {
			next[client.ObjectKeyFromObject(&list.Items[i])] = dependenciesOf(&list.Items[i])
		}
		next[start] = dependenciesOf(obj)
		return func(key types.NamespacedName) []types.NamespacedName { return next[key] }
	}, c.waker.Wake)
}

func dependenciesOf(obj *helmv2.HelmRelease) []types.NamespacedName {
	keys := make([]types.NamespacedName, len(obj.Spec.DependsOn))
	for i, d := range obj.Spec.DependsOn {
		keys[i] = depend.KeyOf(obj.Namespace, d)
	}
	return keys
}

// wakeDependents is told of every change of a HelmRelease and wakes those for
// whom it may be what they wait for: dependents when it appears or turns ready,
// dependents with an expression whatever it was, and those in a cycle when any
// spec is another one.
func (c *Controller) wakeDependents() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				c.wakeBy(ctx, q, byDependency, e.Object)
				c.wakeCycles(q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if becameReady(e.ObjectOld, e.ObjectNew) {
				c.wakeBy(ctx, q, byDependency, e.ObjectNew)
			} else if e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() {
				c.wakeBy(ctx, q, byExpression, e.ObjectNew)
			}
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				c.wakeCycles(q)
			}
		},
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { c.wakeCycles(q) },
	}
}

func (c *Controller) wakeBy(ctx context.Context, q queue, index string, obj client.Object) {
	for _, request := range c.indexed(ctx, index, client.ObjectKeyFromObject(obj).String()) {
		q.Add(request)
	}
}

func (c *Controller) wakeCycles(q queue) {
	for _, name := range c.rings.Members() {
		q.Add(ctrl.Request{NamespacedName: name})
	}
}

// becameReady reports whether a HelmRelease is ready as it was not before.
func becameReady(before, after client.Object) bool {
	old, wasOne := before.(*helmv2.HelmRelease)
	now, isOne := after.(*helmv2.HelmRelease)
	return wasOne && isOne && conditions.IsReady(now) && now.Status.ObservedGeneration == now.Generation &&
		(!conditions.IsReady(old) || old.Status.ObservedGeneration != now.Status.ObservedGeneration)
}

// dependencyKeys are the HelmReleases in spec.dependsOn.
func dependencyKeys(obj client.Object) []string {
	return keysOfDependencies(obj, func(meta.DependencyReference) bool { return true })
}

// expressionKeys are those of them that are judged by an expression.
func expressionKeys(obj client.Object) []string {
	return keysOfDependencies(obj, func(d meta.DependencyReference) bool { return d.ReadyExpr != "" })
}

func keysOfDependencies(obj client.Object, which func(meta.DependencyReference) bool) []string {
	hr, ok := obj.(*helmv2.HelmRelease)
	if !ok {
		return nil
	}
	var keys []string
	for _, d := range hr.Spec.DependsOn {
		if which(d) {
			keys = append(keys, depend.KeyOf(hr.Namespace, d).String())
		}
	}
	return keys
}
