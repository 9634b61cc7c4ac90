// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// HelmFault is what a HelmServer does instead of answering a request.
type HelmFault struct {
	RegistryFault

	// Delay passes before anything else happens, unless the client or the
	// server goes away.
	Delay time.Duration
	// Padding is how many bytes of comment lines follow the answer.
	Padding int64
}

// HelmOption configures a HelmServer.
type HelmOption func(*HelmServer)

// HelmTLS serves https with a certificate of the server's own CA.
func HelmTLS() HelmOption {
	return func(s *HelmServer) { s.tls = true }
}

// HelmMutualTLS is HelmTLS and demands a client certificate of the same CA.
func HelmMutualTLS() HelmOption {
	return func(s *HelmServer) { s.tls, s.mutualTLS = true, true }
}

// HelmBasicAuth demands a user and a password for everything.
func HelmBasicAuth(user, password string) HelmOption {
	return func(s *HelmServer) { s.user, s.password = user, password }
}

// HelmNoETags answers without an ETag, as simple file servers do.
func HelmNoETags() HelmOption {
	return func(s *HelmServer) { s.noETags = true }
}

// HelmServer is a repository of charts over HTTP, in memory, that a test can
// make fail. It serves /index.yaml and the archives that the index names.
type HelmServer struct {
	// URL of the repository, without a slash at its end.
	URL string
	// CA, ClientCert and ClientKey are PEM; set with TLS, and the pair with
	// client certificates only.
	CA, ClientCert, ClientKey []byte

	user, password          string
	tls, mutualTLS, noETags bool
	server                  *http.Server
	stop                    chan struct{}

	mu       sync.Mutex
	decide   func(*http.Request) HelmFault
	requests []string
	entries  []HelmEntry
	files    map[string][]byte
	index    []byte // what SetIndex was given
}

// NewHelmServer serves until Close.
func NewHelmServer(opts ...HelmOption) (*HelmServer, error) {
	s := &HelmServer{stop: make(chan struct{}), files: map[string][]byte{}}
	for _, opt := range opts {
		opt(s)
	}
	listener, err := listenTCP("127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a Helm repository: %w", err)
	}
	s.URL = "http://" + listener.Addr().String()
	if s.tls {
		s.URL = "https://" + listener.Addr().String()
		config, ca, cert, key, err := serverTLS(s.mutualTLS)
		if err != nil {
			_ = listener.Close()
			return nil, err
		}
		s.CA, s.ClientCert, s.ClientKey = ca, cert, key
		listener = tls.NewListener(listener, config)
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Close ends the server and the requests that hang.
func (s *HelmServer) Close() {
	close(s.stop)
	_ = s.server.Close()
}

// Add builds charts and puts them into the index, at "charts/name-version.tgz"
// below the URL of the repository.
func (s *HelmServer) Add(charts ...HelmChart) error {
	for _, chart := range charts {
		archive, err := chart.Archive()
		if err != nil {
			return err
		}
		name := "charts/" + chart.FileName()
		s.SetFile(name, archive)
		s.AddEntry(HelmEntry{
			Name: chart.Name, Version: chart.version(), AppVersion: chart.AppVersion, KubeVersion: chart.KubeVersion,
			Digest: strings.TrimPrefix(digestOf(archive), "sha256:"), URLs: []string{name},
		})
	}
	return nil
}

// AddEntry puts an entry into the index, in the place of one of the same name
// and version. Nothing is served for it that is not there already.
func (s *HelmServer) AddEntry(entry HelmEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(slices.DeleteFunc(s.entries, entry.same), entry)
}

// Remove takes a version of a chart out of the index, and its archive away.
func (s *HelmServer) Remove(name, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = slices.DeleteFunc(s.entries, HelmEntry{Name: name, Version: version}.same)
	delete(s.files, "charts/"+name+"-"+version+".tgz")
}

// SetFile serves content at a path below the URL of the repository.
func (s *HelmServer) SetFile(path string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = content
}

// SetIndex serves these bytes as the index from now on, whatever they are. Nil
// serves the index of what was added.
func (s *HelmServer) SetIndex(content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index = content
}

// Inject has decide say from now on what becomes of each request; it may run
// concurrently. Nil answers all of them.
func (s *HelmServer) Inject(decide func(*http.Request) HelmFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decide = decide
}

// Requests returns how many requests came whose "METHOD /path?query" holds
// part. An empty part counts all.
func (s *HelmServer) Requests(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return countContaining(s.requests, part)
}

// ServeHTTP answers one request.
func (s *HelmServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, req.Method+" "+req.URL.RequestURI())
	decide := s.decide
	s.mu.Unlock()
	var fault HelmFault
	if decide != nil {
		fault = decide(req)
	}
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-req.Context().Done():
			return
		case <-s.stop:
			return
		}
	}
	serveFault(w, req, fault.RegistryFault, s.stop, s.answer)
	if fault.Padding > 0 {
		_, _ = io.CopyN(w, comments{}, fault.Padding)
	}
}

// answer is what a healthy server does.
func (s *HelmServer) answer(w http.ResponseWriter, req *http.Request) {
	user, password, _ := req.BasicAuth()
	if s.user != "" && (user != s.user || password != s.password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
		http.Error(w, "secret body of a refusal", http.StatusUnauthorized)
		return
	}
	content, err := s.content(strings.TrimPrefix(req.URL.Path, "/"))
	if err != nil {
		http.Error(w, "secret body of a 404", http.StatusNotFound)
		return
	}
	if etag := `"` + digestOf(content)[len("sha256:"):][:16] + `"`; !s.noETags {
		w.Header().Set("ETag", etag)
		if req.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.Copy(w, bytes.NewReader(content))
}

func (s *HelmServer) content(path string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if path == "index.yaml" {
		if s.index != nil {
			return s.index, nil
		}
		return HelmIndex(s.entries...)
	}
	content, found := s.files[path]
	if !found {
		return nil, errors.New("no such file")
	}
	return content, nil
}

// comments is an endless text of comment lines in YAML.
type comments struct{}

// Read fills p.
func (comments) Read(p []byte) (int, error) {
	const line = "# padding\n"
	for i := range p {
		p[i] = line[i%len(line)]
	}
	return len(p), nil
}
