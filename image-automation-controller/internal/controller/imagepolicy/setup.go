// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"context"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// byRepository is the index of policies by their ImageRepository.
const byRepository = "spec.imageRepositoryRef"

// SetupWithManager registers the controller, its index and its watches.
func (c *Controller) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &imagev1.ImagePolicy{}, byRepository, repositoryKeys); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("imagepolicy").
		For(&imagev1.ImagePolicy{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}, reconcile.Restored()))).
		Watches(&imagev1.ImageRepository{}, handler.EnqueueRequestsFromMapFunc(c.ofRepository), builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, scanned()))).
		WatchesRawSource(c.Waker.Source()).
		WithOptions(options).
		Complete(c)
}

// scanned passes ImageRepositories that have other tags than before, or that
// have become ready.
func scanned() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*imagev1.ImageRepository)
		now, both := e.ObjectNew.(*imagev1.ImageRepository)
		return ok && both && (revision(before) != revision(now) || !conditions.IsReady(before) && conditions.IsReady(now))
	}}
}

func revision(repo *imagev1.ImageRepository) string {
	if repo.Status.LastScanResult == nil {
		return ""
	}
	return repo.Status.CanonicalImageName + "@" + repo.Status.LastScanResult.Revision
}

func repositoryKeys(obj client.Object) []string {
	p, ok := obj.(*imagev1.ImagePolicy)
	if !ok {
		return nil
	}
	return []string{repository(p).String()}
}

// ofRepository returns the policies that refer to an ImageRepository.
func (c *Controller) ofRepository(ctx context.Context, obj client.Object) []ctrl.Request {
	var list imagev1.ImagePolicyList
	if err := c.Client.List(ctx, &list, client.MatchingFields{byRepository: client.ObjectKeyFromObject(obj).String()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the ImagePolicies of an ImageRepository")
		return nil
	}
	requests := make([]ctrl.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}
