// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// heldLock is a lease in memory.
type heldLock struct {
	resourcelock.Interface
	mu     sync.Mutex
	record resourcelock.LeaderElectionRecord
	looks  int
}

func (l *heldLock) Identity() string { return "us" }

func (l *heldLock) Describe() string { return "weir-system/" + leaseName }

func (l *heldLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	record := l.record
	raw, err := json.Marshal(record)
	return &record, raw, err
}

func (l *heldLock) Update(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record = record
	return nil
}

func (l *heldLock) set(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record = resourcelock.LeaderElectionRecord{HolderIdentity: holder, LeaseDurationSeconds: 10, RenewTime: metav1.Now()}
}

func newHeldLock(holder string) (*guardedLock, *heldLock) {
	held := &heldLock{}
	held.set(holder)
	return &guardedLock{
		Interface: held, counterpart: &counterpart{leases: fake.NewClientset().CoordinationV1(), name: leaseName, namespace: "weir-system"},
		log: logr.Discard(), retry: 2 * time.Second, tenure: newTenure(0),
	}, held
}

// A leader renews every 2 s and is killed: the candidate has the lease at most
// 10 s after what it saw of the last renewal, which is at most 2 s old then.
func TestACandidateHasTheLeaseOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock, held := newHeldLock("them")
		killed := make(chan time.Time, 1)
		go func() {
			for range 10 {
				pauseFor(t, 2*time.Second)
				held.set("them")
			}
			pauseFor(t, time.Second)
			killed <- time.Now()
		}()
		pauseFor(t, 700*time.Millisecond)
		record, _, err := lock.Get(t.Context())
		if err != nil || record.HolderIdentity != "" {
			t.Fatalf("record %+v, %v, want one that nobody holds", record, err)
		}
		if took := time.Since(<-killed); took < 8*time.Second || took > 11*time.Second {
			t.Errorf("%s after the leader was killed", took)
		}
		if held.looks > 40 {
			t.Errorf("%d looks in %s", held.looks, 31*time.Second)
		}
	})
}

func pauseFor(t *testing.T, period time.Duration) {
	t.Helper()
	if err := pause(t.Context(), period); err != nil {
		t.Error(err)
	}
}

func TestACandidateSeesARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock, held := newHeldLock("them")
		go func() {
			pauseFor(t, 5*time.Second)
			held.set("")
		}()
		begin := time.Now()
		if record, _, err := lock.Get(t.Context()); err != nil || record.HolderIdentity != "" || time.Since(begin) > 6*time.Second {
			t.Errorf("record %+v, %v, after %s", record, err, time.Since(begin))
		}
	})
}

func TestGetWaitsForNobodyElse(t *testing.T) {
	for name, tc := range map[string]struct {
		holder  string
		leading bool
		want    string
		lost    bool
	}{
		"free":                       {holder: ""},
		"our own":                    {holder: "us", leading: true, want: "us"},
		"that of the process before": {holder: "us"},
		"lost while we still led":    {holder: "them", leading: true, want: "them", lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			lock, _ := newHeldLock(tc.holder)
			lock.leading.Store(tc.leading)
			if record, _, err := lock.Get(t.Context()); err != nil || record.HolderIdentity != tc.want {
				t.Errorf("record %+v, %v, want holder %q", record, err, tc.want)
			}
			if lost := len(lock.tenure.lost) > 0; lost != tc.lost {
				t.Errorf("lost %t, want %t", lost, tc.lost)
			}
		})
	}
}

func TestOnlyTheHolderReleases(t *testing.T) {
	for name, tc := range map[string]struct {
		holder string
		want   string
	}{
		"ours":   {holder: "us"},
		"theirs": {holder: "them", want: "them"},
	} {
		t.Run(name, func(t *testing.T) {
			lock, held := newHeldLock(tc.holder)
			lock.leading.Store(true) // We believe so.
			if _, _, err := lock.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := lock.Update(t.Context(), resourcelock.LeaderElectionRecord{})
			if held.record.HolderIdentity != tc.want || (err != nil) != (tc.want != "") {
				t.Errorf("held by %q after %v, want %q", held.record.HolderIdentity, err, tc.want)
			}
		})
	}
}

func TestGetEndsWithItsContext(t *testing.T) {
	lock, _ := newHeldLock("them")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := lock.Get(ctx); err == nil {
		t.Error("no error")
	}
}

// The times of a record are those of the write, and the time when the lease was
// taken stays.
func TestTheLeaseSaysWhenItWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock, held := newHeldLock("")
		calls := 0
		lock.elected = append(lock.elected, func() { calls++ })
		stale := resourcelock.LeaderElectionRecord{HolderIdentity: "us", RenewTime: metav1.Now(), AcquireTime: metav1.Now()}
		pauseFor(t, 9*time.Second)
		taken := metav1.Now()
		for range 3 {
			if err := lock.Update(t.Context(), stale); err != nil {
				t.Fatal(err)
			}
			if now := metav1.Now(); !held.record.AcquireTime.Equal(&taken) || !held.record.RenewTime.Equal(&now) {
				t.Errorf("record %+v, want that it was taken at %s and renewed at %s", held.record, taken, now)
			}
			pauseFor(t, 2*time.Second)
		}
		if calls != 1 {
			t.Errorf("told of the election %d times", calls)
		}
	})
}
