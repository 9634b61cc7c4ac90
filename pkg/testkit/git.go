// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// GitFault is a way for a GitServer to fail.
type GitFault int

// The faults that SetFault takes.
const (
	// GitHealthy: no fault.
	GitHealthy GitFault = iota
	// GitError answers every request with 500 and a body.
	GitError
	// GitErrorOnFetch lists refs but answers the request for objects with 500.
	GitErrorOnFetch
	// GitVanished answers every request with 404, as forges do for a
	// repository that was deleted.
	GitVanished
	// GitTruncated ends the transfer of objects in its middle.
	GitTruncated
	// GitGarbled flips bytes in the transfer of objects.
	GitGarbled
	// GitHangs accepts requests and never answers.
	GitHangs
	// GitLoginPage answers every request with 200 and an HTML page.
	GitLoginPage
	// GitErrorOnPush says what it has but answers a push with 500 and does
	// nothing.
	GitErrorOnPush
	// GitDropsPush ends the connection at a push and does nothing.
	GitDropsPush
	// GitDropsAfterPush does what a push asks for and ends the connection
	// without an answer.
	GitDropsAfterPush
	// GitTruncatedReport does what a push asks for and ends its answer early.
	GitTruncatedReport
	// GitHangsOnPush never answers a push and does nothing.
	GitHangsOnPush
)

// GitStats counts what a GitServer was asked for.
type GitStats struct {
	// Requests of all kinds, those for a fetch of objects among them.
	Requests, Fetches int
	// FetchedBytes is the size of all answers to fetches.
	FetchedBytes int64
	// Pushes counts the requests that were to change references, and
	// PushedBytes is their size.
	Pushes      int
	PushedBytes int64
}

// GitOption configures a GitServer.
type GitOption func(*GitServer)

// GitServer serves the bare repositories below a directory over HTTP, by the
// same program that real servers run: git http-backend.
type GitServer struct {
	// URL of the server; append "/" and the path of a repository.
	URL string
	// CA, ClientCert and ClientKey are PEM; set with TLS, and the pair with
	// client certificates only.
	CA, ClientCert, ClientKey []byte

	user, password, token string
	tls, mutualTLS, old   bool
	address               string
	backend               http.Handler
	server                *http.Server
	stop                  chan struct{}

	mu    sync.Mutex
	fault GitFault
	stats GitStats
}

// GitBasicAuth makes the server demand a user and a password.
func GitBasicAuth(user, password string) GitOption {
	return func(s *GitServer) { s.user, s.password = user, password }
}

// GitBearerAuth makes the server demand a bearer token.
func GitBearerAuth(token string) GitOption {
	return func(s *GitServer) { s.token = token }
}

// GitTLS serves https with a certificate of the server's own CA.
func GitTLS() GitOption {
	return func(s *GitServer) { s.tls = true }
}

// GitMutualTLS is GitTLS and demands a client certificate of the same CA.
func GitMutualTLS() GitOption {
	return func(s *GitServer) { s.tls, s.mutualTLS = true, true }
}

// GitProtocolV0 answers as servers that do not know protocol version 2.
func GitProtocolV0() GitOption {
	return func(s *GitServer) { s.old = true }
}

// GitAddress listens on the given "host:port" instead of a free loopback port.
func GitAddress(address string) GitOption {
	return func(s *GitServer) { s.address = address }
}

// NewGitServer serves dir until Close. It accepts pushes too.
func NewGitServer(dir string, opts ...GitOption) (*GitServer, error) {
	s := &GitServer{address: "127.0.0.1:0", stop: make(chan struct{})}
	for _, opt := range opts {
		opt(s)
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", dir, err)
	}
	program, err := httpBackend()
	if err != nil {
		return nil, err
	}
	s.backend = &cgi.Handler{
		Path:   program,
		Env:    append(gitEnv(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: io.Discard,
		Logger: log.New(io.Discard, "", 0),
	}
	return s, s.listen()
}

// httpBackend returns the path of git's HTTP program.
func httpBackend() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("find git http-backend: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), nil
}

func (s *GitServer) listen() error {
	listener, err := listenTCP(s.address)
	if err != nil {
		return fmt.Errorf("listen for git: %w", err)
	}
	scheme := "http"
	if s.tls {
		scheme = "https"
		config, ca, cert, key, err := serverTLS(s.mutualTLS)
		if err != nil {
			_ = listener.Close()
			return err
		}
		s.CA, s.ClientCert, s.ClientKey = ca, cert, key
		listener = tls.NewListener(listener, config)
	}
	s.URL = scheme + "://" + listener.Addr().String()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.server.Serve(listener) }()
	return nil
}

// Close ends the server and the requests that hang.
func (s *GitServer) Close() {
	close(s.stop)
	_ = s.server.Close()
}

// SetFault changes how the server fails from now on.
func (s *GitServer) SetFault(fault GitFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Stats returns what was asked for since the start.
func (s *GitServer) Stats() GitStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// ServeHTTP answers one request.
func (s *GitServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "secret body of a refusal", http.StatusUnauthorized)
		return
	}
	if s.old {
		r.Header.Del("Git-Protocol")
	}
	out := &countingWriter{ResponseWriter: w, fetch: wantsObjects(r)}

	s.mu.Lock()
	s.stats.Requests++
	fault := s.fault
	s.mu.Unlock()

	out.fault = fault
	switch fault {
	case GitError:
		http.Error(w, "secret body of an error", http.StatusInternalServerError)
		return
	case GitVanished:
		http.Error(w, "secret body of a 404", http.StatusNotFound)
		return
	case GitLoginPage:
		_, _ = io.WriteString(w, "<html>secret body of a page</html>")
		return
	case GitHangs:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		return
	default:
	}
	if isPush(r) {
		s.push(w, r, fault)
		return
	}
	s.backend.ServeHTTP(out, r)

	s.mu.Lock()
	defer s.mu.Unlock()
	if out.fetch {
		s.stats.Fetches++
		s.stats.FetchedBytes += out.written
	}
}

func (s *GitServer) authorized(r *http.Request) bool {
	if s.token != "" {
		want := "Bearer " + s.token
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) == 1
	}
	if s.user == "" {
		return true
	}
	user, password, _ := r.BasicAuth()
	return user == s.user && password == s.password
}

// listenTCP listens for a server that goes on until it is closed.
func listenTCP(address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP("tcp", resolved)
}
