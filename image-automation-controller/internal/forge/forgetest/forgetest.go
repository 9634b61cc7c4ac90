// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package forgetest is a forge for tests and demonstrations: one server on this
// machine that speaks the APIs of GitHub, GitLab and Gitea as far as Weir uses
// them, over one state in memory. It does not know the Git repositories.
package forgetest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxPage is how many items a page has at most, which is less than clients
// may ask for.
const MaxPage = 10

// Server is the forge. Its API for GitHub is at URL/api/v3, that for GitLab at
// URL/api/v4 and that for Gitea at URL/api/v1. It is an http.Handler too.
type Server struct {
	// URL is http, an address of this machine, and a port.
	URL string

	http *http.Server
	mux  *http.ServeMux

	mu       sync.Mutex
	users    map[string]person // by token
	projects map[string]*project
	faults   []*Fault
	calls    []string
	tick     int64
}

// PullRequest is one pull request as the forge knows it.
type PullRequest struct {
	Number      int64
	Title, Body string
	Head, Base  string
	Author      string
	// State is open, closed or merged.
	State    string
	Labels   []string
	Comments []string
	// Fork: it comes from a fork of the repository.
	Fork bool
	// Gone: its branch was deleted.
	Gone bool
}

// Fault makes requests fail.
type Fault struct {
	// Method and Path, which is a part of the path, say which requests. Empty:
	// all.
	Method, Path string
	// Times is how often; 0 means once, less than 0 always.
	Times int
	// Late: the request takes effect, and only its answer is lost.
	Late bool
	// Status, Header and Body are the answer. Status 0: the connection is cut.
	Status int
	Header http.Header
	Body   string
	// Hang: no answer comes until the client gives up.
	Hang bool
}

type person struct {
	id   int64
	name string
}

type label struct {
	id   int64
	name string
}

type pull struct {
	PullRequest
	author  person
	updated int64
}

type project struct {
	id     int64
	path   string
	pulls  []*pull
	labels []label
}

// New starts a forge without users and projects.
func New() (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a forge: %w", err)
	}
	s := &Server{
		URL: "http://" + listener.Addr().String(), mux: http.NewServeMux(),
		users: map[string]person{}, projects: map[string]*project{},
	}
	s.routeHub("/api/v3", true)
	s.routeHub("/api/v1", false)
	s.routeLab("/api/v4")
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

// Close ends the server and its connections.
func (s *Server) Close() { _ = s.http.Close() }

// AddUser makes a user known by a token.
func (s *Server) AddUser(name, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[token] = person{id: int64(len(s.users) + 1), name: name}
}

// RemoveToken revokes a token.
func (s *Server) RemoveToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, token)
}

// AddProject makes a repository known by its path, such as team/models.
func (s *Server) AddProject(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.projects[path] = &project{id: int64(len(s.projects) + 1), path: path}
}

// Inject adds a fault.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// Calls returns the requests so far, as "METHOD /path".
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// PullRequests returns those of a project in the order of their numbers.
func (s *Server) PullRequests(path string) []PullRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []PullRequest
	if p := s.projects[path]; p != nil {
		for _, pr := range p.pulls {
			one := pr.PullRequest
			one.Labels, one.Comments = slices.Clone(one.Labels), slices.Clone(one.Comments)
			out = append(out, one)
		}
	}
	return out
}

// Open opens a pull request as the user of a token would by hand, and returns
// its number. It does not ask whether the branch has one.
func (s *Server) Open(path, token string, pr PullRequest) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(s.projects[path], s.users[token], pr).Number
}

// Edit changes a pull request as a person would, such as its body, or its state
// to merged or closed.
func (s *Server) Edit(path string, number int64, change func(*PullRequest)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pr := s.projects[path].pull(number); pr != nil {
		change(&pr.PullRequest)
		s.touch(pr)
	}
}

// Merge marks a pull request as merged.
func (s *Server) Merge(path string, number int64) {
	s.Edit(path, number, func(p *PullRequest) { p.State = "merged" })
}

// Shut closes a pull request without merging it.
func (s *Server) Shut(path string, number int64) {
	s.Edit(path, number, func(p *PullRequest) { p.State = "closed" })
}

func (s *Server) open(p *project, author person, pr PullRequest) *pull {
	pr.Number, pr.State, pr.Author = int64(len(p.pulls)+1), "open", author.name
	opened := &pull{PullRequest: pr, author: author}
	p.pulls = append(p.pulls, opened)
	s.touch(opened)
	return opened
}

func (s *Server) touch(p *pull) {
	s.tick++
	p.updated = s.tick
}

func (p *project) pull(number int64) *pull {
	if number < 1 || number > int64(len(p.pulls)) {
		return nil
	}
	return p.pulls[number-1]
}

// openFrom returns the open pull request from a branch to another, or nil.
func (p *project) openFrom(head, base string) *pull {
	for _, pr := range p.pulls {
		if pr.State == "open" && !pr.Fork && pr.Head == head && pr.Base == base {
			return pr
		}
	}
	return nil
}

// listed returns the pull requests that pass, those changed last first.
func (p *project) listed(pass func(*pull) bool) []*pull {
	var out []*pull
	for _, pr := range p.pulls {
		if pass(pr) {
			out = append(out, pr)
		}
	}
	slices.SortFunc(out, func(a, b *pull) int { return int(b.updated - a.updated) })
	return out
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+r.URL.EscapedPath())
	fault := s.strike(r)
	s.mu.Unlock()
	if fault == nil {
		s.mux.ServeHTTP(w, r)
		return
	}
	if fault.Late {
		s.mux.ServeHTTP(discard{http.Header{}}, r)
	}
	fault.answer(w, r)
}

// strike returns the fault that a request meets, or nil.
func (s *Server) strike(r *http.Request) *Fault {
	for _, f := range s.faults {
		if f.Times != 0 && (f.Method == "" || f.Method == r.Method) && strings.Contains(r.URL.EscapedPath(), f.Path) {
			f.Times--
			return f
		}
	}
	return nil
}

func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	if f.Hang {
		<-r.Context().Done()
		return
	}
	if f.Status == 0 {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
		return
	}
	maps.Copy(w.Header(), f.Header)
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// discard takes the answer of a late fault.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// personKey is the key of the user in the context of a request.
type personKey struct{}

// authenticated answers 401 unless the request has the token of a user.
func (s *Server) authenticated(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		s.mu.Lock()
		defer s.mu.Unlock()
		who, known := s.users[token]
		if !known || !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "token") {
			reply(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials " + token})
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), personKey{}, who)))
	}
}

func whoIs(r *http.Request) person {
	who, _ := r.Context().Value(personKey{}).(person)
	return who
}
