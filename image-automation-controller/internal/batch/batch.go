// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package batch writes the commits of many automations to a branch with one
// fetch and one push.
package batch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
)

// defaultTimeout is that of a job that names none.
const defaultTimeout = time.Minute

// Target says where commits go. Jobs whose targets have the same Key go
// together.
type Target struct {
	URL  string
	Auth git.Auth
	// Checkout is what plans are made on.
	Checkout git.Reference
	// Branch is the short name of the branch that is pushed to, and Base that of
	// the one that is checked out, "" if Checkout is none. Where they differ each
	// run starts at Checkout and replaces what is on Branch, provided that nobody
	// pushes there meanwhile.
	Branch, Base string
	// Refspec is pushed too: "<branch>:<full reference>". It does not force.
	Refspec string
	// Options go to the server with the push, as "key=value", or as "key" where
	// the value is empty.
	Options map[string]string
	// Lease may refuse to replace a commit that is on Branch, where Branch is not
	// Base. It is asked about the head and what is below, until it refuses one:
	// that has to be a commit of the base. Nil replaces anything. It is no part
	// of the Key.
	Lease func(c *git.Commit) error
}

// Key returns a hash of everything that jobs must have in common to share a push.
func (t Target) Key() string {
	h := sha256.New()
	part := func(s string) {
		// Lengths keep "ab"+"c" apart from "a"+"bc".
		_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
		_, _ = io.WriteString(h, s)
	}
	c := t.Checkout
	for _, s := range [...]string{t.Auth.Key(t.URL), c.Commit, c.Name, c.SemVer, c.Tag, c.Branch, t.Branch, t.Base, t.Refspec} {
		part(s)
	}
	for _, option := range slices.Sorted(maps.Keys(t.Options)) {
		part(option)
		part(t.Options[option])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// host is what the number of connections is bounded by.
func (t Target) host() string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Job is what one automation wants to do to a branch.
type Job struct {
	// Owner is the automation. It has at most one job that waits.
	Owner  types.NamespacedName
	Target Target
	// Timeout of each: to fetch, to plan, to push. Zero means a minute.
	Timeout time.Duration
	// Plan looks at the tip and returns what to commit on top of it, or nil for
	// nothing. It may run several times, when somebody else was faster, and then
	// the last run counts. It must not keep what it was given.
	Plan func(ctx context.Context, tip Tip) (*git.Draft, error)
}

// Tip is what a plan is made on.
type Tip struct {
	// Commit may be a draft of another job that goes first.
	Commit *git.Commit
	// Revision names it, such as "main@sha1:…".
	Revision string
	// History walks from Commit to older ones; see git.Store.History.
	History func(limit int, visit func(*git.Commit) (more bool, err error)) error
}

// Outcome is what became of a job.
type Outcome struct {
	// Commit is the hash of the job's own commit, now on the branch; "" if there
	// was nothing to commit. Where Branch is not Base it may have been there
	// before, just as it would be made now.
	Commit string
	// Revision of the tip that the last plan was made on.
	Revision string
	// Head is what the branch points to after this; "" if it does not exist.
	Head string
	// Err is what Plan returned or why its commit did not get there.
	Err error
}

// Batcher runs jobs. It is a manager.Runnable for the leader: nothing is written
// before Start. It is safe for concurrent use.
type Batcher struct {
	store      *git.Store
	dialer     *dial.Dialer
	algorithms git.Algorithms
	wake       func(types.NamespacedName)
	log        logr.Logger
	slots      *slots

	mu       sync.Mutex
	ctx      context.Context //nolint:containedctx // That of Start, for runs that Submit begins.
	running  sync.WaitGroup
	queues   map[string]*queue
	waiting  map[types.NamespacedName]*task
	active   map[types.NamespacedName]*task
	outcomes map[types.NamespacedName]Outcome
}

// New returns a Batcher that keeps objects in store and calls wake, from its own
// goroutines, for each owner whose Outcome can be taken.
func New(store *git.Store, dialer *dial.Dialer, algorithms git.Algorithms, wake func(types.NamespacedName), log logr.Logger) *Batcher {
	return &Batcher{
		store: store, dialer: dialer, algorithms: algorithms, wake: wake, log: log,
		slots:    newSlots(),
		queues:   map[string]*queue{},
		waiting:  map[types.NamespacedName]*task{},
		active:   map[types.NamespacedName]*task{},
		outcomes: map[types.NamespacedName]Outcome{},
	}
}

// NeedLeaderElection says that two processes must not do this at once.
func (b *Batcher) NeedLeaderElection() bool { return true }

// Start runs jobs until ctx ends, and returns when the last one has.
func (b *Batcher) Start(ctx context.Context) error {
	b.mu.Lock()
	b.ctx = ctx
	for _, q := range b.queues {
		b.begin(q) //nolint:contextcheck // It takes the one that was just set.
	}
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.ctx = nil
	b.mu.Unlock()
	b.running.Wait()
	return nil
}

// Submit queues a job. It replaces one of the same owner that has not begun.
func (b *Batcher) Submit(j Job) {
	if j.Timeout <= 0 {
		j.Timeout = defaultTimeout
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unqueue(j.Owner)
	key := j.Target.Key()
	q := b.queues[key]
	if q == nil {
		q = &queue{key: key, host: j.Target.host(), arrived: make(chan struct{}, 1)}
		b.queues[key] = q
	}
	t := &task{job: j, queue: q}
	t.wanted, t.cancel = context.WithCancel(context.Background())
	q.tasks = append(q.tasks, t)
	b.waiting[j.Owner] = t
	select {
	case q.arrived <- struct{}{}:
	default:
	}
	b.begin(q)
}

// Take returns the outcome of the owner's last job that ended, once.
func (b *Batcher) Take(owner types.NamespacedName) (Outcome, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, found := b.outcomes[owner]
	delete(b.outcomes, owner)
	return o, found
}

// Pending reports whether a job of the owner waits or runs.
func (b *Batcher) Pending(owner types.NamespacedName) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting[owner] != nil || b.active[owner] != nil
}

// Cancel drops the jobs of the owner and their outcomes. A commit that is being
// pushed at the moment is pushed.
func (b *Batcher) Cancel(owner types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unqueue(owner)
	if t := b.active[owner]; t != nil {
		t.cancel()
		delete(b.active, owner)
	}
	delete(b.outcomes, owner)
}

// unqueue removes a job that has not begun.
func (b *Batcher) unqueue(owner types.NamespacedName) {
	t := b.waiting[owner]
	if t == nil {
		return
	}
	delete(b.waiting, owner)
	t.queue.tasks = slices.DeleteFunc(t.queue.tasks, func(other *task) bool { return other == t })
	if len(t.queue.tasks) == 0 && !t.queue.busy {
		delete(b.queues, t.queue.key)
	}
}

// deliver hands out an outcome, unless nobody waits for it any more.
func (b *Batcher) deliver(t *task, o Outcome) {
	defer t.cancel()
	owner := t.job.Owner
	b.mu.Lock()
	wanted := b.active[owner] == t
	if wanted {
		delete(b.active, owner)
		b.outcomes[owner] = o
	}
	b.mu.Unlock()
	if wanted {
		b.wake(owner)
	}
}

// options writes push options the way servers read them.
func options(m map[string]string) []string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if m[key] == "" {
			list = append(list, key)
			continue
		}
		list = append(list, fmt.Sprintf("%s=%s", key, m[key]))
	}
	return list
}
