// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// connectAgain is when to look again at a cluster that has not answered yet, or
// on which too many are at work. What is waited for comes sooner.
const connectAgain = 30 * time.Second

// errCrowded says that as many Kustomizations as may are at work on remote
// clusters. Nothing of that is shown: another one will be done in a moment.
var errCrowded = errors.New("too many Kustomizations are at work on remote clusters")

// connect finds the cluster to apply to, and the clients that act there and
// here as the tenant. A remote cluster that is away fails the reconcile before
// it asks for anything.
func (c *Controller) connect(ctx context.Context, s *scope) error {
	target, err := c.Clusters.Use(ctx, cluster.User{UID: s.obj.UID, Owner: s.owner()}, s.obj.Spec.KubeConfig)
	if errors.Is(err, cluster.ErrProvider) {
		return reconcile.Stalled(kustomizev1.UnsupportedFieldReason, err)
	}
	if err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	s.target = target
	if err := target.Await(ctx); errors.Is(err, cluster.ErrConnecting) {
		return reconcile.Progress(connectAgain, kustomizev1.ProgressingReason, fmt.Errorf("Connecting to the cluster at %s", target.Name)) //nolint:staticcheck // a message of a condition, not an error
	} else if err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	if s.leave = c.Clusters.Enter(target, s.owner()); s.leave == nil {
		return errCrowded
	}
	if err := c.impersonate(s); err != nil {
		return reconcile.Fail(kustomizev1.ReconciliationFailedReason, err)
	}
	s.engine = target.Engine
	s.set = s.engine.Set(s.owner(), s.obj.UID)
	s.moved = moved(s.obj, target.Name)
	c.follow(s)
	return nil
}

// impersonate makes the clients. On the target cluster it is the account that
// the spec names which acts. An account of that name need not exist on the
// local cluster, and whose rights would it have there? So if the target is
// another cluster, what the spec names here is read as the installation has it:
// as the default account, or else as the controller.
func (c *Controller) impersonate(s *scope) (err error) {
	account := cmp.Or(s.obj.Spec.ServiceAccountName, c.Options.DefaultServiceAccount)
	if s.client, err = s.target.Client(s.obj.Namespace, account); err != nil {
		return err
	}
	s.local = s.client
	if s.target.Remote() {
		s.local, err = c.Clusters.Local().Tenants.For(s.obj.Namespace, c.Options.DefaultServiceAccount)
	}
	return err
}

// follow drops what is remembered of another cluster, or of other access data
// for the same one, and has a failure tried again if the cluster was away since.
func (c *Controller) follow(s *scope) {
	m, key, epoch := s.memory, s.target.Key(), s.target.Epoch()
	switch {
	case m.cluster != key:
		// What was read counts until something takes its place.
		*m = memory{cluster: key, epoch: epoch, reads: m.reads}
	case m.epoch != epoch:
		m.epoch, m.retryAt = epoch, time.Time{}
	}
}

// moved reports whether what status.inventory lists is known to be on another
// cluster than the named one.
func moved(obj *kustomizev1.Kustomization, name string) bool {
	weir := obj.Status.Weir
	return weir != nil && weir.Cluster != "" && weir.Cluster != name
}

// settle notes, along with the inventory, on which cluster it is. What is
// recorded of Jobs on another one does not count any more.
func (c *Controller) settle(s *scope) {
	if s.obj.Status.Weir == nil {
		s.obj.Status.Weir = &kustomizev1.WeirStatus{}
	}
	weir := s.obj.Status.Weir
	if s.moved {
		c.left(s, weir.Cluster)
		weir.CompletedJobs = nil
	}
	weir.Cluster, s.moved = s.target.Name, false
}

// reaching makes a phase end when the target cluster goes, and then says that
// instead of what went wrong on account of it.
func reaching(phase func(context.Context, *scope) error) func(context.Context, *scope) error {
	return func(ctx context.Context, s *scope) error {
		err, away := s.target.Reaching(ctx, func(ctx context.Context) error { return phase(ctx, s) })
		if away != nil {
			return reconcile.Fail(kustomizev1.ReconciliationFailedReason, away)
		}
		return err
	}
}

// vanished ends the watches of a Kustomization that is gone without having
// been finalized.
func (c *Controller) vanished(ctx context.Context, owner types.NamespacedName, err error) error {
	if !apierrors.IsNotFound(err) {
		return err
	}
	return c.Clusters.Gone(ctx, owner)
}

// undeleted says why applied objects could not be deleted, so that the
// Kustomization stays.
func (c *Controller) undeleted(s *scope, err error) (ctrl.Result, error) {
	if errors.Is(err, errCrowded) {
		return ctrl.Result{RequeueAfter: connectAgain}, nil
	}
	if e, ok := errors.AsType[*reconcile.Error](err); ok && e.Kind == reconcile.KindProgressing {
		return ctrl.Result{RequeueAfter: e.After}, nil
	}
	text := err.Error()
	if s.obj.Spec.KubeConfig != nil {
		text += "; to let it go and leave its objects, set spec.deletionPolicy to Orphan"
	}
	c.event(s, corev1.EventTypeWarning, kustomizev1.PruneFailedReason, text)
	return ctrl.Result{}, err
}

// unreachable reports that nobody can say any more how to reach the cluster
// which the applied objects are on, or that they are on another one than the
// spec names by now. They stay.
func (c *Controller) unreachable(s *scope, err error) bool {
	switch {
	case errors.Is(err, cluster.ErrMissing):
		c.event(s, corev1.EventTypeWarning, kustomizev1.PruneFailedReason, err.Error()+"; the applied objects are left in the cluster")
	case err == nil && s.moved:
		c.left(s, s.obj.Status.Weir.Cluster)
	default:
		return false
	}
	return true
}
