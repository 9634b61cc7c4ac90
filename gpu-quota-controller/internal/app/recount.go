// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	helper "github.com/fluxcd/pkg/runtime/controller"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/controller/gpuquota"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/recount"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/ledger"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// setupRecount adds what runs on the leader: the recount, and the controller
// that shows what it finds. Webhook says what is wrong with the webhook, or "".
func setupRecount(a *app.App, o *Options, p *parts, webhook func() string) error {
	metrics := recount.NewMetrics()
	figures := gpuquota.NewFigures(p.holdings, p.view.State)
	if err := register(append(metrics.Collectors(), figures)...); err != nil {
		return err
	}
	waker := &gpuquota.Waker{}
	p.view.Listen(waker.Planned)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	counter := recount.New(recount.Options{
		Holdings: p.holdings,
		Relist:   p.watcher.Relist,
		Walker:   p.walker,
		Ledger:   p.ledger,
		View:     p.view,
		Pod:      p.pod,
		Term:     p.term,
		Lapsed:   func(grant ledger.Grant) { lapsed(a, grant) },
		Changed: func(quotas []string) {
			waker.Wake(quotas)
			for _, counted := range p.counted {
				counted()
			}
		},
		Metrics: metrics,
		Clock:   o.Clock,
		Log:     a.Log.WithName("recount"),
	})
	if err := a.Manager.Add(counter); err != nil {
		return fmt.Errorf("add the recount: %w", err)
	}
	c := &gpuquota.Controller{
		Live:    a.Manager.GetAPIReader(),
		Store:   reconcile.NewStore(a.Manager.GetClient(), a.Manager.GetAPIReader(), name),
		State:   p.view.State,
		Counts:  counter,
		Webhook: webhook,
		Events:  a.Events,
		Metrics: a.Metrics,
		Figures: figures,
		Leaving: a.Leaving(&quotav1.GPUQuota{}),
	}
	return c.SetupWithManager(a.Manager, waker, controller.TypedOptions[ctrl.Request]{
		RateLimiter: helper.GetRateLimiter(o.RateLimiter),
	})
}

// pod returns the UID of a pod from the API server, or "".
func (p *parts) pod(ctx context.Context, namespace, name string) (types.UID, error) {
	object, err := p.metadata.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read pod %s/%s: %w", namespace, name, err)
	}
	return object.UID, nil
}

// newTerm returns what tells the term of the leader, which is higher than that
// of any leader before it. Without leader election there are no terms.
func newTerm(a *app.App, o *Options) (func(context.Context) (int64, error), error) {
	if !o.LeaderElection.Enable {
		return func(context.Context) (int64, error) { return 0, nil }, nil
	}
	leases, err := coordinationclient.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for the lease: %w", err)
	}
	return func(ctx context.Context) (int64, error) {
		lease, err := leases.Leases(o.Namespace).Get(ctx, a.LeaseName(), metav1.GetOptions{})
		if err != nil {
			return 0, fmt.Errorf("read lease %s/%s: %w", o.Namespace, a.LeaseName(), err)
		}
		return termOf(lease), nil
	}, nil
}

// termOf is how often a lease has changed hands. A lease that was deleted starts
// to count anew, and ledgers would refuse its leaders for ever: the one that was
// made later counts for more.
func termOf(lease *coordinationv1.Lease) int64 {
	const hands = 20 // bits for the changes of one lease
	changes := int64(ptr.Deref(lease.Spec.LeaseTransitions, 0))
	return lease.CreationTimestamp.Unix()<<hands + min(changes+1, 1<<hands-1)
}

// groups are the API groups of the kinds that have grants.
var groups = map[string]string{"Kustomization": "kustomize.toolkit.fluxcd.io/v1", "HelmRelease": "helm.toolkit.fluxcd.io/v2"}

// lapsed tells the owner of a grant that it has lapsed.
func lapsed(a *app.App, grant ledger.Grant) {
	owner := &unstructured.Unstructured{}
	owner.SetAPIVersion(groups[grant.Kind])
	owner.SetKind(grant.Kind)
	owner.SetNamespace(grant.Namespace)
	owner.SetName(grant.Name)
	owner.SetUID(grant.Owner)
	a.Events.Eventf(owner, nil, corev1.EventTypeWarning, "GPUGrantLapsed", "Reconcile",
		"the GPUs that revision %s was granted and no pod took are free for others: no new pod of it came for 15 minutes", grant.Revision)
}
