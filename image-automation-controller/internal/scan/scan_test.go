// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const deadline = 20 * time.Second

// serve starts a registry that ends with the test.
func serve(tb testing.TB, opts ...testkit.RegistryOption) *testkit.Registry {
	tb.Helper()
	server, err := testkit.NewRegistry(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.Close)
	return server
}

// start returns a scanner that scans until the test ends, or stop is called.
func start(tb testing.TB, o Options) (s *Scanner, stop func()) {
	tb.Helper()
	o.Client = oci.NewClient(oci.Options{
		Dialer: dial.New(dial.Policy{AllowLocal: true}), Rate: 100000, Burst: 100000,
	})
	if o.MinRetry == 0 {
		o.MinRetry = 20 * time.Millisecond
	}
	o.Log = logr.Discard()
	s = New(o)
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Start(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
		o.Client.Close()
	}
	tb.Cleanup(stop)
	return s, stop
}

func keyOf(tb testing.TB, server *testkit.Registry, repo string) Key {
	tb.Helper()
	parsed, err := oci.ParseRepository(server.Host + "/" + repo)
	if err != nil {
		tb.Fatal(err)
	}
	return Key{Repository: parsed, Access: oci.Access{Insecure: true}}
}

// await asks until the result is fresh, or a scan has failed, as a controller
// does.
func await(tb testing.TB, s *Scanner, key Key, maxAge time.Duration, owner string) (*Result, error) {
	tb.Helper()
	s.Drop(owner) // what it took a moment ago
	woken := make(chan struct{}, 1)
	for {
		r, fresh, err := s.Get(key, maxAge, owner, func() { woken <- struct{}{} })
		if fresh || err != nil {
			return r, err
		}
		select {
		case <-woken:
		case <-time.After(deadline):
			tb.Fatalf("%s is not woken", owner)
		}
	}
}

// until polls.
func until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatalf("not yet: %s", what)
		}
	}
}

func manyTags(n int) []string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf("v1.%d.%d-%x", i%50, i, uint32(i)*2654435761)
	}
	return tags
}

func TestGet(t *testing.T) {
	t.Parallel()
	server := serve(t)
	attachment := "sha256-" + strings.Repeat("0a", 32)
	server.SetTags("m", []string{"v2", "v1", "v2", attachment, attachment + ".sig", attachment + ".att", "sha256-abc", "latest.sig"})
	s, _ := start(t, Options{Dir: t.TempDir()})
	key := keyOf(t, server, "m")
	r, err := await(t, s, key, time.Hour, "a")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Tags(), []string{"latest.sig", "sha256-abc", "v1", "v2"}; !slices.Equal(got, want) || r.Count() != len(want) {
		t.Errorf("tags %q, want %q", got, want)
	}
	if again, err := await(t, s, key, time.Hour, "b"); err != nil || again != r {
		t.Errorf("another owner: %v, %v, want the same result", again, err)
	}
	if got := server.Requests("/tags/list"); got != 1 {
		t.Errorf("%d scans, want 1", got)
	}
	// A new scan is asked for, and is not asked for again once it has been.
	server.SetTags("m", []string{"v3"})
	newer, err := await(t, s, key, 0, "a")
	if err != nil || !slices.Equal(newer.Tags(), []string{"v3"}) || newer.Revision == r.Revision {
		t.Errorf("%v, %v, want v3", newer.Tags(), err)
	}
	// The owner may ask again in the same breath.
	if again, fresh, err := s.Get(key, 0, "a", nil); err != nil || !fresh || again != newer {
		t.Errorf("asked twice: %v, %v, %v, want the same", again, fresh, err)
	}
	if got := server.Requests("/tags/list"); got != 2 {
		t.Errorf("%d scans, want 2", got)
	}
	// Somebody else's credential is somebody else's scan.
	other := key
	other.Access.Username = "u"
	if _, err := await(t, s, other, time.Hour, "c"); err != nil || server.Requests("/tags/list") != 3 {
		t.Errorf("%v after %d scans, want 3", err, server.Requests("/tags/list"))
	}
}

func TestManyUsersShareOneScan(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", manyTags(10))
	release := make(chan struct{})
	server.Inject(func(*http.Request) testkit.RegistryFault {
		<-release
		return testkit.RegistryFault{}
	})
	s, _ := start(t, Options{})
	key := keyOf(t, server, "m")
	var woken atomic.Int32
	for i := range 50 {
		if r, fresh, err := s.Get(key, time.Hour, fmt.Sprint("owner", i), func() { woken.Add(1) }); r != nil || fresh || err != nil {
			t.Fatalf("%v, %v, %v, want nothing yet", r, fresh, err)
		}
	}
	s.Drop("owner7")
	close(release)
	until(t, "49 owners are woken", func() bool { return woken.Load() == 49 })
	for i := range 50 {
		if r, fresh, err := s.Get(key, time.Hour, fmt.Sprint("owner", i), nil); err != nil || !fresh || r.Count() != 10 {
			t.Fatalf("%v, %v, %v, want 10 tags", r, fresh, err)
		}
	}
	if got := server.Requests("/tags/list"); got != 1 {
		t.Errorf("%d scans, want 1", got)
	}
}

func TestWhoComesDuringAScanMayWantAnotherOne(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", []string{"v1"})
	entered, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	server.Inject(func(r *http.Request) testkit.RegistryFault {
		if strings.Contains(r.URL.Path, "/tags/") && first.CompareAndSwap(false, true) {
			close(entered)
			<-release
		}
		return testkit.RegistryFault{}
	})
	s, _ := start(t, Options{})
	key := keyOf(t, server, "m")
	if _, _, err := s.Get(key, time.Hour, "early", func() {}); err != nil {
		t.Fatal(err)
	}
	<-entered
	got := make(chan error, 1)
	go func() { // asks for a scan that begins now, while an older one is under way
		_, err := await(t, s, key, 0, "late")
		got <- err
	}()
	until(t, "the late one waits", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.entries[key.id()].waiting) == 2
	})
	close(release)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if scans := server.Requests("/tags/list"); scans != 2 {
		t.Errorf("%d scans, want 2", scans)
	}
}

func TestFailureKeepsTheLastResult(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", manyTags(10))
	s, _ := start(t, Options{Dir: t.TempDir()})
	key := keyOf(t, server, "m")
	good, err := await(t, s, key, time.Hour, "a")
	if err != nil {
		t.Fatal(err)
	}
	server.Inject(func(*http.Request) testkit.RegistryFault { return testkit.RegistryFault{Code: 500} })
	r, err := await(t, s, key, 0, "a")
	if !errors.Is(err, oci.ErrUnavailable) || r != good {
		t.Errorf("%v, %v, want the old result and the error", r, err)
	}
	if r, fresh, err := s.Get(key, time.Hour, "b", nil); err != nil || !fresh || r != good {
		t.Errorf("who is content with it: %v, %v, %v", r, fresh, err)
	}
	// The retries go on as long as somebody asks, each of them tells.
	woken := make(chan struct{}, 1)
	if _, fresh, err := s.Get(key, 0, "a", func() { woken <- struct{}{} }); fresh || err == nil {
		t.Errorf("%v, %v, want an error", fresh, err)
	}
	<-woken
	server.Inject(nil)
	until(t, "it recovers", func() bool {
		_, err := await(t, s, key, 0, "a")
		return err == nil
	})
	if stats := s.Stats(); stats.Failures < 2 || stats.Scans <= stats.Failures || stats.Keys != 1 {
		t.Errorf("stats %+v", stats)
	}
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	s := New(Options{MinRetry: time.Second, MaxRetry: time.Minute})
	for failed, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 3: 8 * time.Second, 10: time.Minute, 1000: time.Minute} {
		if got := s.pause(failed, errors.New("x")); got < want || got > want*11/10 {
			t.Errorf("after %d: %v, want %v and up to a tenth more", failed, got, want)
		}
	}
}

func TestThrottledRegistryIsLeftAlone(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.Inject(func(*http.Request) testkit.RegistryFault { return testkit.RegistryFault{Code: 429, RetryAfter: 3600} })
	s, _ := start(t, Options{})
	for i := range 20 {
		if _, err := await(t, s, keyOf(t, server, fmt.Sprint("m", i)), time.Hour, "a"); !errors.Is(err, oci.ErrThrottled) {
			t.Fatalf("error %v, want throttled", err)
		}
	}
	if got := server.Requests(""); got > 2 { // it is asked over https and http
		t.Errorf("%d requests were sent", got)
	}
}

func TestDeadRegistryHoldsNobody(t *testing.T) {
	t.Parallel()
	dead, live := serve(t), serve(t)
	dead.Inject(func(*http.Request) testkit.RegistryFault { return testkit.RegistryFault{Hang: true} })
	s, _ := start(t, Options{Workers: 8, PerHost: 2})
	for i := range 100 {
		key := keyOf(t, dead, fmt.Sprint("dead", i))
		key.Timeout = deadline
		if _, _, err := s.Get(key, time.Hour, "a", func() {}); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	for i := range 20 {
		repo := fmt.Sprint("live", i)
		live.SetTags(repo, manyTags(1))
		if _, err := await(t, s, keyOf(t, live, repo), time.Hour, "b"); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took > deadline/2 {
		t.Errorf("took %v", took)
	}
	if got := dead.Widest(); got > 2 {
		t.Errorf("%d scans of one host at once, want 2", got)
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	q := newQueue(4, 2)
	entryAt := func(host string, failed int) *entry {
		repo, err := oci.ParseRepository(host + ".example.com/m")
		if err != nil {
			t.Fatal(err)
		}
		return &entry{key: Key{Repository: repo}, failed: failed}
	}
	push := func(host string, failed, times int) {
		for range times {
			q.push(entryAt(host, failed))
		}
	}
	push("a", 0, 5)
	push("b", 0, 1)
	push("f", 1, 3)
	var order []string
	var begun []*entry
	for e := q.pop(); e != nil; e = q.pop() {
		order = append(order, e.key.Repository.Host()[:1])
		begun = append(begun, e)
	}
	// Two of a at most, in turns with b, and one of those that failed.
	if got := strings.Join(order, ""); got != "abaf" {
		t.Errorf("order %q, want abaf", got)
	}
	for _, e := range begun {
		q.done(e, e.failed > 0)
	}
	if q.running != 0 || q.failing != 0 || len(q.groups) != 0 || q.length != 5 {
		t.Errorf("%+v after all have ended", q)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	server, dir := serve(t, testkit.RegistryETags()), t.TempDir()
	server.SetTags("m", manyTags(500))
	key := keyOf(t, server, "m")
	s, stop := start(t, Options{Dir: dir})
	before, err := await(t, s, key, time.Hour, "a")
	if err != nil {
		t.Fatal(err)
	}
	stop()
	s, stop = start(t, Options{Dir: dir})
	r, fresh, err := s.Get(key, time.Hour, "a", nil)
	if err != nil || !fresh || r.Revision != before.Revision || !slices.Equal(r.Tags(), before.Tags()) || !r.At.Equal(before.At) {
		t.Errorf("%v, %v, %v, want what was there", r, fresh, err)
	}
	// What is scanned again and has not changed is not read again.
	if again, err := await(t, s, key, 0, "a"); err != nil || again.Revision != before.Revision || !again.At.After(before.At) {
		t.Errorf("%v, %v, want the same tags, later", again, err)
	}
	stop()
	// The cache is lost, or damaged: a scan makes up for it.
	damage := map[string]func(path string) error{
		"lost":      os.Remove,
		"empty":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"cut":       func(path string) error { return os.Truncate(path, 1000) },
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"flipped": func(path string) error {
			content, err := os.ReadFile(path)
			if err == nil {
				content[len(content)/2] ^= 1
				err = os.WriteFile(path, content, 0o600)
			}
			return err
		},
		"no cache at all": func(string) error { return os.RemoveAll(dir) },
	}
	for name, harm := range damage {
		s, stop := start(t, Options{Dir: dir})
		if _, err := await(t, s, key, time.Hour, "a"); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := harm(filepath.Join(dir, fileName(key.id()))); err != nil {
			t.Fatal(err)
		}
		s, stop = start(t, Options{Dir: dir})
		if r, fresh, err := s.Get(key, time.Hour, "a", func() {}); r != nil || fresh || err != nil {
			t.Errorf("%s: %v, %v, %v, want nothing", name, r, fresh, err)
		}
		if r, err := await(t, s, key, time.Hour, "a"); err != nil || r.Revision != before.Revision {
			t.Errorf("%s: %v, %v, want the tags", name, r, err)
		}
		stop()
		_ = os.Remove(filepath.Join(dir, fileName(key.id()))) // a directory is not replaced
	}
}

func TestDirectoryVanishes(t *testing.T) {
	t.Parallel()
	server, dir := serve(t), filepath.Join(t.TempDir(), "cache")
	server.SetTags("m", manyTags(10))
	s, _ := start(t, Options{Dir: dir})
	key := keyOf(t, server, "m")
	for range 2 {
		if _, err := await(t, s, key, 0, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, fileName(key.id()))); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // and cannot come back
		t.Fatal(err)
	}
	if r, err := await(t, s, key, 0, "a"); err != nil || r.Count() != 10 {
		t.Errorf("%v, %v, want the tags without a disk", r, err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	server := serve(t)
	tags := manyTags(1000)
	size := NewResult(time.Now(), tags).Size()
	s, _ := start(t, Options{Dir: t.TempDir(), MemoryBytes: 3 * size})
	for i := range 10 {
		repo := fmt.Sprint("m", i)
		server.SetTags(repo, tags)
		if _, err := await(t, s, keyOf(t, server, repo), time.Hour, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if stats := s.Stats(); stats.MemoryBytes > 3*size || stats.DiskBytes < 10*size {
		t.Errorf("%+v, want three results in memory and ten on disk", stats)
	}
	for i := range 10 {
		if r, fresh, err := s.Get(keyOf(t, server, fmt.Sprint("m", i)), time.Hour, "a", nil); err != nil || !fresh || r.Count() != 1000 {
			t.Errorf("%d: %v, %v, %v", i, r, fresh, err)
		}
	}
	if got := server.Requests("/tags/list"); got != 20 { // pages of exactly 1,000 are followed by one more
		t.Errorf("%d requests, want 20", got)
	}
}

func TestDiskIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := NewResult(time.Now(), manyTags(1000))
	s := newStore(dir, 10*r.Size())
	for i := range 100 {
		if err := s.save(fmt.Sprint(i), r); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(s.files) || s.bytes() > 10*r.Size() || len(files) < 5 {
		t.Errorf("%d files of %d bytes, %v", len(files), s.bytes(), err)
	}
	if again := newStore(dir, 10*r.Size()); again.bytes() != s.bytes() {
		t.Errorf("%d bytes are found again, want %d", again.bytes(), s.bytes())
	}
	if s.load("0") != nil || s.load("99") == nil {
		t.Error("the oldest file is there, or the newest is not")
	}
	if err := newStore(dir, r.Size()).save("x", r); err == nil {
		t.Error("a file of the size of the cache was written")
	}
}
