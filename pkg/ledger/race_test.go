// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/weir-gitops/weir/pkg/gpu"
)

const (
	raceRoots  = 5
	raceHard   = 24
	raceClaims = 120 // to each root
)

// TestStoresRace has three processes admit pods to the same five roots while a
// leader counts, and looks at every version of every record.
func TestStoresRace(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	stores := []*Store{s.store(), s.store(), s.store()}
	worlds := map[string]*world{}
	for i := range raceRoots {
		root := fmt.Sprint("root-", i)
		s.open(root, raceHard)
		worlds[root] = &world{pods: map[types.UID]int64{}, seen: map[types.UID]bool{}, wake: make(chan struct{}, 1)}
	}
	watched := s.watchRecords()

	ctx, stop := context.WithCancel(t.Context())
	var leaders, claims sync.WaitGroup
	var outcomes sync.Map
	for root, w := range worlds {
		leaders.Go(func() { s.lead(ctx, root, w) })
		for i := range raceClaims {
			store, size := stores[i%len(stores)], int64(1+i%8)
			claims.Go(func() {
				outcome := w.create(t, store, root, fmt.Sprintf("%s-pod-%d", root, i), size)
				count, _ := outcomes.LoadOrStore(outcome, new(atomic.Int64))
				if count, ok := count.(*atomic.Int64); ok {
					count.Add(1)
				}
			})
		}
	}
	claims.Wait()
	for root, w := range worlds {
		w.clear()
		s.until(func() bool { r := s.get(root); return charged(r, root).IsZero() && len(r.Reservations) == 0 })
		if w.most > raceHard {
			t.Errorf("pods of %s held %d of %d", root, w.most, raceHard)
		}
	}
	stop()
	leaders.Wait()
	for root := range worlds {
		watched.check(t, root, s.get(root).Serial)
	}
	outcomes.Range(func(outcome, count any) bool {
		if count, ok := count.(*atomic.Int64); ok {
			t.Logf("%v: %d", outcome, count.Load())
		}
		return true
	})
}

// world is what pods of a root exist.
type world struct {
	mu         sync.Mutex
	pods       map[types.UID]int64
	seen       map[types.UID]bool
	held, most int64
	version    int64
	wake       chan struct{}
}

// create is what an API server does with a pod: it asks, stores it a bit later,
// and the pod runs for a while.
func (w *world) create(t *testing.T, store *Store, root, name string, size int64) Outcome {
	t.Helper()
	pause := func(d time.Duration) { sleep(t.Context(), rand.N(d), nil) }
	pause(2 * time.Second)
	for range 10 {
		c := Claim{Pod: types.UID(name), Namespace: "ns", Name: name, Quota: "team-b", Amounts: h100(size)}
		d, err := store.Admit(t.Context(), root, c)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
			return ""
		case d.Outcome == Exceeded:
			pause(200 * time.Millisecond)
			continue
		case d.Outcome != Admitted:
			t.Errorf("%s: %s %s", name, d.Outcome, d.Text())
			return d.Outcome
		}
		pause(20 * time.Millisecond)
		w.change(types.UID(name), size)
		pause(400 * time.Millisecond)
		w.change(types.UID(name), -size)
		return Admitted
	}
	return Exceeded
}

func (w *world) change(pod types.UID, by int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[pod] = true
	w.pods[pod] += by
	w.held += by
	w.most = max(w.most, w.held)
	w.version++
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *world) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for pod := range w.pods {
		delete(w.pods, pod)
	}
	w.held = 0
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// lead counts whenever something happened.
func (s *shop) lead(ctx context.Context, root string, w *world) {
	for sleep(ctx, time.Minute, w.wake) {
		err := s.leader.Update(ctx, root, func(r *Record) error {
			version, err := s.leader.podsVersion(ctx)
			if err != nil {
				return err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			held := gpu.Amounts{}
			for _, size := range w.pods {
				held = held.Add(h100(size))
			}
			return r.Apply(Count{
				Term: 1, ResourceVersion: version, Used: map[string]gpu.Amounts{"team-b": held},
				Settled: func(res Reservation) bool { return w.seen[res.Pod] },
			})
		})
		if err != nil && ctx.Err() == nil {
			s.Errorf("count %s: %v", root, err)
		}
	}
}

// records are all versions of all records, and when they were seen.
type records struct {
	mu   sync.Mutex
	seen map[string][]version
}

type version struct {
	at     time.Time
	serial int64
	bytes  int
	charge gpu.Amount
	err    error
}

func (s *shop) watchRecords() *records {
	s.Helper()
	list, err := s.core.ConfigMaps(s.namespace).List(s.Context(), metav1.ListOptions{LabelSelector: Label})
	if err != nil {
		s.Fatal(err)
	}
	options := metav1.ListOptions{LabelSelector: Label, ResourceVersion: list.ResourceVersion}
	stream, err := s.core.ConfigMaps(s.namespace).Watch(s.Context(), options)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(stream.Stop)
	w := &records{seen: map[string][]version{}}
	go func() {
		for event := range stream.ResultChan() {
			w.add(event)
		}
	}()
	return w
}

func (w *records) add(event watch.Event) {
	object, ok := event.Object.(*corev1.ConfigMap)
	if !ok {
		return
	}
	v := version{at: time.Now(), bytes: len(object.Data[DataKey])}
	root := object.Labels[Label]
	r, err := Decode([]byte(object.Data[DataKey]))
	if v.err = err; err == nil {
		v.serial, v.charge = r.Serial, charged(r, root)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[root] = append(w.seen[root], v)
}

func (w *records) check(t *testing.T, root string, last int64) {
	t.Helper()
	var versions []version
	for deadline := time.Now().Add(10 * time.Second); ; {
		w.mu.Lock()
		versions = w.seen[root]
		w.mu.Unlock()
		if len(versions) > 0 && versions[len(versions)-1].serial == last {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: the watch has not shown serial %d", root, last)
		}
		sleep(t.Context(), 10*time.Millisecond, nil)
	}
	largest, densest := 0, 0
	for i, v := range versions {
		if v.err != nil || v.charge.Cmp(gpu.Whole(raceHard)) > 0 || v.serial != versions[0].serial+int64(i) {
			t.Errorf("%s: version %d has serial %d and is charged for %s, %v", root, i, v.serial, v.charge, v.err)
		}
		largest = max(largest, v.bytes)
		// The watch may deliver a bit later or earlier, so not the full second.
		within := 0
		for _, earlier := range versions[:i+1] {
			if v.at.Sub(earlier.at) < 900*time.Millisecond {
				within++
			}
		}
		densest = max(densest, within)
	}
	took := versions[len(versions)-1].at.Sub(versions[0].at)
	t.Logf("%s: %d writes in %v, at most %d within 0.9 s, at most %d bytes", root, len(versions), took.Round(time.Millisecond), densest, largest)
	if largest > MaxBytes || densest > 20 {
		t.Errorf("%s: %d bytes, %d writes within 0.9 s", root, largest, densest)
	}
}
