// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/cel"
	"github.com/weir-gitops/weir/pkg/depend"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// checkObjects looks at spec.weir.dependsOn. Each object is read as the tenant
// whenever it is looked at; only one that the tenant may read is watched, with
// the controller's own rights, until all are ready.
func (c *Controller) checkObjects(ctx context.Context, s *scope) error {
	var waiting []error
	var awaited []watch.Awaited
	circular := false
	for i, d := range objectDependencies(s.obj) {
		found, err := c.checkObject(ctx, s, d, s.memory.expressions.objects[i])
		if err == nil {
			continue
		}
		waiting = append(waiting, err)
		if found != nil {
			awaited = append(awaited, *found)
			circular = circular || isKustomization(d)
		}
	}
	c.Lookout.Await(s.owner(), awaited...)
	switch {
	case len(waiting) == 0:
		return nil
	case circular:
		return c.notReady(ctx, s, waiting)
	}
	return c.wait(waiting)
}

// checkObject returns why an object is not ready, and what to watch for that
// to change: nothing unless the tenant may read it.
func (c *Controller) checkObject(ctx context.Context, s *scope, d kustomizev1.ObjectDependency, expr *cel.Program) (*watch.Awaited, error) {
	gvk := schema.FromAPIVersionAndKind(d.APIVersion, d.Kind)
	name := types.NamespacedName{Namespace: cmp.Or(d.Namespace, s.obj.Namespace), Name: d.Name}
	ref, err := s.local.Locate(gvk, name)
	if apimeta.IsNoMatchError(err) {
		return nil, fmt.Errorf("dependency %s/%s not found: the cluster has no kind %s in %s; install its CustomResourceDefinition, or remove it from spec.weir.dependsOn",
			d.Kind, name, d.Kind, d.APIVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("dependency %s/%s: find its resource: %w", d.Kind, name, err)
	}
	live, err := s.local.Get(ctx, ref, gvk.Version)
	awaited := awaitedObject(gvk, ref, live, expr)
	switch {
	case apierrors.IsNotFound(err):
		awaited.Live = nil
		return awaited, c.checkMissing(ctx, ref, expr)
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("dependency %s cannot be read: %w; give that right to the service account, or remove the object from spec.weir.dependsOn", ref, err)
	case err != nil:
		return nil, fmt.Errorf("read dependency %s: %w", ref, err)
	}
	if err := c.checkLive(ctx, s, d, live, expr); err != nil {
		return awaited, fmt.Errorf("dependency %s%w", ref, err)
	}
	return awaited, nil
}

// checkLive returns why a live object is not ready, as the end of a sentence,
// or nil.
func (c *Controller) checkLive(ctx context.Context, s *scope, d kustomizev1.ObjectDependency, live *unstructured.Unstructured, expr *cel.Program) error {
	if expr == nil || c.Options.AdditiveDependencyCheck {
		if err := judge(s, d, live); err != nil {
			return err
		}
	}
	if expr == nil {
		return nil
	}
	if err := s.evaluate(ctx, expr, depend.Content(live)); err != nil {
		return fmt.Errorf(" is not ready%w", err)
	}
	return nil
}

// judge is the rule for objects without an expression. Kustomizations have the
// one of spec.dependsOn.
func judge(s *scope, d kustomizev1.ObjectDependency, live *unstructured.Unstructured) error {
	if isKustomization(d) {
		dep := &kustomizev1.Kustomization{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, dep); err != nil {
			return fmt.Errorf(" is not ready: read its fields: %w", err)
		}
		if why := unready(s, dep); why != "" {
			return errors.New(" is not ready" + why)
		}
		return nil
	}
	switch state, why := depend.Judge(live); state {
	case depend.Ready:
		return nil
	case depend.Failed:
		return errors.New(" has failed: " + why)
	default:
		return errors.New(" is not ready: " + why)
	}
}

// awaitedObject is what to watch of an object. An expression can look at any
// field, and a Kustomization is also waited for because of its revision.
func awaitedObject(gvk schema.GroupVersionKind, ref inventory.Ref, live *unstructured.Unstructured, expr *cel.Program) *watch.Awaited {
	awaited := &watch.Awaited{
		GVK:            gvk,
		NamespacedName: types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name},
		Live:           live,
		View:           "readiness",
		State: func(obj *unstructured.Unstructured) string {
			state, _ := depend.Judge(obj)
			return string(state)
		},
	}
	if expr != nil || gvk.Group == kustomizev1.GroupVersion.Group {
		awaited.View, awaited.State = "version", (*unstructured.Unstructured).GetResourceVersion
	}
	return awaited
}

// checkMissing decides on an object that does not exist. One that runs to
// completion may have done so, and been removed since: whoever applied it has
// recorded that.
func (c *Controller) checkMissing(ctx context.Context, ref inventory.Ref, expr *cel.Program) error {
	const wayOut = "create it, or remove it from spec.weir.dependsOn"
	if !health.RunsToCompletion(ref.GroupKind()) {
		return fmt.Errorf("dependency %s not found; %s", ref, wayOut)
	}
	record, err := c.completedJob(ctx, ref)
	switch {
	case err != nil:
		return fmt.Errorf("dependency %s not found, and it is not known whether it ran to completion: %w", ref, err)
	case record == nil:
		return fmt.Errorf("dependency %s not found, and no Kustomization has recorded that it ran to completion; %s", ref, wayOut)
	case !record.Succeeded:
		return fmt.Errorf("dependency %s failed before it was removed", ref)
	case expr != nil:
		return fmt.Errorf("dependency %s not found: it succeeded and was removed, and its readyExpr has nothing to look at; remove the expression", ref)
	}
	return nil
}

// completedJob returns what a Kustomization of this cluster has recorded of an
// object that ran to completion, or nil.
func (c *Controller) completedJob(ctx context.Context, ref inventory.Ref) (*kustomizev1.CompletedJob, error) {
	list := &kustomizev1.KustomizationList{}
	// The list is only read, and inventories are large.
	if err := c.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return latestRecord(list.Items, ref.ID()), nil
}

// latestRecord returns the record of an object that is the last one, or nil.
// What was applied to other clusters does not count.
func latestRecord(all []kustomizev1.Kustomization, id string) *kustomizev1.CompletedJob {
	var latest *kustomizev1.CompletedJob
	for i := range all {
		if all[i].Status.Weir == nil || all[i].Spec.KubeConfig != nil {
			continue
		}
		for j := range all[i].Status.Weir.CompletedJobs {
			job := &all[i].Status.Weir.CompletedJobs[j]
			if job.ID == id && (latest == nil || latest.FinishedAt.Before(&job.FinishedAt)) {
				latest = job.DeepCopy()
			}
		}
	}
	return latest
}
