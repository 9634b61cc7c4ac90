// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// large is a record with 200 quotas and 100 reservations.
func large() *Record {
	r := &Record{Serial: 1, Term: 1, CountedTo: "123456", Quotas: map[string]Quota{"company": {Hard: h100(4096), Used: h100(3)}}}
	for i := range 199 {
		parent, hard := "company", h100(1024)
		if i >= 9 {
			parent, hard = fmt.Sprint("team-", i%9), h100(64)
		}
		r.Quotas[fmt.Sprint("team-", i)] = Quota{Parent: parent, Generation: 3, Hard: hard, Used: h100(8)}
	}
	for i := range 100 {
		quota := fmt.Sprint("team-", i)
		r.Reservations = append(r.Reservations, Reservation{
			Pod: types.UID("0a4b7f0e-96c2-4ab3-8f5d-" + rand.String(12)), Namespace: quota,
			Name: "train-worker-" + rand.String(5), Quota: quota, Amounts: h100(8),
		})
	}
	return r
}

func BenchmarkAdmit(b *testing.B) {
	r := large()
	data, err := r.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			next := r.Clone()
			if d := next.Admit(claim("p", "team-150", 8)); d.Outcome != Admitted {
				b.Fatal(d.Text())
			}
		}
		b.ReportMetric(float64(len(data)), "record-bytes")
	})
	b.Run("a batch of 8", func(b *testing.B) {
		for b.Loop() {
			d := newDesk(r.Clone())
			for i := range 8 {
				if d := d.admit(claim(fmt.Sprint("p-", i), fmt.Sprint("team-", 20+i), 8)); d.Outcome != Admitted {
					b.Fatal(d.Text())
				}
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStore is how many pods a second one root admits, with 50 creates
// under way and a leader that counts as often as it may.
func BenchmarkStore(b *testing.B) {
	core, err := corev1client.NewForConfig(cluster.Config())
	if err != nil {
		b.Fatal(err)
	}
	name := "ledger-" + rand.String(8)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := core.Namespaces().Create(b.Context(), namespace, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	store := NewStore(core, name, nil)
	version := int64(1 << 40)
	count := func() {
		version++
		err := store.Update(b.Context(), "research", func(r *Record) error {
			r.Quotas = map[string]Quota{"research": {Hard: h100(1 << 30)}}
			return r.Apply(Count{
				Term: 1, ResourceVersion: fmt.Sprint(version), Live: true, Used: map[string]gpu.Amounts{"research": h100(1)},
				Settled: func(Reservation) bool { return true },
			})
		})
		if err != nil && b.Context().Err() == nil {
			b.Error(err)
		}
	}
	count()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				count()
			}
		}
	}()
	var n atomic.Int64
	b.SetParallelism(25)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			pod := fmt.Sprint("pod-", n.Add(1))
			if d, err := store.Admit(b.Context(), "research", claim(pod, "research", 1)); err != nil || d.Outcome != Admitted {
				b.Errorf("%s %v", d.Text(), err)
			}
		}
	})
	b.StopTimer()
	close(stop)
	<-stopped
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pods/s")
}
