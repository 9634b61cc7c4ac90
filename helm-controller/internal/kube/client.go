// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package kube writes the objects of releases to a cluster, waits for them, and
// keeps them as they were released. It knows nothing of Helm's SDK; package helm
// makes of it what the SDK asks for.
package kube

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Labels returns the labels by which an engine tells whose object it is.
func Labels() watch.Labels {
	return watch.Labels{Name: helmv2.OwnerNameLabel, Namespace: helmv2.OwnerNamespaceLabel}
}

// Keys returns the marks of objects that an engine has to know: there is one,
// which excludes an object from drift detection.
func Keys() apply.Keys {
	return apply.Keys{Reconcile: helmv2.DriftDetectionAnnotation}
}

// Managers returns whose fields an engine looks at: our own, and those of
// releases that were merged by a client, ours or Helm's, which become ours when
// the API server merges.
func Managers() watch.Managers {
	return watch.Managers{Self: helmv2.FieldManager, TakeOver: []watch.Manager{
		{Prefix: helmv2.FieldManager, Exact: true, Operation: metav1.ManagedFieldsOperationUpdate},
		{Prefix: "helm", Exact: true, Operation: metav1.ManagedFieldsOperationUpdate},
		{Prefix: "helm", Exact: true, Operation: metav1.ManagedFieldsOperationApply},
	}}
}

// Options of a Client.
type Options struct {
	// Client acts as the tenant.
	Client *apply.Client
	// Config reaches the same cluster as the same user.
	Config *rest.Config
	// Engine watches that cluster; made with Labels, Keys and Managers.
	Engine *apply.Engine
	// Owner is the HelmRelease, and UID its own.
	Owner types.NamespacedName
	UID   types.UID
	// Name and Namespace of the release. Objects without a namespace are in that
	// one.
	Name, Namespace string
	// ServerSide has the API server merge.
	ServerSide bool
	// TakeOwnership takes objects that exist already, whoever has them.
	TakeOwnership bool
	// Checks are the expressions that judge objects; nil for none.
	Checks *health.Checks
	// Ignore are the compiled ignore rules of drift detection: what is noted of the
	// objects as they are written is then good for that. Nil for none.
	Ignore *exemption.Rules
	// Legacy waits as Helm 3 does.
	Legacy bool
	// Idle is called when a wait begins, and what it returns when that has ended:
	// in between the action does nothing. Nil: nobody wants to know.
	Idle func() (resume func())
	// Log gets what the SDK and the client have to say.
	Log logr.Logger
}

// Client writes the objects of one release, for one action: its requests end
// with the context that it was made with and fail from then on.
type Client struct {
	Options

	context func() context.Context
	config  *rest.Config
	http    *http.Client
	client  *apply.Client
	set     *apply.Set

	mu sync.Mutex
	// fresh are the kinds that were defined by this client: the API server serves
	// them a moment after it says that it does.
	fresh map[schema.GroupKind]struct{}
	// unwatched are the kinds that had to be polled.
	unwatched map[string]struct{}
}

// New returns a client for an action that ends with ctx.
func New(ctx context.Context, o Options) (*Client, error) {
	config := bind(ctx, o.Config)
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make the client of release %s/%s: %w", o.Namespace, o.Name, err)
	}
	requests, err := dynamic.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("make the client of release %s/%s: %w", o.Namespace, o.Name, err)
	}
	set := o.Engine.Set(o.Owner, o.UID)
	if o.Ignore != nil {
		set.Exempt(o.Ignore)
	}
	return &Client{
		Options: o,
		context: func() context.Context { return ctx },
		config:  config, http: httpClient,
		client: &apply.Client{Dynamic: requests, Mapper: o.Client.Mapper, Manager: o.Client.Manager},
		set:    set,
		fresh:  map[schema.GroupKind]struct{}{}, unwatched: map[string]struct{}{},
	}, nil
}

// Context is that of the action.
func (c *Client) Context() context.Context { return c.context() }

// Config reaches the cluster as the tenant, with requests that end with the
// action. It is the caller's.
func (c *Client) Config() *rest.Config { return rest.CopyConfig(c.config) }

// HTTP sends requests as Config says.
func (c *Client) HTTP() *http.Client { return c.http }

// Mapper knows the kinds of the cluster, and learns of new ones.
func (c *Client) Mapper() meta.RESTMapper { return c.client.Mapper }

// Manager owns the fields of what is written.
func (c *Client) Manager() string { return c.client.Manager }

// resource returns the endpoint of one object.
func (c *Client) resource(obj *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := obj.GroupVersionKind()
	mapping, err := c.client.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.client.Dynamic.Resource(mapping.Resource), nil
	}
	return c.client.Dynamic.Resource(mapping.Resource).Namespace(obj.GetNamespace()), nil
}

// version of the API that an object is of.
func version(obj *unstructured.Unstructured) string { return obj.GroupVersionKind().Version }

// inventoryOf returns the inventory of objects that have a name.
func inventoryOf(objects []*unstructured.Unstructured) inventory.Inventory {
	inv := make(inventory.Inventory, len(objects))
	for _, obj := range objects {
		if obj.GetName() != "" {
			inv[inventory.RefOf(obj)] = version(obj)
		}
	}
	return inv
}

// idle tells that the action waits, until the function is called.
func (c *Client) idle() (resume func()) {
	if c.Idle == nil {
		return func() {}
	}
	return c.Idle()
}

// explainTimeout is how long all explanations of one failure may take.
const explainTimeout = 10 * time.Second
