// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// book is one record in memory.
type book struct {
	mu     sync.Mutex
	record *ledger.Record
}

func (b *book) Get(context.Context, string) (*ledger.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record.Clone(), nil
}

func (b *book) Update(_ context.Context, _ string, change func(*ledger.Record) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.record.Clone()
	if err := change(c); err != nil {
		return err
	}
	c.Serial++
	b.record = c
	return nil
}

func (b *book) Roots(context.Context) ([]string, error) { return []string{"q"}, nil }

func (b *book) Delete(context.Context, string) error { return nil }

// still is a View of one State.
type still struct{ state *view.State }

func (s still) Await(context.Context) (*view.State, error) { return s.state, nil }

func (s still) Listen(func(*view.State)) {}

// parents knows who made whom.
type parents map[types.UID]holdings.Owner

func (p parents) Walk(_ context.Context, controller *holdings.Owner) ([]holdings.Owner, error) {
	chain := []holdings.Owner{*controller}
	for {
		next, ok := p[chain[len(chain)-1].UID]
		if !ok {
			return chain, nil
		}
		chain = append(chain, next)
	}
}

func (parents) Wish(context.Context, holdings.Owner) (holdings.Wish, error) {
	return holdings.Wish{Exists: true, Pods: -1, Completions: -1}, nil
}

// A grant that was opened since the last count is counted with its pods in the
// same write that counts these: neither twice nor not at all.
func TestNewGrantIsCountedWithItsPods(t *testing.T) {
	s := state(quota("q", of("n1"), func(q *quotav1.GPUQuota) {
		q.Spec.Limits = []quotav1.Limit{{Device: quotav1.DefaultDevice, Hard: "8"}}
	}))
	deployment := holdings.Owner{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "n1", Name: "app", UID: "deployment"}
	b := &book{record: &ledger.Record{Serial: 1, Quotas: map[string]ledger.Quota{}}}
	r := New(Options{
		Holdings: holdings.NewStore(), Relist: func() {}, Walker: parents{"rs": deployment}, Ledger: b, View: still{s},
		Lapsed: func(ledger.Grant) {}, Changed: func([]string) {}, Metrics: NewMetrics(), Clock: clock.RealClock{}, Log: logr.Discard(),
	})
	r.planned(s)
	root := newRoot("q")
	fill := func(version string, pods ...*corev1.Pod) {
		if err := holdings.Fill(r.Holdings, version, pods...); err != nil {
			t.Fatal(err)
		}
		if err := r.count(t.Context(), root); err != nil {
			t.Fatal(err)
		}
	}
	fill("5")
	b.record.Grants = []ledger.Grant{{Owner: "k", Hash: "1", Objects: []ledger.GrantObject{{Key: deployment.Key(), Quota: "q", Envelope: gpus(4)}, {Key: "apps/Deployment/n1/slow", Quota: "q", Envelope: gpus(1)}}}}
	b.record.Reservations = []ledger.Reservation{{Pod: "p", Namespace: "n1", Name: "p", Quota: "q", Amounts: gpus(2), Grant: "k", Object: deployment.Key()}}
	if got := b.record.Balance("q")["gpu"]; got.Used.String() != "0" || got.Reserved.String() != "5" {
		t.Fatalf("used %s, reserved %s", got.Used, got.Reserved)
	}
	fill("6", made("p", 2))
	if got := b.record.Balance("q")["gpu"]; got.Used.String() != "2" || got.Reserved.String() != "3" {
		t.Errorf("used %s, reserved %s; want 2 and 3 of the 5 that were granted", got.Used, got.Reserved)
	}
	fill("7", made("p", 2), made("o", 2))
	if got := b.record.Balance("q")["gpu"]; got.Used.String() != "4" || got.Reserved.String() != "1" || len(b.record.Grants[0].Objects) != 1 {
		t.Errorf("used %s, reserved %s, grants %+v; want the Deployment to have landed", got.Used, got.Reserved, b.record.Grants)
	}
	root.grants["k"].fed = time.Now().Add(-grantTime)
	fill("8", made("p", 2), made("o", 2))
	if len(b.record.Grants) != 0 {
		t.Errorf("the grant has not lapsed: %+v", b.record.Grants)
	}
}

// made is a pod of the ReplicaSet of the Deployment.
func made(name string, n int64) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n1", Name: name, UID: types.UID(name),
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "app-1", UID: "rs", Controller: new(true)}},
	}}
	p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"nvidia.com/gpu": *resource.NewQuantity(n, resource.DecimalSI)}}}}
	return p
}
