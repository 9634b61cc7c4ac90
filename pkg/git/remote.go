// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package git reads and writes repositories: it asks a remote what a reference
// points to, fetches the objects of one commit into a store on disk, only those
// that are missing, and reads files from there. It makes new commits in memory,
// without a worktree, and pushes them.
//
// It speaks the protocol itself, version 2 with version 0 as the fallback, and
// uses go-git for the formats of objects and packs. go-git's own transports
// list every reference of a repository at each look, dial without asking, and
// hold a pack in memory.
package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/pkg/dial"
)

// Algorithms restricts what SSH negotiates; empty lists leave Go's defaults.
type Algorithms struct {
	KeyExchange, HostKey []string
}

// Remote is a repository elsewhere, seen with one set of credentials. It is
// not safe for concurrent use. Close ends its connections.
type Remote struct {
	name string
	key  string
	conn conn
	info *serverInfo
	// spent: the conversation cannot take another request.
	spent bool
	// listed: the program at the other end, where it is one for the whole
	// conversation, has read its references and will not read them again.
	listed bool
}

// NewRemote prepares access to the http, https or ssh URL. It does not connect
// yet. Errors are an ErrAuthentication where the credentials cannot be used.
func NewRemote(rawURL string, auth Auth, dialer *dial.Dialer, algorithms Algorithms) (*Remote, error) {
	u, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	r := &Remote{key: auth.Key(rawURL), name: displayName(u)}
	if u.Scheme == "ssh" {
		r.conn, err = newSSHConn(u, auth, dialer, algorithms)
	} else {
		r.conn, err = newHTTPConn(u, auth, dialer)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// ParseURL parses the URL of a repository. The error does not quote it: an
// invalid URL cannot be shown without a risk for the password in it.
func ParseURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("the URL is not valid")
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ssh":
		return nil, fmt.Errorf("the scheme %q of the URL is not one of http, https and ssh", u.Scheme)
	case u.Path == "" || u.Path == "/":
		return nil, errors.New("the URL has no path, which would name the repository")
	}
	return u, nil
}

// displayName returns the URL without what may be secret.
func displayName(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return shown.String()
}

// Close ends the connections of r.
func (r *Remote) Close() { r.conn.close() }

// wrap names the remote in err.
func (r *Remote) wrap(doing string, err error) error {
	return fmt.Errorf("%s '%s': %w", doing, r.name, err)
}

// start begins a conversation, after which r.info is set.
func (r *Remote) start(ctx context.Context, prefixes []string) (err error) {
	r.info, r.spent, r.listed = nil, false, false
	body, err := r.conn.advertise(ctx, uploadPack)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	r.info, err = readAdvertisement(body, func(name string) bool { return hasPrefix(name, prefixes) })
	return inTime(ctx, err)
}

// inTime replaces the error of a stream that the context ended.
func inTime(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("the server did not answer in time: %w", ctx.Err())
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server ended its answer early: %w", err)
	}
	return err
}

func hasPrefix(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// list returns the remote's references that begin with one of the prefixes.
func (r *Remote) list(ctx context.Context, prefixes ...string) ([]ref, error) {
	if r.info == nil || !r.info.v2 || r.spent || r.listed {
		if err := r.start(ctx, prefixes); err != nil {
			return nil, err
		}
	}
	if !r.info.v2 {
		return r.info.refs, nil
	}
	body, err := r.conn.request(ctx, listRequest(prefixes))
	if err != nil {
		r.spent = true
		return nil, err
	}
	defer func() { _ = body.Close() }()
	refs, err := readList(limited(body, maxAdvertisement))
	r.spent, r.listed = err != nil, !r.conn.again(false)
	return refs, inTime(ctx, err)
}

// fetch sends the wish and passes the pack that comes back to take.
func (r *Remote) fetch(ctx context.Context, w wish, take func(io.Reader) error) error {
	if r.info == nil || r.spent {
		if err := r.start(ctx, nil); err != nil {
			return err
		}
	}
	body, err := r.conn.request(ctx, fetchRequest(r.info, w))
	r.spent = !r.conn.again(r.info.v2)
	if err != nil {
		r.spent = true
		return err
	}
	defer func() { _ = body.Close() }()
	pack, err := packOf(body, r.info, w)
	if err == nil {
		err = take(pack)
	}
	if err != nil {
		r.spent = true
	}
	return inTime(ctx, err)
}

// shallow reports whether the server sends commits without their history.
func (s *serverInfo) shallow() bool {
	if s.v2 {
		return slices.Contains(strings.Fields(s.capabilities["fetch"]), "shallow")
	}
	return s.has("shallow")
}

// canWant reports whether the server hands out a commit that no reference
// points to. Version 2 always does.
func (r *Remote) canWant() bool {
	return r.info.v2 || r.info.has("allow-any-sha1-in-want") || r.info.has("allow-reachable-sha1-in-want")
}
