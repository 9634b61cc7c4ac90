// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	rbacv1client "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// account returns the configuration of a service account that may do what a
// replica does.
func (s *shop) account() *rest.Config {
	s.Helper()
	rbac, err := rbacv1client.NewForConfig(cluster.Config())
	if err != nil {
		s.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "replica"}}
	if _, err := s.core.ServiceAccounts(s.namespace).Create(s.Context(), account, metav1.CreateOptions{}); err != nil {
		s.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: "replica"}},
	}
	if _, err := rbac.ClusterRoleBindings().Create(s.Context(), binding, metav1.CreateOptions{}); err != nil {
		s.Fatal(err)
	}
	config, err := cluster.ServiceAccountConfig(s.Context(), s.namespace, "replica")
	if err != nil {
		s.Fatal(err)
	}
	return config
}

// faulty is a replica behind a proxy that fails what decide says of requests for ledgers.
func (s *shop) faulty() (*Store, *testkit.FaultProxy) {
	s.Helper()
	proxy, err := testkit.NewFaultProxy(cluster.Config())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(proxy.Close)
	return NewStore(coreClient(s.T, proxy.Config(s.account())), s.namespace, nil), proxy
}

func isLedger(r *http.Request) bool { return strings.Contains(r.URL.Path, "/configmaps/"+namePrefix) }

func TestStoreFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method string
		fault  testkit.Fault
		// times it happens before all is well; 0 is always.
		times int64
		want  error
	}{
		"a few conflicts":         {method: http.MethodPut, fault: testkit.Fault{Code: http.StatusConflict}, times: 8},
		"nothing but conflicts":   {method: http.MethodPut, fault: testkit.Fault{Code: http.StatusConflict}, want: ErrConflict},
		"a few errors on writes":  {method: http.MethodPut, fault: testkit.Fault{Code: http.StatusInternalServerError}, times: 4},
		"a few errors on reads":   {method: http.MethodGet, fault: testkit.Fault{Code: http.StatusInternalServerError}, times: 4},
		"nothing but read errors": {method: http.MethodGet, fault: testkit.Fault{Code: http.StatusInternalServerError}, want: ErrUnreadable},
		"cut connections":         {method: http.MethodPut, fault: testkit.Fault{Drop: true}, times: 3},
		"one that hangs":          {method: http.MethodGet, fault: testkit.Fault{Hang: true}, times: 1},
		"not allowed":             {method: http.MethodGet, fault: testkit.Fault{Code: http.StatusForbidden}, want: ErrUnreadable},
		"not allowed to write":    {method: http.MethodPut, fault: testkit.Fault{Code: http.StatusForbidden}, want: ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.open("research", 64)
			store, proxy := s.faulty()
			var seen atomic.Int64
			proxy.Inject(func(r *http.Request) testkit.Fault {
				if !isLedger(r) || r.Method != tt.method || tt.times > 0 && seen.Add(1) > tt.times {
					return testkit.Fault{}
				}
				return tt.fault
			})
			began := time.Now()
			d, err := store.Admit(t.Context(), "research", claim("p", "team-b", 8))
			took := time.Since(began)
			r := s.get("research")
			if tt.want != nil {
				if !errors.Is(err, tt.want) || d.Outcome != "" || len(r.Reservations) > 0 || took > claimTimeout+time.Second {
					t.Errorf("got %s, %v after %v", d.Outcome, err, took)
				}
				return
			}
			if err != nil || d.Outcome != Admitted || len(r.Reservations) != 1 || r.Serial != 2 {
				t.Errorf("got %s, %v, serial %d", d.Outcome, err, r.Serial)
			}
		})
	}
}

// A storm of conflicts and errors while three processes write: nothing is lost
// and nothing is there twice.
func TestStoreStorm(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 1000)
	store, proxy := s.faulty()
	var n atomic.Int64
	proxy.Inject(func(r *http.Request) testkit.Fault {
		if !isLedger(r) {
			return testkit.Fault{}
		}
		switch n.Add(1) % 7 {
		case 1:
			return testkit.Fault{Code: http.StatusConflict}
		case 3:
			return testkit.Fault{Code: http.StatusInternalServerError}
		case 5:
			return testkit.Fault{Drop: true}
		}
		return testkit.Fault{}
	})
	stores := []*Store{store, s.store(), s.store()}
	var wait sync.WaitGroup
	for i := range 90 {
		wait.Go(func() { s.admit(stores[i%3], "research", claim(fmt.Sprintf("p-%d", i), "team-b", 1), Admitted) })
	}
	wait.Wait()
	if r := s.get("research"); len(r.Reservations) != 90 || charged(r, "research").Cmp(gpu.Whole(90)) != 0 {
		t.Errorf("%d reservations, charge %s", len(r.Reservations), charged(r, "research"))
	}
}

// deaf loses the answers of writes that were done.
type deaf struct {
	http.RoundTripper
	losses atomic.Int64
}

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodPut && d.losses.Add(-1) >= 0 {
		response.Body.Close()
		return nil, errors.New("the answer was lost")
	}
	return response, err
}

func TestStoreLostAnswers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 8)
	lost := &deaf{}
	config := cluster.Config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		lost.RoundTripper = next
		return lost
	})
	store := NewStore(coreClient(t, config), s.namespace, nil)
	for _, pod := range []string{"a", "b", "c", "d"} {
		lost.losses.Store(1)
		s.admit(store, "research", claim(pod, "team-b", 2), Admitted)
	}
	if r := s.get("research"); len(r.Reservations) != 4 || charged(r, "research").Cmp(gpu.Whole(8)) != 0 || r.Serial != 5 {
		t.Errorf("%d reservations, serial %d", len(r.Reservations), r.Serial)
	}
	lost.losses.Store(1)
	err := store.Update(t.Context(), "research", func(r *Record) error { return r.Lead(2) })
	if r := s.get("research"); err != nil || r.Term != 2 || r.Serial != 6 {
		t.Errorf("%v, term %d, serial %d", err, r.Term, r.Serial)
	}
}

// What hangs for one root holds up no other.
func TestStoreRootsAreApart(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("stuck", 8)
	s.open("well", 8)
	store, proxy := s.faulty()
	proxy.Inject(func(r *http.Request) testkit.Fault {
		return testkit.Fault{Hang: strings.HasSuffix(r.URL.Path, Name("stuck"))}
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := store.Admit(ctx, "stuck", claim("p", "team-b", 1))
		gone <- err
	}()
	s.until(func() bool { return waits(store, "stuck") })
	if took := s.admit(store, "well", claim("p", "team-b", 1), Admitted); took > requestTimeout/2 {
		t.Errorf("it took %v", took)
	}
	cancel()
	if err := <-gone; !errors.Is(err, ErrConflict) {
		t.Errorf("the one that left got %v", err)
	}
	proxy.Inject(nil)
}

// A leader that never stops to count lets others write as well.
func TestStoreLeaderLeavesRoom(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.open("research", 64)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for term := int64(2); ctx.Err() == nil; term++ {
			if err := s.leader.Update(ctx, "research", func(r *Record) error { return r.Lead(term) }); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	for i, store := range []*Store{s.leader, s.store(), s.leader, s.store()} {
		for j := range 4 {
			s.admit(store, "research", claim(fmt.Sprintf("p-%d-%d", i, j), "team-b", 1), Admitted)
		}
	}
	stop()
	<-stopped
}
