// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Fault is what a FaultProxy does instead of passing a request on.
type Fault struct {
	// Code is the status to answer with, such as 429 or 500. Zero with Hang
	// and Drop unset passes the request on.
	Code int
	// RetryAfter goes with 429, in seconds.
	RetryAfter int
	// Hang keeps the request until its client gives up.
	Hang bool
	// Drop closes the connection without an answer.
	Drop bool
}

// FaultProxy stands between a client and the API server of a Cluster and
// fails requests as a test tells it to. Watches are passed on as they stream.
type FaultProxy struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy

	mu      sync.Mutex
	decide  func(*http.Request) Fault
	watches map[context.Context]context.CancelFunc
}

// NewFaultProxy returns a proxy for the API server that config is about, on a
// free loopback port. It passes credentials on, so give its clients tokens, not
// certificates. Close it when its clients are gone.
func NewFaultProxy(config *rest.Config) (*FaultProxy, error) {
	return NewFaultProxyAt("127.0.0.1:0", config)
}

// NewFaultProxyAt is NewFaultProxy on the given "host:port".
func NewFaultProxyAt(address string, config *rest.Config) (*FaultProxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("make a proxy for %q: %w", config.Host, err)
	}
	anonymous := rest.AnonymousClientConfig(config)
	transport, err := rest.TransportFor(anonymous)
	if err != nil {
		return nil, fmt.Errorf("make a proxy for %q: %w", config.Host, err)
	}
	p := &FaultProxy{watches: map[context.Context]context.CancelFunc{}}
	p.proxy = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		// A request whose client has gone, or whose watch was cut, is no news.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	listener, err := listenTCP(address)
	if err != nil {
		return nil, fmt.Errorf("listen for a proxy: %w", err)
	}
	p.server = httptest.NewUnstartedServer(p)
	_ = p.server.Listener.Close() // the one that it made for itself
	p.server.Listener = listener
	p.server.EnableHTTP2 = true
	p.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	p.server.StartTLS()
	return p, nil
}

// Config returns config with the proxy in the place of the API server.
func (p *FaultProxy) Config(config *rest.Config) *rest.Config {
	through := rest.CopyConfig(config)
	through.Host = p.server.URL
	through.TLSClientConfig = rest.TLSClientConfig{
		// A name in the certificate, whatever the address is.
		ServerName: p.server.Certificate().DNSNames[0],
		CAData:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw}),
	}
	return through
}

// Inject has decide say from now on what becomes of each request. Nil passes
// all of them on.
func (p *FaultProxy) Inject(decide func(*http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = decide
}

// CutWatches ends all watches that are under way and returns how many.
func (p *FaultProxy) CutWatches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cut := range p.watches {
		cut()
	}
	return len(p.watches)
}

// Close ends the proxy and every connection through it.
func (p *FaultProxy) Close() {
	p.server.CloseClientConnections()
	p.CutWatches()
	p.server.Close()
}

// IsWatch reports whether a request opens a watch.
func IsWatch(r *http.Request) bool { return r.URL.Query().Get("watch") == "true" }

// ServeHTTP implements http.Handler.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	var fault Fault
	if p.decide != nil {
		fault = p.decide(r)
	}
	p.mu.Unlock()
	switch {
	case fault.Hang:
		<-r.Context().Done()
		return
	case fault.Drop:
		panic(http.ErrAbortHandler) //nolint:forbidigo // It is the way of net/http to close a connection.
	case fault.Code != 0:
		refuse(w, fault)
		return
	}
	if IsWatch(r) {
		ctx, cut := context.WithCancel(r.Context())
		r = r.WithContext(ctx)
		p.mu.Lock()
		p.watches[ctx] = cut
		p.mu.Unlock()
		defer func() {
			p.mu.Lock()
			delete(p.watches, ctx)
			p.mu.Unlock()
			cut()
		}()
	}
	p.proxy.ServeHTTP(w, r)
}

// refuse answers as an API server does.
func refuse(w http.ResponseWriter, fault Fault) {
	reasons := map[int]metav1.StatusReason{
		http.StatusTooManyRequests:     metav1.StatusReasonTooManyRequests,
		http.StatusInternalServerError: metav1.StatusReasonInternalError,
		http.StatusServiceUnavailable:  metav1.StatusReasonServiceUnavailable,
		http.StatusGone:                metav1.StatusReasonExpired,
		http.StatusForbidden:           metav1.StatusReasonForbidden,
		http.StatusGatewayTimeout:      metav1.StatusReasonTimeout,
	}
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Reason:   reasons[fault.Code],
		Message:  "injected fault " + strconv.Itoa(fault.Code),
		Code:     int32(fault.Code), //#nosec G115 -- a status code
	}
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(fault.Code)
	_ = json.NewEncoder(w).Encode(status) // a client that is gone needs no answer
}
