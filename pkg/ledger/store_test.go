// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/testkit"
)

var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }))
}

// shop is a namespace with ledgers and a leader.
type shop struct {
	*testing.T
	namespace string
	leader    *Store
	core      corev1client.CoreV1Interface
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{T: t, namespace: "ledger-" + rand.String(8), core: coreClient(t, cluster.Config())}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	if _, err := s.core.Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.leader = NewStore(s.core, s.namespace, nil)
	return s
}

func coreClient(t *testing.T, config *rest.Config) corev1client.CoreV1Interface {
	t.Helper()
	config.QPS = -1
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// store is another process.
func (s *shop) store() *Store {
	s.Helper()
	return NewStore(coreClient(s.T, cluster.Config()), s.namespace, nil)
}

// open makes the ledger of a root as tree has it, where hard is the limit of the root.
func (s *shop) open(root string, hard int64) {
	s.Helper()
	s.update(root, func(r *Record) error {
		t := tree()
		r.Quotas = map[string]Quota{
			root:     {Hard: h100(hard)},
			"team-a": {Parent: root, Hard: t.Quotas["team-a"].Hard},
			"team-b": {Parent: root},
		}
		return r.Apply(Count{Term: 1, ResourceVersion: s.now(), Live: true})
	})
}

func (s *shop) update(root string, change func(*Record) error) {
	s.Helper()
	if err := s.leader.Update(s.Context(), root, change); err != nil {
		s.Fatal(err)
	}
}

// now is the resourceVersion of pods.
func (s *shop) now() string {
	s.Helper()
	version, err := s.leader.podsVersion(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return version
}

func (s *shop) get(root string) *Record {
	s.Helper()
	r, err := s.leader.Get(s.Context(), root)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *shop) admit(store *Store, root string, c Claim, want Outcome) time.Duration {
	s.Helper()
	began := time.Now()
	d, err := store.Admit(s.Context(), root, c)
	if err != nil || d.Outcome != want {
		s.Errorf("%s: got %s %q, %v; want %s", c.Pod, d.Outcome, d.Text(), err, want)
	}
	return time.Since(began)
}

func TestStoreAdmits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 64)
	one, two := s.store(), s.store()
	for i := range 6 { // each by a record that the other has made old
		s.admit(one, "research", claim(fmt.Sprintf("one-%d", i), "team-b", 4), Admitted)
		s.admit(two, "research", claim(fmt.Sprintf("two-%d", i), "team-b", 4), Admitted)
	}
	s.admit(two, "research", claim("one-0", "team-b", 4), Admitted) // a retry that reaches another replica
	s.admit(one, "research", claim("never", "team-a", 17), Never)
	s.admit(one, "research", claim("big", "team-b", 20), Exceeded)
	r := s.get("research")
	if len(r.Reservations) != 12 || charged(r, "research").Cmp(gpu.Whole(48)) != 0 || r.Serial != 13 {
		t.Errorf("%d reservations, charge %s, serial %d", len(r.Reservations), charged(r, "research"), r.Serial)
	}
	roots, err := s.leader.Roots(t.Context())
	if err != nil || len(roots) != 1 || roots[0] != "research" {
		t.Errorf("roots %v, %v", roots, err)
	}
	if err := s.leader.Delete(t.Context(), "research"); err != nil {
		t.Error(err)
	}
	if err := s.leader.Delete(t.Context(), "research"); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestStoreBatches(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 1000)
	store := s.store()
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() { s.admit(store, "research", claim(fmt.Sprintf("p-%d", i), "team-b", 1), Admitted) })
	}
	wait.Wait()
	if r := s.get("research"); len(r.Reservations) != 100 || r.Serial > 20 {
		t.Errorf("%d reservations by %d writes", len(r.Reservations), r.Serial-1)
	}
}

// A denial waits for a count that has seen all that happened before the claim.
func TestStoreDeniesByFreshCounts(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 8)
	store := s.store()
	s.admit(store, "research", claim("first", "team-b", 8), Admitted)

	if took := s.admit(store, "research", claim("second", "team-b", 8), Exceeded); took < patience {
		t.Errorf("denied after %v by a stale count", took)
	}
	future := s.now() + "0"
	s.update("research", func(r *Record) error { return r.Apply(Count{Term: 1, ResourceVersion: future}) })
	s.soon(func(string) bool {
		return s.admit(store, "research", claim("third", "team-b", 8), Exceeded) < patience
	})

	s.soon(func(root string) bool {
		s.open(root, 8)
		s.admit(store, root, claim("first", "team-b", 8), Admitted)
		answer := make(chan Decision)
		go func() {
			d, err := store.Admit(t.Context(), root, claim("second", "team-b", 8))
			if err != nil {
				t.Error(err)
			}
			answer <- d
		}()
		s.until(func() bool { return waits(store, root) })
		s.update(root, func(r *Record) error {
			return r.Apply(Count{Term: 1, ResourceVersion: s.now(), Settled: func(Reservation) bool { return true }})
		})
		return (<-answer).Outcome == Admitted
	})
}

// soon tries what depends on how busy the machine is a few times, on roots of their own.
func (s *shop) soon(done func(root string) bool) {
	s.Helper()
	for i := range 5 {
		if done(fmt.Sprint("root-", i)) {
			return
		}
	}
	s.Error("it did not happen in time in any of five tries")
}

// waits reports whether somebody waits for an answer.
func waits(s *Store, root string) bool {
	k := s.keeper(root)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.running
}

func (s *shop) until(done func() bool) {
	s.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			s.Fatal("it did not happen in time")
		}
	}
}

func TestStoreUnreadable(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for name, change := range map[string]func(*corev1.ConfigMap){
		"truncated":  func(cm *corev1.ConfigMap) { cm.Data[DataKey] = cm.Data[DataKey][:100] },
		"empty":      func(cm *corev1.ConfigMap) { cm.Data[DataKey] = "" },
		"no-key":     func(cm *corev1.ConfigMap) { cm.Data = nil },
		"empty-json": func(cm *corev1.ConfigMap) { cm.Data[DataKey] = "{}" },
		"null":       func(cm *corev1.ConfigMap) { cm.Data[DataKey] = "null" },
		"edited":     func(cm *corev1.ConfigMap) { cm.Data[DataKey] = strings.Replace(cm.Data[DataKey], `"1000"`, `null`, 1) },
		"no-label":   func(cm *corev1.ConfigMap) { cm.Labels = nil },
	} {
		s.open(name, 1000)
		cm, err := s.core.ConfigMaps(s.namespace).Get(t.Context(), Name(name), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		change(cm)
		if _, err := s.core.ConfigMaps(s.namespace).Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if d, err := s.store().Admit(t.Context(), name, claim("p", "team-b", 1)); !errors.Is(err, ErrUnreadable) || d.Outcome != "" {
			t.Errorf("%s: got %s, %v", name, d.Outcome, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		if err := s.leader.Update(t.Context(), name, func(r *Record) error { return r.Lead(2) }); err == nil || errors.Is(err, ErrBackwards) {
			t.Errorf("%s: the leader wrote over it: %v", name, err)
		}
	}
	_, err := s.store().Admit(t.Context(), "none", claim("p", "team-b", 1))
	if !errors.Is(err, ErrUnreadable) || !apierrors.IsNotFound(err) {
		t.Errorf("no ledger: %v", err)
	}
	if _, err = s.leader.Get(t.Context(), "none"); !apierrors.IsNotFound(err) {
		t.Errorf("no ledger: %v", err)
	}
}

func TestStoreUpdate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 64)
	serial := s.get("research").Serial
	s.update("research", func(*Record) error { return nil })
	s.update("research", func(r *Record) error { return r.Lead(1) })
	if got := s.get("research").Serial; got != serial {
		t.Errorf("a change of nothing was written")
	}
	refused := errors.New("no")
	if err := s.leader.Update(t.Context(), "research", func(r *Record) error { r.Close("x"); return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if s.get("research").Closed != "" {
		t.Error("a change that failed was written")
	}
	err := s.leader.Update(t.Context(), "research", func(r *Record) error { return r.Apply(Count{Term: 1, ResourceVersion: "1"}) })
	if !errors.Is(err, ErrBackwards) || s.get("research").Closed == "" {
		t.Errorf("a leader whose pods went back got %v", err)
	}
	s.admit(s.store(), "research", claim("p", "team-b", 1), Closed)
	if err := s.leader.Update(t.Context(), "broken", func(r *Record) error { r.Closed = ""; return nil }); err == nil {
		t.Error("a record without quotas was created")
	}
}

// Who knew a newer record than there is now closes it for everybody.
func TestStoreRestored(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 64)
	store := s.store()
	s.admit(store, "research", claim("a", "team-b", 8), Admitted)
	old, err := s.core.ConfigMaps(s.namespace).Get(t.Context(), Name("research"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.admit(store, "research", claim("b", "team-b", 8), Admitted)
	s.update("research", func(r *Record) error { return r.Lead(2) })
	current, err := s.core.ConfigMaps(s.namespace).Get(t.Context(), Name("research"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	current.Data = old.Data
	if _, err := s.core.ConfigMaps(s.namespace).Update(t.Context(), current, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.admit(store, "research", claim("c", "team-b", 1), Closed)
	s.admit(s.store(), "research", claim("d", "team-b", 1), Closed)
	err = s.leader.Update(t.Context(), "research", func(*Record) error { t.Error("the leader was let write"); return nil })
	if !errors.Is(err, ErrBackwards) {
		t.Errorf("the leader got %v", err)
	}
	stale := s.leader.Update(t.Context(), "research", func(r *Record) error { return r.Apply(Count{Term: 2, ResourceVersion: s.now()}) })
	if !errors.Is(stale, ErrStale) {
		t.Errorf("a count that was not live got %v", stale)
	}
	s.update("research", func(r *Record) error { return r.Apply(Count{Term: 2, ResourceVersion: s.now(), Live: true}) })
	s.admit(store, "research", claim("c", "team-b", 1), Admitted)
}

func TestStoreWaiterLeaves(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 8)
	store := s.store()
	s.admit(store, "research", claim("a", "team-b", 8), Admitted)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if d, err := store.Admit(ctx, "research", claim("b", "team-b", 8)); !errors.Is(err, ErrConflict) || d.Outcome != "" {
		t.Errorf("got %s, %v", d.Outcome, err)
	}
	s.until(func() bool { return !waits(store, "research") })
}
