// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"
)

// maxLookup is how many bytes one call of lookup may bring.
const maxLookup = 32 << 20

// lookups answers the templates' function lookup: with the client of the tenant,
// bound to the action, and with the mapper that is there instead of one discovery
// for each call. What is found is not decoded here.
type lookups struct {
	config *rest.Config // ends with the action, as http does
	http   *http.Client
	mapper meta.RESTMapper

	clients map[schema.GroupVersion]*rest.RESTClient
}

// get reads what is asked for.
func (l *lookups) get(ctx context.Context, q *lookupQuestion) *reply {
	body, err := l.read(ctx, q)
	switch {
	case err == nil:
		return &reply{Body: body}
	case apierrors.IsNotFound(err):
		return &reply{Missing: true}
	case meta.IsNoMatchError(err):
		return &reply{NoKind: true, Fault: fmt.Sprintf("look up %s of %s: %s", q.Kind, q.APIVersion, err)}
	case errors.Is(err, errMuch):
		return &reply{Fault: fmt.Sprintf("look up %s of %s: %s", q.Kind, q.APIVersion, errMuch)}
	}
	return &reply{Fault: err.Error()}
}

func (l *lookups) read(ctx context.Context, q *lookupQuestion) ([]byte, error) {
	gvk := schema.FromAPIVersionAndKind(q.APIVersion, q.Kind)
	mapping, err := l.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		if meta.IsNoMatchError(err) {
			return nil, err
		}
		return nil, fmt.Errorf("look up %s of %s: %w", q.Kind, q.APIVersion, err)
	}
	client, err := l.client(mapping.Resource.GroupVersion())
	if err != nil {
		return nil, fmt.Errorf("look up %s of %s: %w", q.Kind, q.APIVersion, err)
	}
	request := client.Get().NamespaceIfScoped(q.Namespace, q.Namespace != "" && namespaced(mapping)).Resource(mapping.Resource.Resource)
	if q.Name != "" {
		request = request.Name(q.Name)
	}
	result := request.Do(ctx)
	if err := result.Error(); err != nil { // that of Raw would lack what the server says
		return nil, err
	}
	return result.Raw()
}

func (l *lookups) client(gv schema.GroupVersion) (*rest.RESTClient, error) {
	if known := l.clients[gv]; known != nil {
		return known, nil
	}
	config := rest.CopyConfig(l.config)
	config.ContentConfig = resource.UnstructuredPlusDefaultContentConfig()
	config.GroupVersion = &gv
	config.APIPath = "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	made, err := rest.RESTClientForConfigAndClient(config, &http.Client{Transport: &measured{next: l.http.Transport}, Timeout: l.http.Timeout})
	if err != nil {
		return nil, err
	}
	if l.clients == nil {
		l.clients = map[schema.GroupVersion]*rest.RESTClient{}
	}
	l.clients[gv] = made
	return made, nil
}

func namespaced(mapping *meta.RESTMapping) bool {
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace
}

// errMuch says that a lookup brings too much.
var errMuch = fmt.Errorf("the answer has more than %d MiB; look up less, such as one object by its name", maxLookup>>20)

// measured bounds the bodies of responses.
type measured struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (m *measured) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := m.next.RoundTrip(req)
	if err == nil {
		resp.Body = &measuredBody{ReadCloser: resp.Body, rest: maxLookup}
	}
	return resp, err
}

type measuredBody struct {
	io.ReadCloser

	rest int64
}

// Read implements io.Reader.
func (b *measuredBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if b.rest -= int64(n); b.rest < 0 {
		return 0, errMuch
	}
	return n, err
}
