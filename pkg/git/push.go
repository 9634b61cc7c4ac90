// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// checkTime bounds finding out whether a push arrived whose answer did not.
	checkTime = 10 * time.Second
	// maxOption and maxOptions bound push options, as forges do.
	maxOption, maxOptions = 1024, 100
)

// Push changes references of a remote.
type Push struct {
	// Updates happen together or not at all, if the server can do that.
	Updates []Update
	// Options are passed to the server's hooks, such as "ci.skip" or "key=value".
	Options []string
}

// Update changes one reference.
type Update struct {
	// Ref is a full name.
	Ref string
	// Old is the hash that the server must still have; empty if the reference
	// must not exist yet.
	Old string
	// New is what the reference is to point to.
	New *Commit
	// Delete removes the reference instead.
	Delete bool
}

// target returns the hash that the reference is to have, "" if none.
func (u Update) target() string {
	if u.Delete {
		return ""
	}
	return u.New.Hash
}

// Push sends commits that were read or drafted inside of the same Read, with
// those objects only that are new, and moves references to them. It succeeds
// where the references are at their new commits already, and finds out by itself
// what became of a push whose answer was lost. Afterwards the store has the
// commits. Errors are an ErrNonFastForward where a reference is not at Old,
// ErrDeclined where a hook or a rule of the server is against it, ErrProtected
// where that is so whatever is pushed, ErrPushOptions where the server takes
// none, or ErrAuthentication and ErrNotFound.
func (s *Store) Push(ctx context.Context, remote *Remote, p Push) error {
	if err := p.check(); err != nil {
		return err
	}
	if err := remote.push(ctx, p, s.limits); err != nil {
		return remote.wrap("unable to push to", err)
	}
	r := s.acquire(remote.key)
	defer s.release(r)
	// The push is done: what cannot be kept is fetched by the next Read.
	_ = r.keep(context.WithoutCancel(ctx), p, s.limits)
	return nil
}

// check refuses what no server should see.
func (p Push) check() error {
	seen := map[string]bool{}
	for _, u := range p.Updates {
		switch {
		case !validRef(u.Ref):
			return fmt.Errorf("push: %q is not a full name of a reference", u.Ref)
		case seen[u.Ref]:
			return fmt.Errorf("push: '%s' is to be changed twice", u.Ref)
		case u.Old != "" && !validHash(u.Old):
			return fmt.Errorf("push: the old commit of '%s' is not a hash", u.Ref)
		case u.Delete == (u.New != nil):
			return fmt.Errorf("push: '%s' needs either a new commit or to be deleted", u.Ref)
		}
		seen[u.Ref] = true
	}
	if len(p.Updates) == 0 {
		return errors.New("push: there is nothing to change")
	}
	if len(p.Options) > maxOptions {
		return failf(ErrPushOptions, "push: there are more than %d push options", maxOptions)
	}
	for _, option := range p.Options {
		if option == "" || len(option) > maxOption || strings.ContainsFunc(option, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return failf(ErrPushOptions, "push: a push option has to be one line of at most %d bytes", maxOption)
		}
	}
	return nil
}

// validRef reports whether the name follows the rules of git check-ref-format.
func validRef(name string) bool {
	if !strings.HasPrefix(name, "refs/") || len(name) > 1024 || strings.HasSuffix(name, ".") {
		return false
	}
	if strings.Contains(name, "..") || strings.Contains(name, "@{") ||
		strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// push makes one attempt.
func (r *Remote) push(ctx context.Context, p Push, limits Limits) error {
	info, err := r.startPush(ctx, p.Updates)
	// Whatever comes next begins a conversation of its own.
	defer func() { r.info, r.spent = nil, true }()
	if err != nil {
		return err
	}
	updates, err := pending(info, p.Updates)
	if err != nil || len(updates) == 0 {
		return err
	}
	if len(p.Options) > 0 && !info.has("push-options") {
		return failf(ErrPushOptions, "the server takes no push options: remove them, or allow them there (receive.advertisePushOptions)")
	}
	pack, err := packFor(updates, !info.has("no-thin"))
	if err != nil {
		return err
	}
	if int64(len(pack)) > limits.Transfer {
		return failf(ErrTooLarge, "the push has more than %d bytes, the limit of --git-max-transfer-size", limits.Transfer)
	}
	rep, err := r.send(ctx, info, pushRequest(info, updates, p.Options, pack), updates)
	if err == nil {
		err = rep.failure(updates)
	}
	if err == nil {
		return nil
	}
	return r.settle(ctx, updates, err)
}

// startPush returns what the server can do, and where the references are.
func (r *Remote) startPush(ctx context.Context, updates []Update) (*serverInfo, error) {
	body, err := r.conn.advertise(ctx, receivePackProgram)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	info, err := readAdvertisement(body, func(name string) bool {
		return slices.ContainsFunc(updates, func(u Update) bool { return u.Ref == name })
	})
	if err == nil && info.v2 {
		err = errPacket // No server pushes in version 2.
	}
	return info, inTime(ctx, err)
}

// pending returns the updates that are not done yet.
func pending(info *serverInfo, updates []Update) ([]Update, error) {
	at := map[string]string{}
	for _, found := range info.refs {
		at[found.name] = found.hash
	}
	var todo []Update
	for _, u := range updates {
		switch at[u.Ref] {
		case u.target():
			continue
		case u.Old:
			todo = append(todo, u)
		case "":
			return nil, failf(ErrNonFastForward, "'%s' does not exist any more", u.Ref)
		default:
			return nil, failf(ErrNonFastForward, "'%s': %s", u.Ref, movedText)
		}
		if u.Delete && !info.has("delete-refs") {
			return nil, failf(ErrProtected, "the server does not let '%s' be deleted", u.Ref)
		}
	}
	return todo, nil
}

// packFor returns the pack that goes with the updates; nil if there are only
// deletions, which have none.
func packFor(updates []Update, thin bool) ([]byte, error) {
	var commits []*Commit
	for _, u := range updates {
		if !u.Delete {
			commits = append(commits, u.New)
		}
	}
	if len(commits) == 0 {
		return nil, nil
	}
	list, err := commits[0].objects.newObjects(commits...)
	if err != nil {
		return nil, err
	}
	return commits[0].objects.pack(list, thin)
}

// send sends the request and reads the report. A server that reports nothing is
// asked where the references are.
func (r *Remote) send(ctx context.Context, info *serverInfo, request []byte, updates []Update) (report, error) {
	body, err := r.conn.request(ctx, request)
	if err != nil {
		return report{}, inTime(ctx, err)
	}
	defer func() { _ = body.Close() }()
	if !info.has("report-status") {
		_, err := io.Copy(io.Discard, limited(body, maxReport))
		return report{}, errors.Join(errNoReport, inTime(ctx, err))
	}
	rep, err := readReport(limited(body, maxReport), info.has("side-band-64k"), updates)
	return rep, inTime(ctx, err)
}

var errNoReport = errors.New("the server does not tell what became of the push, and the references are where they were")

// settle finds out what really happened to a push that failed with cause: the
// answer may have been lost after the push arrived, and words about a reference
// can mean that it moved.
func (r *Remote) settle(ctx context.Context, updates []Update, cause error) error {
	if errors.Is(cause, ErrAuthentication) || errors.Is(cause, ErrNotFound) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	r.info, r.spent = nil, true
	names := make([]string, len(updates))
	for i, u := range updates {
		names[i] = u.Ref
	}
	at, err := r.refs(ctx, names)
	if err != nil {
		return cause
	}
	done, moved := 0, ""
	for _, u := range updates {
		switch at[u.Ref] {
		case u.target():
			done++
		case u.Old:
		default:
			moved = u.Ref
		}
	}
	switch {
	case done == len(updates):
		return nil
	case moved != "":
		return &classed{class: ErrNonFastForward, text: fmt.Sprintf("'%s': %s", moved, movedText), cause: cause}
	case errors.Is(cause, ErrNonFastForward):
		return errors.New("the server could not write the references, which are where they were")
	}
	return cause
}

// Refs returns what the references, by their full names, point to at the moment:
// an annotated tag to itself. Those that do not exist are left out.
func (s *Store) Refs(ctx context.Context, remote *Remote, names ...string) (map[string]string, error) {
	at, err := remote.refs(ctx, names)
	if err != nil {
		return nil, remote.wrap("unable to list remote for", err)
	}
	return at, nil
}

func (r *Remote) refs(ctx context.Context, names []string) (map[string]string, error) {
	refs, err := r.list(ctx, names...)
	if err != nil {
		return nil, err
	}
	at := make(map[string]string, len(names))
	for _, found := range refs {
		if slices.Contains(names, found.name) {
			at[found.name] = found.hash
		}
	}
	return at, nil
}

// keep stores what was pushed. The caller reads the repository.
func (r *repo) keep(ctx context.Context, p Push, limits Limits) error {
	if packs, err := r.packs(); err != nil || len(packs) >= maxPacks {
		return err // The next fetch starts over, and so has to be one.
	}
	for _, u := range p.Updates {
		if u.Delete || u.New.objects.drafts[plumbing.NewHash(u.New.Hash)] == nil {
			continue
		}
		list, err := u.New.objects.newObjects(u.New)
		if err != nil {
			return err
		}
		pack, err := u.New.objects.pack(list, false)
		if err != nil {
			return err
		}
		if err := r.add(ctx, bytes.NewReader(pack), limits, u.New.objects); err != nil {
			return err
		}
		r.adding.Lock()
		err = r.setTips(append(r.tips(), u.New.Hash))
		r.adding.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
