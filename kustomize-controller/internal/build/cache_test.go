// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// weight is a value of some size.
type weight struct {
	bytes int64
	gone  bool
}

func (w *weight) size() int64 { return w.bytes }
func (w *weight) keep() bool  { return !w.gone }

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	made := 0
	use := func(name string, bytes int64) {
		t.Helper()
		v, err := c.get(t.Context(), key{dir: name}, func() (value, error) {
			made++
			return &weight{bytes: bytes}, nil
		})
		if err != nil || v.size() != bytes {
			t.Fatalf("get(%s) = %v, %v", name, v, err)
		}
		if c.bytes() > 1000 {
			t.Fatalf("%d bytes are kept", c.bytes())
		}
	}
	use("a", 400)
	use("b", 400)
	use("a", 400)
	if made != 2 {
		t.Errorf("a was made again: %d", made)
	}
	use("c", 400) // b was not used for longest and goes.
	use("a", 400)
	if made != 3 {
		t.Errorf("a was dropped in the place of b: %d", made)
	}
	use("b", 400)
	if made != 4 {
		t.Errorf("b was kept: %d", made)
	}
	use("huge", 5000)
	use("huge", 5000)
	if made != 6 {
		t.Errorf("what is greater than the cache was kept: %d", made)
	}
	if c.bytes() != 800 {
		t.Errorf("%d bytes are kept, want 800", c.bytes())
	}
	for i := range 100 {
		use(fmt.Sprint(i), int64(i*7%300))
	}
	sum := int64(0)
	for _, element := range c.items {
		sum += element.Value.(*item).size
	}
	if sum != c.bytes() || len(c.items) != c.order.Len() || len(c.made) != 0 {
		t.Errorf("%d bytes in %d items, counted %d in %d", sum, len(c.items), c.bytes(), c.order.Len())
	}
}

func TestCacheMakesAValueOnce(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	var made atomic.Int32
	release := make(chan struct{})
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			v, err := c.get(t.Context(), key{}, func() (value, error) {
				made.Add(1)
				<-release
				return &weight{bytes: 1}, nil
			})
			if err != nil || v.size() != 1 {
				t.Errorf("get = %v, %v", v, err)
			}
		})
	}
	close(release)
	group.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestCacheDoesNotShareWhatEndsEarly(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first  func() (value, error)
		shared bool
	}{
		"the maker ran out of time":     {func() (value, error) { return nil, fmt.Errorf("x: %w", context.Canceled) }, false},
		"a value that must not be kept": {func() (value, error) { return &weight{gone: true}, nil }, false},
		"a fault":                       {func() (value, error) { return nil, errors.New("x") }, true},
		"a value":                       {func() (value, error) { return &weight{}, nil }, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(1000)
			begun, release := make(chan struct{}), make(chan struct{})
			var group sync.WaitGroup
			group.Go(func() {
				_, _ = c.get(t.Context(), key{}, func() (value, error) {
					close(begun)
					<-release
					return tc.first()
				})
			})
			<-begun
			again := false
			var waiting sync.WaitGroup
			waiting.Go(func() {
				_, _ = c.get(t.Context(), key{}, func() (value, error) {
					again = true
					return &weight{}, nil
				})
			})
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := c.get(cancelled, key{}, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("who runs out of time has to stop waiting: %v", err)
			}
			close(release)
			group.Wait()
			waiting.Wait()
			// A caller that came after the first one had ended makes a value in any case but the last.
			if tc.shared && again && name == "a value" || !tc.shared && !again {
				t.Errorf("made again: %v, want %v", again, !tc.shared)
			}
			if _, err := c.get(t.Context(), key{digest: "panics"}, func() (value, error) { return nil, errors.New("x") }); err == nil {
				t.Error("a fault is lost")
			}
		})
	}
}

func TestCacheSurvivesAPanic(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	func() {
		defer func() { _ = recover() }()
		_, _ = c.get(t.Context(), key{}, func() (value, error) { panic("x") })
	}()
	if v, err := c.get(t.Context(), key{}, func() (value, error) { return &weight{bytes: 1}, nil }); err != nil || v == nil {
		t.Errorf("get = %v, %v", v, err)
	}
}

func TestOldRevisionsAreDropped(t *testing.T) {
	t.Parallel()
	c := newCache(1000)
	made := 0
	use := func(source, digest, dir string) {
		t.Helper()
		_, err := c.get(t.Context(), key{source: types.UID(source), digest: digest, dir: dir}, func() (value, error) {
			made++
			return &weight{bytes: 1}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, source := range []string{"apps", "models"} {
		for revision := range 100 {
			use(source, fmt.Sprint(revision), "a")
			use(source, fmt.Sprint(revision), "b")
		}
	}
	if c.bytes() != 8 || len(c.items) != 8 || c.order.Len() != 8 || len(c.lines) != 4 {
		t.Errorf("%d bytes in %d items of %d lines are kept of 400, want 2 of each directory and source", c.bytes(), len(c.items), len(c.lines))
	}
	before := made
	use("apps", "98", "a") // a revert
	use("apps", "99", "a")
	if made != before {
		t.Error("the revision before the newest was made again")
	}
	use("apps", "97", "a")
	if made != before+1 {
		t.Error("an old revision was kept")
	}
}

func TestKeysKeepSourcesApart(t *testing.T) {
	t.Parallel()
	keys := map[key]bool{}
	for _, source := range []types.UID{"a", "b"} {
		for _, digest := range []string{"a", "b"} {
			for _, dir := range []string{"a", "b"} {
				keys[key{source: source, digest: digest, dir: dir}] = true
			}
		}
	}
	if len(keys) != 8 {
		t.Errorf("%d keys, want 8", len(keys))
	}
}
