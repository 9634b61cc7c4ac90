// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// probed is a link whose cluster the test switches on and off.
type probed struct {
	*link
	down    atomic.Pointer[error]
	probes  atomic.Int32
	changes atomic.Int32
}

func newProbed(t *testing.T) *probed {
	t.Helper()
	p := &probed{}
	p.link = newLink("https://one.example:443", func(ctx context.Context) error {
		p.probes.Add(1)
		if err := p.down.Load(); err != nil {
			if errors.Is(*err, errTimeout) {
				<-ctx.Done()
				return ctx.Err()
			}
			return *err
		}
		return nil
	}, nil, func(bool) { p.changes.Add(1) })
	go p.run(t.Context())
	return p
}

func (p *probed) set(err error) {
	if err == nil {
		p.down.Store(nil)
		return
	}
	p.down.Store(&err)
}

func TestLinkFollowsTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbed(t)
		if err := p.await(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, done := p.bound(t.Context())
		defer done()
		pass(time.Hour)
		if got := p.probes.Load(); got != 1 {
			t.Errorf("%d probes within an hour of nothing, want 1", got)
		}
		p.doubt()
		if err := p.verdict(t.Context()); err != nil || ctx.Err() != nil {
			t.Errorf("after a doubt that was wrong: %v, %v", err, ctx.Err())
		}
		p.set(errors.New("no route"))
		pass(probeGap)
		p.doubt()
		err := p.verdict(t.Context())
		if want := "the cluster at https://one.example:443 cannot be used: no route"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
		synctest.Wait()
		if cause := context.Cause(ctx); cause == nil || cause.Error() != err.Error() {
			t.Errorf("what was under way ended with %v, want %v", cause, err)
		}
		probes := p.probes.Load()
		pass(time.Hour)
		if got := p.probes.Load() - probes; got < 100 || got > 160 {
			t.Errorf("%d probes within an hour of absence, want one each half minute", got)
		}
		p.set(nil)
		pass(maxProbeGap + maxProbeGap/4)
		if err := p.failure(); err != nil {
			t.Errorf("after its return: %v", err)
		}
		if p.epoch != 2 || p.changes.Load() != 3 {
			t.Errorf("epoch %d after %d changes, want 2 after 3", p.epoch, p.changes.Load())
		}
	})
}

func TestLinkGivesUpOnSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbed(t)
		p.set(errTimeout)
		start := time.Now()
		if err := p.await(t.Context()); !errors.Is(err, ErrConnecting) || time.Since(start) != patience {
			t.Errorf("after %s: %v, want %v", time.Since(start), err, ErrConnecting)
		}
		pass(probeTimeout)
		if err := p.failure(); err == nil || !strings.HasSuffix(err.Error(), "it does not answer in time") {
			t.Errorf("error %v, want that it does not answer", err)
		}
	})
}

// TestGuard fails at once while the cluster is away, and raises doubt for what
// goes wrong or is slow.
func TestGuard(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func() (*http.Response, error)
		doubts bool
	}{
		"fine":         {func() (*http.Response, error) { return answer(http.StatusOK), nil }, false},
		"forbidden":    {func() (*http.Response, error) { return answer(http.StatusForbidden), nil }, false},
		"unauthorized": {func() (*http.Response, error) { return answer(http.StatusUnauthorized), nil }, true},
		"broken":       {func() (*http.Response, error) { return nil, errors.New("reset") }, true},
		"slow": {func() (*http.Response, error) {
			pass(slowRequest + time.Second)
			return answer(http.StatusOK), nil
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbed(t)
				pass(time.Minute)
				g := &guard{link: p.link, next: roundTrip(func(*http.Request) (*http.Response, error) { return tc.answer() })}
				_, _ = ask(t, g)
				synctest.Wait()
				if got := p.probes.Load() == 2; got != tc.doubts {
					t.Errorf("probed again: %v, want %v", got, tc.doubts)
				}
			})
		})
	}
	t.Run("away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newProbed(t)
			p.set(errors.New("no route"))
			pass(time.Second)
			g := &guard{link: p.link, next: roundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("a request was sent to a cluster that is away")
				return answer(http.StatusOK), nil
			})}
			if _, err := ask(t, g); err == nil {
				t.Error("no error")
			}
		})
	})
}

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}}
}
