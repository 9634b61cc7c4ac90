// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"maps"

	"github.com/fluxcd/pkg/runtime/predicates"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	weirreconcile "github.com/weir-gitops/weir/pkg/reconcile"
)

// bySource is the index of automations by their GitRepository.
const bySource = "spec.sourceRef"

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller, its index and its watches.
func (c *Controller) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &imagev1.ImageUpdateAutomation{}, bySource, sourceKeys); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("imageupdateautomation").
		For(&imagev1.ImageUpdateAutomation{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}, weirreconcile.Restored(), answered()))).
		Watches(&sourcev1.GitRepository{}, handler.EnqueueRequestsFromMapFunc(c.bySource), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sourcev1.GitRepository{}, handler.EnqueueRequestsFromMapFunc(c.byCommit), builder.WithPredicates(committed())).
		Watches(&imagev1.ImagePolicy{}, c.wakeByPolicy(), builder.WithPredicates(policyChanged())).
		WatchesRawSource(c.Waker.Source()).
		WithOptions(options).
		Complete(c)
}

// answered passes automations whose annotations let candidates in.
func answered() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, now := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		return before[imagev1.ApproveAnnotation] != now[imagev1.ApproveAnnotation] ||
			before[imagev1.UnrejectAnnotation] != now[imagev1.UnrejectAnnotation]
	}}
}

// committed passes GitRepositories that have seen a new commit.
func committed() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*sourcev1.GitRepository)
			now, both := e.ObjectNew.(*sourcev1.GitRepository)
			return ok && both && revisionOf(before) != revisionOf(now)
		},
	}
}

func revisionOf(repo *sourcev1.GitRepository) string {
	if repo.Status.Artifact == nil {
		return ""
	}
	return repo.Status.Artifact.Revision
}

// policyChanged passes ImagePolicies that picked something else, or that
// another selector may match now.
func policyChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*imagev1.ImagePolicy)
		now, both := e.ObjectNew.(*imagev1.ImagePolicy)
		if !ok || !both {
			return false
		}
		return !maps.Equal(before.Labels, now.Labels) || !sameRef(before.Status.LatestRef, now.Status.LatestRef)
	}}
}

func sameRef(a, b *imagev1.ImageRef) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func sourceKeys(obj client.Object) []string {
	a, ok := obj.(*imagev1.ImageUpdateAutomation)
	if !ok {
		return nil
	}
	return []string{sourceName(a).String()}
}

// sourceName is the GitRepository of an automation.
func sourceName(a *imagev1.ImageUpdateAutomation) types.NamespacedName {
	name := types.NamespacedName{Namespace: a.Spec.SourceRef.Namespace, Name: a.Spec.SourceRef.Name}
	if name.Namespace == "" {
		name.Namespace = a.Namespace
	}
	return name
}

func (c *Controller) bySource(ctx context.Context, obj client.Object) []reconcile.Request {
	return c.list(ctx, nil, client.MatchingFields{bySource: client.ObjectKeyFromObject(obj).String()})
}

// byCommit wakes automations with spec.weir: a revert shows in their status at
// once. Those without run at their interval, as in Flux.
func (c *Controller) byCommit(ctx context.Context, obj client.Object) []reconcile.Request {
	return c.list(ctx, func(a *imagev1.ImageUpdateAutomation) bool { return a.Spec.Weir != nil },
		client.MatchingFields{bySource: client.ObjectKeyFromObject(obj).String()})
}

// list returns the automations that match.
func (c *Controller) list(ctx context.Context, matches func(*imagev1.ImageUpdateAutomation) bool, options ...client.ListOption) []reconcile.Request {
	var list imagev1.ImageUpdateAutomationList
	if err := c.Client.List(ctx, &list, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list ImageUpdateAutomations")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if matches == nil || matches(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

// wakeByPolicy puts automations that follow an ImagePolicy into the queue,
// each after the delay that it asks for. The first of several changes within
// that time counts: the others are committed with it.
func (c *Controller) wakeByPolicy() handler.EventHandler {
	wake := func(ctx context.Context, policies []client.Object, q queue) {
		if len(policies) == 0 {
			return
		}
		var list imagev1.ImageUpdateAutomationList
		if err := c.Client.List(ctx, &list, client.InNamespace(policies[0].GetNamespace())); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list ImageUpdateAutomations of a policy")
			return
		}
		for i := range list.Items {
			a := &list.Items[i]
			for _, policy := range policies {
				if follows(a, policy.GetLabels()) {
					q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(a)}, a.GetPolicyChangeDelay())
					break
				}
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { wake(ctx, []client.Object{e.Object}, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			wake(ctx, []client.Object{e.ObjectOld, e.ObjectNew}, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { wake(ctx, []client.Object{e.Object}, q) },
	}
}

// follows reports whether an automation follows an ImagePolicy of its
// namespace with those labels.
func follows(a *imagev1.ImageUpdateAutomation, of map[string]string) bool {
	selector, err := selectorOf(a)
	return err == nil && selector.Matches(labels.Set(of))
}

// selectorOf selects the ImagePolicies that an automation follows.
func selectorOf(a *imagev1.ImageUpdateAutomation) (labels.Selector, error) {
	switch {
	case a.Spec.PolicySelector != nil:
		return metav1.LabelSelectorAsSelector(a.Spec.PolicySelector)
	case a.Spec.Weir != nil && len(a.Spec.Weir.Images) > 0:
		return labels.Nothing(), nil
	}
	return labels.Everything(), nil
}
