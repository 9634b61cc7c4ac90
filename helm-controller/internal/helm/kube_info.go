// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"

	helmkube "helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// infoBuilder makes of a manifest what the SDK works on.
type infoBuilder struct {
	client *kube.Client

	mu      sync.Mutex
	clients map[schema.GroupVersion]*rest.RESTClient
	nothing *rest.RESTClient
}

func newInfoBuilder(client *kube.Client) *infoBuilder {
	return &infoBuilder{client: client, clients: map[schema.GroupVersion]*rest.RESTClient{}}
}

// objectClient is what the SDK reads and merges one object with.
type objectClient struct {
	resource.RESTClient
	// strict says that fields which the cluster does not know are an error.
	strict bool
	// absent answers instead where nothing has to be asked; nil if there is no
	// such case.
	absent resource.RESTClient
}

// Get begins to read the object. The SDK does that to see whether there is one
// that somebody else has. Where it may be taken whoever has it, and the API
// server merges, that makes no difference, and a request less.
func (c *objectClient) Get() *rest.Request {
	if c.absent != nil {
		return c.absent.Get()
	}
	return c.RESTClient.Get()
}

func (b *infoBuilder) build(reader io.Reader, validate bool) (helmkube.ResourceList, error) {
	objects, err := kube.Decode(reader)
	if err != nil {
		return nil, err
	}
	var declared map[schema.GroupVersionKind]*meta.RESTMapping
	if b.client.ServerSide {
		declared = kube.Declared(objects)
	}
	list := make(helmkube.ResourceList, len(objects))
	errs := make([]error, len(objects))
	for i, obj := range objects {
		list[i], errs[i] = b.info(obj, declared, validate)
	}
	if err := apply.Join(errs); err != nil {
		return nil, err
	}
	return list, nil
}

func (b *infoBuilder) info(obj *unstructured.Unstructured, declared map[schema.GroupVersionKind]*meta.RESTMapping, validate bool) (*resource.Info, error) {
	mapping, found, err := b.locate(obj, declared, validate)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inventory.RefOf(obj), err)
	}
	client, err := b.clientFor(mapping, found, validate)
	if err != nil {
		return nil, fmt.Errorf("%s: make a client: %w", inventory.RefOf(obj), err)
	}
	return &resource.Info{
		Client: client, Mapping: mapping, Namespace: obj.GetNamespace(), Name: obj.GetName(), Object: obj,
		ResourceVersion: obj.GetResourceVersion(),
	}, nil
}

// locate finds the kind of an object. If the cluster has it in another version
// only, an object that is not to be validated is of that one: it was released
// when the cluster was older. Found is false for a kind that the cluster does not
// have at all, so that there can be no such object: it can be deleted, and not
// written.
func (b *infoBuilder) locate(obj *unstructured.Unstructured, declared map[schema.GroupVersionKind]*meta.RESTMapping, validate bool) (mapping *meta.RESTMapping, found bool, err error) {
	gvk := obj.GroupVersionKind()
	mapping, err = kube.Locate(b.client.Mapper(), obj, b.client.Namespace)
	if err == nil || !meta.IsNoMatchError(err) {
		return mapping, true, err
	}
	if mapping = declared[gvk]; mapping != nil {
		kube.Place(obj, mapping.Scope, b.client.Namespace)
		return mapping, true, nil
	}
	if validate {
		return nil, false, fmt.Errorf("%w; %w", err, errNoKind)
	}
	mapping, err = b.client.Mapper().RESTMapping(gvk.GroupKind())
	switch {
	case err == nil:
		kube.Place(obj, mapping.Scope, b.client.Namespace)
		obj.SetAPIVersion(mapping.GroupVersionKind.GroupVersion().String())
		return mapping, true, nil
	case !meta.IsNoMatchError(err):
		return nil, false, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	kube.Place(obj, meta.RESTScopeNamespace, b.client.Namespace)
	return &meta.RESTMapping{Resource: plural, GroupVersionKind: gvk, Scope: meta.RESTScopeNamespace}, false, nil
}

func (b *infoBuilder) clientFor(mapping *meta.RESTMapping, found, validate bool) (resource.RESTClient, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nothing == nil {
		var err error
		if b.nothing, err = b.restClient(schema.GroupVersion{Version: "v1"}, &http.Client{Transport: absent{}}); err != nil {
			return nil, err
		}
	}
	if !found {
		return &objectClient{RESTClient: b.nothing, strict: validate}, nil
	}
	gv := mapping.GroupVersionKind.GroupVersion()
	if b.clients[gv] == nil {
		client, err := b.restClient(gv, &http.Client{Transport: &owned{next: b.client.HTTP().Transport, manager: b.client.Manager()}})
		if err != nil {
			return nil, err
		}
		b.clients[gv] = client
	}
	client := &objectClient{RESTClient: b.clients[gv], strict: validate}
	if b.client.ServerSide && b.client.TakeOwnership {
		client.absent = b.nothing
	}
	return client, nil
}

func (b *infoBuilder) restClient(gv schema.GroupVersion, through *http.Client) (*rest.RESTClient, error) {
	config := b.client.Config()
	config.ContentConfig = resource.UnstructuredPlusDefaultContentConfig()
	config.GroupVersion = &gv
	config.APIPath = "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	return rest.RESTClientForConfigAndClient(config, through)
}

// owned writes under our field manager. The SDK has the name of it in a variable
// that all of a process share.
type owned struct {
	next    http.RoundTripper
	manager string
}

// RoundTrip implements http.RoundTripper.
func (o *owned) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	if !query.Has("fieldManager") {
		return o.next.RoundTrip(req)
	}
	query.Set("fieldManager", o.manager)
	req = req.Clone(req.Context())
	req.URL.RawQuery = query.Encode()
	return o.next.RoundTrip(req)
}

// absent answers that there is no such object.
type absent struct{}

// RoundTrip implements http.RoundTripper.
func (absent) RoundTrip(req *http.Request) (*http.Response, error) {
	const status = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"not found","reason":"NotFound","code":404}`
	return &http.Response{
		Status: http.StatusText(http.StatusNotFound), StatusCode: http.StatusNotFound, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": []string{"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(status))),
		ContentLength: int64(len(status)), Request: req,
	}, nil
}
