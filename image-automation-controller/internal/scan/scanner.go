// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package scan looks for the tags of repositories in the background, once for
// each repository and credential however many users it has, and keeps what it
// found in memory and on disk.
package scan

import (
	"container/list"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/weir-gitops/weir/pkg/oci"
)

// Defaults of Options.
const (
	defaultMaxBytes    = 1 << 30
	defaultMemoryBytes = 64 << 20
	defaultWorkers     = 32
	defaultPerHost     = 4
	defaultTimeout     = time.Minute
	defaultMinRetry    = 5 * time.Second
	defaultMaxRetry    = 10 * time.Minute

	// servedFor is how long an owner has what it waited for, however old it
	// says that it may be.
	servedFor = time.Second
	// forgetAfter is how long a key is remembered that nobody asks for.
	forgetAfter = time.Hour
)

// Options configure a Scanner.
type Options struct {
	// Client reads the registries.
	Client *oci.Client
	// Dir is where results are kept, MaxBytes how many bytes of them, 1 GiB by
	// default. What is lost is scanned again. Without a Dir all is in memory.
	Dir      string
	MaxBytes int64
	// MemoryBytes bounds the results in memory of those that are on disk too,
	// 64 MiB by default. Four times as much may be in memory if the disk does
	// not take them; more are forgotten, and scanned again.
	MemoryBytes int64
	// Workers is how many scans are under way at once, 32 by default; a quarter
	// of them may be for repositories whose last scan failed, and a quarter for
	// the same namespace. PerHost is how many of them are for the same host and
	// credential, 4 by default.
	Workers, PerHost int
	// MinRetry and MaxRetry bound how long a repository is left alone after a
	// scan that failed, 5 s and 10 min by default. A registry that says for how
	// long is left alone for so long.
	MinRetry, MaxRetry time.Duration
	// Log is told when the cache cannot be written, and when it can again.
	Log logr.Logger
}

// Key says what is scanned.
type Key struct {
	Repository oci.Repository
	Access     oci.Access
	// Timeout of the scan, one minute by default. It is no part of the
	// identity: it is that of whoever asked last.
	Timeout time.Duration
	// Namespace is that of whoever asks, and no part of the identity either: many
	// names of dead registries in one namespace leave room for the others.
	Namespace string
}

func (k Key) id() string    { return k.Access.Key() + " " + k.Repository.String() }
func (k Key) group() string { return k.Access.Key() + " " + k.Repository.Host() }

// Stats tell what a Scanner does and holds.
type Stats struct {
	// Keys are known; Queued and Running are scans; Scans and Failures count
	// those that ended, the failed ones among them.
	Keys, Queued, Running int
	Scans, Failures       int64
	// MemoryBytes and DiskBytes are those of results.
	MemoryBytes, DiskBytes int64
}

// Scanner scans repositories. It is safe for concurrent use. Scans are only
// under way while Start runs.
type Scanner struct {
	options Options
	store   *store
	workers sync.WaitGroup

	kick     chan struct{}
	mu       sync.Mutex
	entries  map[string]*entry
	queue    queue
	memory   *list.List // of *entry with a result, the last used one at the front
	bytes    int64
	scans    int64
	failures int64
	swept    time.Time
	diskDown bool
}

// entry is what is known of a key.
type entry struct {
	key Key
	id  string
	// space is the namespace that the scan under way counts for.
	space  string
	result *Result
	err    error
	// failed counts the scans that failed since the last good one; notBefore is
	// when the next may begin.
	failed    int
	notBefore time.Time
	// pending says that a scan is queued, waits for notBefore or is under way.
	pending bool
	// delayed queues the scan at notBefore.
	delayed *time.Timer
	loaded  bool // the disk was asked
	onDisk  bool
	used    time.Time
	element *list.Element
	// waiting are woken when the next scan ends; served are those who waited
	// for the last one since before it began, and when they took it.
	waiting map[string]func()
	served  map[string]time.Time
}

// serve says whether the last scan is the one that an owner waited for. It is
// for a moment, in which an owner may ask several times.
func (e *entry) serve(owner string) bool {
	taken, found := e.served[owner]
	if found && taken.IsZero() {
		e.served[owner] = e.used
		return true
	}
	if found && e.used.Sub(taken) > servedFor {
		delete(e.served, owner)
		return false
	}
	return found
}

// New returns a Scanner.
func New(o Options) *Scanner {
	o.MaxBytes = orDefault(o.MaxBytes, defaultMaxBytes)
	o.MemoryBytes = orDefault(o.MemoryBytes, defaultMemoryBytes)
	o.Workers = orDefault(o.Workers, defaultWorkers)
	o.PerHost = orDefault(o.PerHost, defaultPerHost)
	o.MinRetry = orDefault(o.MinRetry, defaultMinRetry)
	o.MaxRetry = orDefault(o.MaxRetry, defaultMaxRetry)
	return &Scanner{
		options: o, store: newStore(o.Dir, o.MaxBytes), entries: map[string]*entry{}, memory: list.New(),
		queue: newQueue(o.Workers, o.PerHost), kick: make(chan struct{}, 1),
	}
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}

// Start scans until ctx ends, and returns when the last scan has ended.
func (s *Scanner) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		s.dispatch(ctx)
		select {
		case <-s.kick:
		case <-ctx.Done():
		}
	}
	s.workers.Wait()
	return nil
}

// wakeUp lets Start look at the queue.
func (s *Scanner) wakeUp() {
	select {
	case s.kick <- struct{}{}:
	default: // It is going to look anyway.
	}
}

// Get returns the last known result for a key, nil if there is none, and never
// waits. It is fresh if the scan began at most maxAge ago, or if it is the one
// that this owner waited for and took at most a second ago; maxAge may be zero
// to ask for a scan that begins now. If it is not fresh, a scan is under way or will be, and wake is called
// once, from another goroutine, when it has ended; a later call of the same
// owner replaces wake. err is that of the last scan if that failed; then the
// result is that of an older one.
func (s *Scanner) Get(key Key, maxAge time.Duration, owner string, wake func()) (r *Result, fresh bool, err error) {
	id := key.id()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(id, key)
	if e.result == nil && !e.loaded {
		s.mu.Unlock()
		loaded := s.store.load(id)
		s.mu.Lock()
		s.loaded(e, loaded)
	}
	e.used = time.Now()
	if e.element != nil {
		s.memory.MoveToFront(e.element)
	}
	if e.result != nil && (e.serve(owner) || isFresh(e.result.At, e.used, maxAge)) {
		delete(e.waiting, owner)
		return e.result, true, nil
	}
	e.waiting[owner] = wake
	s.schedule(e)
	if e.used.Sub(e.notBefore) > errorAge {
		// Nobody has asked since. The scan that was just queued knows better.
		return e.result, false, nil
	}
	return e.result, false, e.err
}

// isFresh reports whether a scan that began then is young enough. One that a process
// with a clock ahead of this one has left on the disk is not: it would be for as
// long as that.
func isFresh(at, now time.Time, maxAge time.Duration) bool {
	age := now.Sub(at)
	return age >= 0 && age <= maxAge
}

// errorAge is how long after the time for another try a failure is told.
const errorAge = 10 * time.Second

// Drop forgets an owner: nothing wakes it any more.
func (s *Scanner) Drop(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		delete(e.waiting, owner)
		delete(e.served, owner)
	}
}

// Stats returns what the Scanner does and holds now.
func (s *Scanner) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Keys: len(s.entries), Queued: s.queue.length, Running: s.queue.running, Scans: s.scans, Failures: s.failures,
		MemoryBytes: s.bytes, DiskBytes: s.store.bytes(),
	}
}

// entry returns that of a key.
func (s *Scanner) entry(id string, key Key) *entry {
	s.sweep()
	e, found := s.entries[id]
	if !found {
		e = &entry{id: id, waiting: map[string]func(){}, served: map[string]time.Time{}, used: time.Now()}
		s.entries[id] = e
	}
	e.key = key
	return e
}

// sweep forgets, once in a while, the keys that nobody asks for.
func (s *Scanner) sweep() {
	now := time.Now()
	if now.Sub(s.swept) < forgetAfter/10 {
		return
	}
	s.swept = now
	for id, e := range s.entries {
		if !e.pending && now.Sub(e.used) > forgetAfter {
			s.evict(e)
			delete(s.entries, id)
		}
	}
}

// loaded takes over what the disk had, unless there is something newer.
func (s *Scanner) loaded(e *entry, r *Result) {
	e.loaded = true
	if e.result == nil && r != nil {
		s.hold(e, r, true)
	}
}

// hold keeps a result in memory and makes room for it.
func (s *Scanner) hold(e *entry, r *Result, onDisk bool) {
	s.evict(e)
	e.result, e.onDisk, e.loaded = r, onDisk, true
	e.element = s.memory.PushFront(e)
	s.bytes += r.Size()
	for element := s.memory.Back(); element != nil && s.bytes > s.options.MemoryBytes; {
		old, _ := element.Value.(*entry)
		element = element.Prev()
		if old != e && (old.onDisk || s.bytes > 4*s.options.MemoryBytes) {
			s.evict(old)
		}
	}
}

// evict drops the result of an entry from memory; the disk may have it still.
func (s *Scanner) evict(e *entry) {
	if e.element == nil {
		return
	}
	s.memory.Remove(e.element)
	s.bytes -= e.result.Size()
	e.element, e.result, e.loaded = nil, nil, false
}

// schedule sees to it that a scan of an entry is going to be.
func (s *Scanner) schedule(e *entry) {
	if e.pending {
		return
	}
	e.pending = true
	delay := time.Until(e.notBefore)
	if delay <= 0 {
		s.queue.push(e)
		s.wakeUp()
		return
	}
	e.delayed = time.AfterFunc(delay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.queue.push(e)
		s.wakeUp()
	})
}

// Hurry has the next scan of a key wait no longer because of a failure, unless
// the registry asked to be left alone. It is for people who ask again.
func (s *Scanner) Hurry(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key.id()]
	if e == nil || oci.RetryAfter(e.err) > 0 {
		return
	}
	e.notBefore = time.Time{}
	if e.delayed != nil && e.delayed.Stop() {
		s.queue.push(e)
		s.wakeUp()
	}
}

// dispatch begins as many scans as there may be.
func (s *Scanner) dispatch(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		e := s.queue.pop()
		if e == nil {
			return
		}
		// Whoever comes from now on may want to know of what is pushed later.
		before := slices.Collect(maps.Keys(e.waiting))
		failing, key, last := e.failed > 0, e.key, e.result
		s.workers.Go(func() { s.scan(ctx, e, key, last, failing, before) })
	}
}

// scan looks for the tags of an entry and tells those who wait for it.
func (s *Scanner) scan(ctx context.Context, e *entry, key Key, last *Result, failing bool, before []string) {
	begin := time.Now()
	limited, cancel := context.WithTimeout(ctx, orDefault(key.Timeout, defaultTimeout))
	defer cancel()
	if last == nil {
		last = s.store.load(e.id)
	}
	r, err := s.list(limited, key, last, begin)
	onDisk := false
	if err == nil {
		onDisk = s.save(e.id, r)
	}

	s.mu.Lock()
	s.queue.done(e, failing)
	e.pending = false
	e.served = map[string]time.Time{}
	switch {
	case err == nil:
		s.scans++
		e.err, e.failed, e.notBefore = nil, 0, time.Time{}
		s.hold(e, r, onDisk)
		for _, owner := range before {
			if _, waits := e.waiting[owner]; waits {
				e.served[owner] = time.Time{}
			}
		}
	case ctx.Err() == nil: // A scan that ended with the Scanner says nothing.
		s.scans++
		s.failures++
		e.err = err
		e.notBefore = time.Now().Add(s.pause(e.failed, err))
		e.failed++
	}
	wakes := slices.Collect(maps.Values(e.waiting))
	clear(e.waiting)
	s.wakeUp()
	s.mu.Unlock()
	for _, wake := range wakes {
		if wake != nil {
			wake()
		}
	}
}

// list asks the registry.
func (s *Scanner) list(ctx context.Context, key Key, last *Result, begin time.Time) (*Result, error) {
	var cond *oci.Validator
	if last != nil {
		cond = last.validator
	}
	tags, validator, notModified, err := s.options.Client.Tags(ctx, key.Repository, key.Access, cond)
	if err != nil {
		return nil, err
	}
	if notModified {
		return last.again(begin), nil
	}
	r := NewResult(begin, tags)
	r.validator = validator
	return r, nil
}

// save writes a result to disk and says whether it is there.
func (s *Scanner) save(id string, r *Result) bool {
	err := s.store.save(id, r)
	if errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	s.mu.Lock()
	changed := s.diskDown != (err != nil)
	s.diskDown = err != nil
	s.mu.Unlock()
	switch {
	case changed && err != nil:
		s.options.Log.Error(err, "cannot keep the tags of repositories on disk; they stay in memory", "dir", s.options.Dir)
	case changed:
		s.options.Log.Info("the tags of repositories are kept on disk again", "dir", s.options.Dir)
	default:
	}
	return err == nil
}

// pause returns how long a repository is left alone after a scan that failed,
// when failed ones came before.
func (s *Scanner) pause(failed int, err error) time.Duration {
	pause := s.options.MinRetry << min(failed, 20)
	if pause <= 0 || pause > s.options.MaxRetry {
		pause = s.options.MaxRetry
	}
	pause = max(pause, oci.RetryAfter(err))
	// What failed together should not come back together.
	return wait.Jitter(pause, 0.1)
}
