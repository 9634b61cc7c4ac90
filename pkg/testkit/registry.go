// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// RegistryFault is what a Registry does instead of answering a request.
type RegistryFault struct {
	// Code is the status to answer with, such as 429 or 500.
	Code int
	// RetryAfter goes with Code, in seconds, if it is not zero.
	RetryAfter int
	// Truncate ends the body of the answer in its middle.
	Truncate bool
	// Garbage answers 200 with an HTML page.
	Garbage bool
	// Tamper changes one byte of the answer's body.
	Tamper bool
	// Hang keeps the request until its client gives up.
	Hang bool
	// Drop closes the connection without an answer.
	Drop bool
	// Redirect sends the client to this URL.
	Redirect string
}

// RegistryOption configures a Registry.
type RegistryOption func(*Registry)

// RegistryTLS serves https with a certificate of the registry's own CA.
func RegistryTLS() RegistryOption {
	return func(r *Registry) { r.tls = true }
}

// RegistryMutualTLS is RegistryTLS and demands a client certificate of the same
// CA.
func RegistryMutualTLS() RegistryOption {
	return func(r *Registry) { r.tls, r.mutualTLS = true, true }
}

// RegistryBasicAuth demands a user and a password.
func RegistryBasicAuth(user, password string) RegistryOption {
	return func(r *Registry) { r.user, r.password = user, password }
}

// RegistryTokenAuth demands a bearer token, which /token of the same server
// gives for a user and a password, or for the password as a refresh token.
// With an empty user it gives one to everybody.
func RegistryTokenAuth(user, password string) RegistryOption {
	return func(r *Registry) { r.user, r.password, r.bearer = user, password, true }
}

// RegistryPages serves at most size tags in one answer, whatever was asked for.
func RegistryPages(size int) RegistryOption {
	return func(r *Registry) { r.pageSize = size }
}

// RegistryNoLinks serves pages of tags without the header that points to the
// next one.
func RegistryNoLinks() RegistryOption {
	return func(r *Registry) { r.noLinks = true }
}

// RegistryETags gives lists of tags an ETag and honours If-None-Match.
func RegistryETags() RegistryOption {
	return func(r *Registry) { r.etags = true }
}

// RegistryNoReferrers answers as registries that do not know the referrers API.
func RegistryNoReferrers() RegistryOption {
	return func(r *Registry) { r.noReferrers = true }
}

// RegistryAddress listens on the given "host:port" instead of a free loopback
// port.
func RegistryAddress(address string) RegistryOption {
	return func(r *Registry) { r.address = address }
}

// Registry is an OCI registry in memory that a test can make fail.
type Registry struct {
	// Host is "127.0.0.1:port", the first part of the names of its images.
	Host string
	// URL is Host with the scheme.
	URL string
	// CA, ClientCert and ClientKey are PEM; set with TLS, and the pair with
	// client certificates only.
	CA, ClientCert, ClientKey []byte

	user, password           string
	bearer, tls, mutualTLS   bool
	noLinks, etags           bool
	noReferrers              bool
	pageSize                 int
	address                  string
	store                    http.Handler
	server                   *http.Server
	stop                     chan struct{}
	mu                       sync.Mutex
	decide                   func(*http.Request) RegistryFault
	requests                 []string
	tokens                   map[string]bool
	synthetic                map[string][]string
	issued, inFlight, widest int
}

// NewRegistry serves until Close.
func NewRegistry(opts ...RegistryOption) (*Registry, error) {
	r := &Registry{
		address: "127.0.0.1:0", stop: make(chan struct{}),
		tokens: map[string]bool{}, synthetic: map[string][]string{},
	}
	for _, opt := range opts {
		opt(r)
	}
	r.store = registry.New(
		registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(!r.noReferrers))
	listener, err := listenTCP(r.address)
	if err != nil {
		return nil, fmt.Errorf("listen for a registry: %w", err)
	}
	r.Host = listener.Addr().String()
	r.URL = "http://" + r.Host
	if r.tls {
		config, ca, cert, key, err := serverTLS(r.mutualTLS)
		if err != nil {
			_ = listener.Close()
			return nil, err
		}
		r.CA, r.ClientCert, r.ClientKey = ca, cert, key
		r.URL = "https://" + r.Host
		listener = tls.NewListener(listener, config)
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// Close ends the server and the requests that hang.
func (r *Registry) Close() {
	close(r.stop)
	_ = r.server.Close()
}

// Inject has decide say from now on what becomes of each request; it may run
// concurrently. Nil answers all of them.
func (r *Registry) Inject(decide func(*http.Request) RegistryFault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decide = decide
}

// Requests returns how many requests came whose "METHOD /path?query" holds
// part. An empty part counts all.
func (r *Registry) Requests(part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return countContaining(r.requests, part)
}

// Widest returns the highest number of requests that were under way at once.
func (r *Registry) Widest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.widest
}

// ExpireTokens makes every token that was given so far worthless.
func (r *Registry) ExpireTokens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.tokens)
}

// SetTags makes the registry list these tags for repo, in this order, whether
// there are such images or not. Nil lists what there is.
func (r *Registry) SetTags(repo string, tags []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tags == nil {
		delete(r.synthetic, repo)
		return
	}
	r.synthetic[repo] = slices.Clone(tags)
}

// ServeHTTP answers one request.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	fault, done := r.begin(req)
	defer done()
	serveFault(w, req, fault, r.stop, r.answer)
}

// begin counts a request and returns what is to become of it.
func (r *Registry) begin(req *http.Request) (fault RegistryFault, done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.Method+" "+req.URL.RequestURI())
	r.inFlight++
	r.widest = max(r.widest, r.inFlight)
	decide := r.decide
	if decide != nil {
		r.mu.Unlock()
		fault = decide(req)
		r.mu.Lock()
	}
	return fault, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inFlight--
	}
}

// spoil sends half of an answer, or one with a wrong byte.
func spoil(w http.ResponseWriter, fault RegistryFault, answer func(http.ResponseWriter)) {
	recorder := httptest.NewRecorder()
	answer(recorder)
	body := recorder.Body.Bytes()
	maps.Copy(w.Header(), recorder.Header())
	w.Header().Del("Content-Length")
	if fault.Truncate {
		body = body[:len(body)/2]
	} else if len(body) > 0 {
		body = bytes.Clone(body)
		body[len(body)/2] ^= 1
	}
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(body)
}

// answer is what a healthy registry does.
func (r *Registry) answer(w http.ResponseWriter, req *http.Request) {
	if r.bearer && req.URL.Path == "/token" {
		r.giveToken(w, req)
		return
	}
	if !r.authorized(w, req) {
		return
	}
	if repo, found := strings.CutSuffix(req.URL.Path, "/tags/list"); found && req.Method == http.MethodGet {
		r.listTags(w, req, strings.TrimPrefix(repo, "/v2/"))
		return
	}
	r.store.ServeHTTP(w, req)
}
