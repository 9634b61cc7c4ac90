// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package forge opens, finds, updates and closes pull requests at GitHub,
// GitLab and Gitea or Forgejo. It never merges one.
//
// A pull request is ours if it comes from our branch in the same repository,
// was opened by the user of our token, and has our identity in a comment of
// its body that pages do not show. One of these alone can be had by anybody.
package forge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/dial"
)

// Values of PullRequest.State.
const (
	StateOpen   = "open"
	StateMerged = "merged"
	StateClosed = "closed"
)

// Request is what a pull request is to be.
type Request struct {
	// Head and Base are short names of branches of one repository.
	Head, Base string
	// Title is one line; line breaks become spaces and what is longer than a
	// forge takes is cut.
	Title string
	// Body is Markdown; what is longer than a forge takes is cut.
	Body string
	// ID is hidden in the body. It names who the pull request belongs to, such
	// as an automation with namespace, name and UID.
	ID string
	// Labels are added. Those that others put on stay.
	Labels []string
}

// PullRequest is one that exists.
type PullRequest struct {
	// Number is what people call it by; at GitLab the iid.
	Number int64
	// URL is that of the page for people.
	URL string
	// State is open, merged or closed.
	State       string
	Head, Base  string
	Author      string
	Title, Body string
	Labels      []string
	Merged      bool

	authorID int64
	// sameRepository: it does not come from a fork.
	sameRepository bool
}

// Shows reports whether p is as r asks for, so that no update is needed.
func (p PullRequest) Shows(r Request) bool {
	r = r.rendered()
	for _, label := range r.Labels {
		if !slices.Contains(p.Labels, label) {
			return false
		}
	}
	// Forges keep line ends of web forms as CRLF.
	body := strings.TrimSpace(strings.ReplaceAll(p.Body, "\r\n", "\n"))
	return p.Title == r.Title && body == strings.TrimSpace(r.Body) && p.Base == r.Base
}

// Client talks to the forge of one repository with one token. It is safe for
// concurrent use. Its errors wrap one of the Err variables of this package, or
// the error of the context; they hold neither the token nor anything that the
// forge answered.
type Client interface {
	// Find returns our pull requests of a branch, open ones first and the
	// latest before older ones. Of closed ones, old ones may be missing.
	Find(ctx context.Context, head, id string) ([]PullRequest, error)
	// Open opens a pull request. If the forge says that the branch has one,
	// and it is ours, that one is updated instead; if it is not, the error is
	// an ErrConflict. If labels cannot be set the pull request is returned
	// with the error.
	Open(ctx context.Context, r Request) (PullRequest, error)
	// Update brings title, body, base and labels up to date.
	Update(ctx context.Context, number int64, r Request) (PullRequest, error)
	// Close closes a pull request and then, unless it is "", says why in a
	// comment.
	Close(ctx context.Context, number int64, comment string) error
}

// Options say where the forge is and who we are.
type Options struct {
	Provider imagev1.Forge
	// APIURL is the base of the API. "": what the provider uses at the host of
	// the repository.
	APIURL string
	// RepositoryURL is that of the Git repository: http, https, ssh, or the
	// form user@host:path of scp.
	RepositoryURL string
	// Token is sent to the API and nowhere else.
	Token string
	// CA holds PEM certificates to trust beside those of the system.
	CA []byte
	// Dialer connects. Plain http is refused unless its policy allows local
	// addresses.
	Dialer *dial.Dialer
	// AllowedHosts may be the host of APIURL though the repository is
	// elsewhere: "host" or "host:port".
	AllowedHosts []string
}

// New returns a client. Nothing is sent yet. The error wraps ErrHost if the
// token would go to a host that is not the repository's, and ErrRejected for
// anything else in the options that cannot work.
func New(o Options) (Client, error) {
	at, err := locate(o.Provider, o.RepositoryURL, o.APIURL, o.AllowedHosts, o.Dialer.AllowsLocal())
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(o.Token) == "" {
		return nil, &Error{Class: ErrAuthentication, text: "the token for " + at.api.Host + " is empty"}
	}
	a, err := newAPI(at, o)
	if err != nil {
		return nil, err
	}
	switch o.Provider {
	case imagev1.ForgeGitLab:
		return &client{dialect: &gitlab{a}}, nil
	case imagev1.ForgeGitea:
		return &client{dialect: &gitea{hub{a}}}, nil
	default:
		return &client{dialect: &github{hub{a}}}, nil
	}
}

// user is who a token belongs to.
type user struct {
	id   int64
	name string
}

// dialect is what differs from forge to forge. Requests come rendered.
type dialect interface {
	user(ctx context.Context) (user, error)
	// list returns the pull requests from head, of anybody, open ones and
	// those closed lately. It may return more.
	list(ctx context.Context, head string, author user) ([]PullRequest, error)
	create(ctx context.Context, r Request) (PullRequest, error)
	edit(ctx context.Context, number int64, r Request) (PullRequest, error)
	// label adds labels, where create and edit do not.
	label(ctx context.Context, number int64, labels []string) error
	shut(ctx context.Context, number int64) error
	comment(ctx context.Context, number int64, text string) error
}

// client is the part that all forges have in common.
type client struct {
	dialect

	mu sync.Mutex
	me user
}

// whoami asks once whose the token is.
func (c *client) whoami(ctx context.Context) (user, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.me.id == 0 {
		me, err := c.user(ctx)
		if err != nil {
			return user{}, err
		}
		c.me = me
	}
	return c.me, nil
}

func (c *client) Find(ctx context.Context, head, id string) ([]PullRequest, error) {
	me, err := c.whoami(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.list(ctx, head, me)
	if err != nil {
		return nil, err
	}
	ours := slices.DeleteFunc(all, func(p PullRequest) bool {
		return p.Head != head || !p.sameRepository || p.authorID != me.id || !hasID(p.Body, id)
	})
	slices.SortFunc(ours, byRelevance)
	return ours, nil
}

// byRelevance puts open ones first, and then the highest number.
func byRelevance(a, b PullRequest) int {
	if open := a.State == StateOpen; open != (b.State == StateOpen) {
		if open {
			return -1
		}
		return 1
	}
	return int(b.Number - a.Number)
}

func (c *client) Open(ctx context.Context, r Request) (PullRequest, error) {
	p, err := c.create(ctx, r.rendered())
	if isExists(err) {
		return c.adopt(ctx, r)
	}
	if err != nil {
		return PullRequest{}, err
	}
	return p, c.label(ctx, p.Number, r.Labels)
}

// adopt updates the pull request that the forge says there is already: an
// earlier answer was lost.
func (c *client) adopt(ctx context.Context, r Request) (PullRequest, error) {
	ours, err := c.Find(ctx, r.Head, r.ID)
	if err != nil {
		return PullRequest{}, err
	}
	if len(ours) == 0 || ours[0].State != StateOpen {
		return PullRequest{}, &Error{Class: ErrConflict, text: fmt.Sprintf(
			"the branch %s has an open pull request that was not opened by this automation and token; close it, or push to another branch", r.Head)}
	}
	return c.Update(ctx, ours[0].Number, r)
}

func (c *client) Update(ctx context.Context, number int64, r Request) (PullRequest, error) {
	p, err := c.edit(ctx, number, r.rendered())
	if err != nil {
		return PullRequest{}, err
	}
	missing := slices.DeleteFunc(slices.Clone(r.Labels), func(l string) bool { return slices.Contains(p.Labels, l) })
	return p, c.label(ctx, number, missing)
}

func (c *client) Close(ctx context.Context, number int64, comment string) error {
	// The other order would comment again at each retry of a failed close.
	if err := c.shut(ctx, number); err != nil || comment == "" {
		return err
	}
	return c.comment(ctx, number, cut(inert(comment), maxBody, cutNote))
}
