// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/dynamic"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/ledger"
	"github.com/weir-gitops/weir/pkg/measure"
)

const name = "gpu-quota-controller"

// Scheme knows every kind that the controller handles as a Go type.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(quotav1.AddToScheme(scheme))
	return scheme
}

// Run runs the controller until ctx ends.
func Run(ctx context.Context, o *Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	a, err := app.New(ctx, app.Settings{
		Name:       name,
		Scheme:     Scheme(),
		Owned:      []client.Object{&quotav1.GPUQuota{}},
		Finalizers: []string{quotav1.Finalizer},
		Config:     o.Config,
		Log:        o.Logger,
		Prepare:    awaitDefinition,
	}, &o.Options)
	if err != nil {
		return err
	}
	p, err := newParts(a, o)
	if err != nil {
		return err
	}
	keeper, metrics, err := setupWebhook(a, o, p)
	if err != nil {
		return err
	}
	if err := setupGate(a, o, p, metrics); err != nil {
		return err
	}
	if err := setupRecount(a, o, p, keeper.Problem); err != nil {
		return err
	}
	return a.Run(ctx)
}

// parts are what every part of the controller works with.
type parts struct {
	// view knows the quotas and who draws on them.
	view *view.View
	// watcher keeps the holdings.
	watcher  *holdings.Watcher
	holdings *holdings.Store
	// walker finds out who made pods.
	walker *holdings.Walker
	// ledger keeps the records.
	ledger   *ledger.Store
	metadata metadata.Interface
	// term returns the term of the leader, and 0 without leader election.
	term func(context.Context) (int64, error)
	// counted is called on the leader whenever a tree was counted. It must not
	// block. Parts add to it while they are set up.
	counted []func()
}

// newParts makes what runs on every replica.
func newParts(a *app.App, o *Options) (*parts, error) {
	p := &parts{}
	meta, err := metadata.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for metadata: %w", err)
	}
	dyn, err := dynamic.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for objects: %w", err)
	}
	core, err := corev1client.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client for the ledgers: %w", err)
	}
	if p.watcher, err = holdings.NewWatcher(a.Config, a.Log.WithName("holdings")); err != nil {
		return nil, err
	}
	if p.term, err = newTerm(a, o); err != nil {
		return nil, err
	}
	collectors := ledger.NewCollectors()
	if err := register(collectors); err != nil {
		return nil, err
	}
	p.metadata, p.holdings = meta, p.watcher.Store
	p.ledger = ledger.NewStore(core, o.Namespace, collectors)
	p.walker = holdings.NewWalker(meta, dyn, a.Manager.GetRESTMapper())
	p.view = view.New(a.Manager.GetCache(), a.Manager.GetAPIReader(), o.excluded(), p.recall)
	a.AddReadyzCheck("pods", func(*http.Request) error {
		if !p.holdings.Synced() {
			return errors.New("what pods hold is not known yet")
		}
		return nil
	})
	return p, errors.Join(a.Manager.Add(p.watcher), a.Manager.Add(p.view))
}

// recall returns the trees that the ledgers know. One that cannot be read is
// left out: its specs say how the tree is.
func (p *parts) recall(ctx context.Context) (*tree.Forest, error) {
	roots, err := p.ledger.Roots(ctx)
	if err != nil {
		return nil, err
	}
	var recalled []tree.Recalled
	for _, root := range roots {
		record, err := p.ledger.Get(ctx, root)
		if errors.Is(err, ledger.ErrUnreadable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for name, q := range record.Quotas {
			recalled = append(recalled, tree.Recalled{Name: name, Parent: q.Parent, Devices: record.Devices})
		}
	}
	return tree.Recall(recalled), nil
}

// register has metrics served.
func register(collectors ...prometheus.Collector) error {
	return measure.Register(ctrlmetrics.Registry, collectors...)
}
