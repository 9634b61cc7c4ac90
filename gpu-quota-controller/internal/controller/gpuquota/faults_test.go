// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// The tests of this file put the clock forward or stop the controller that the
// others share, so they do not run beside others.

// alone ends the shared controller until the test is over.
func (s *suite) alone() {
	s.Helper()
	controller.stop(s.T)
	s.Cleanup(func() { controller = start(account) })
}

// owned makes a pod that an object made of which the controller may read
// nothing.
func owned(pod *corev1.Pod, owner *corev1.ConfigMap) *corev1.Pod {
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, Controller: new(true)}}
	return pod
}

// A slot whose owner cannot be asked is kept, for a replacement and nobody else,
// and after five minutes for nobody.
func TestSlotEndsWithItsTime(t *testing.T) {
	s := newSuite(t)
	ns := s.full()
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "owner"}}
	s.must(kube.Create(s.Context(), owner))
	s.create(owned(pod(ns, "one", 4), owner))
	s.awaitFigures("team", "team", "4", "0")
	remove := func(name string) {
		s.must(kube.Delete(s.Context(), pod(ns, name, 4), client.GracePeriodSeconds(0)))
		s.awaitFigures("team", "team", "0", "4")
	}
	remove("one")
	s.denied(pod(ns, "stranger", 1))
	s.create(owned(pod(ns, "two", 4), owner))
	s.awaitFigures("team", "team", "4", "0")
	remove("two")
	hours.Step(4 * time.Minute)
	s.denied(pod(ns, "stranger", 1))
	hours.Step(time.Minute)
	s.awaitFigures("team", "team", "0", "0")
	s.create(pod(ns, "stranger", 1))
}

// A pod that is admitted and then rejected by something else leaves a
// reservation. It is told of, and ends when no pod can come of it any more.
func TestStrays(t *testing.T) {
	s := newSuite(t)
	ns := s.full()
	s.must(kube.Create(s.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}))
	s.eventually("the pod is rejected after it was admitted", func() bool {
		one := pod(ns, "one", 3)
		err := kube.Create(s.Context(), one)
		if err == nil { // The API server has not seen the ResourceQuota yet.
			s.must(kube.Delete(s.Context(), one, client.GracePeriodSeconds(0)))
		}
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: none") && len(s.record("team").Reservations) > 0
	})
	s.create(pod(s.namespace("b", "team"), "other", 1))
	s.awaitFigures("team", "team", "1", "3")
	hours.Step(25 * time.Second)
	q := s.awaitReady("team", quotav1.StraysReason)
	if message := conditions.GetMessage(q, fluxmeta.ReadyCondition); !strings.Contains(message, "such as "+ns+"/one") {
		t.Errorf("message %q", message)
	}
	s.awaitEvent("team", corev1.EventTypeWarning, quotav1.StraysReason)
	hours.Step(50 * time.Second)
	s.awaitFigures("team", "team", "1", "3")
	hours.Step(20 * time.Second)
	s.awaitFigures("team", "team", "1", "0")
	s.awaitReady("team", quotav1.EnforcedReason)
}

// An etcd that is put back to an old state takes pods and ledgers with it.
func TestRestoredEtcd(t *testing.T) {
	s := newSuite(t)
	ns := s.full()
	s.create(pod(ns, "one", 1))
	s.awaitFigures("team", "team", "1", "0")
	backup := filepath.Join(t.TempDir(), "etcd.backup")
	s.must(cluster.Snapshot(t.Context(), backup))
	s.create(pod(ns, "two", 2))
	s.awaitFigures("team", "team", "3", "0")
	s.must(kube.Delete(s.Context(), pod(ns, "one", 1), client.GracePeriodSeconds(0)))
	s.awaitFigures("team", "team", "2", "0")

	s.must(cluster.Restore(t.Context(), backup))
	s.awaitFigures("team", "team", "1", "0")
	s.create(pod(ns, "three", 3))
	s.awaitFigures("team", "team", "4", "0")
	s.denied(pod(ns, "four", 1))
}

// frozen is a controller whose watches of pods can be frozen.
type frozen struct {
	*process
	proxy *testkit.FaultProxy
	// cold: watches of pods bring nothing.
	cold atomic.Bool
	// hanging is how many such watches there were.
	hanging atomic.Int64
	health  string
}

// ready reports whether the replica knows the pods, and all that it has to.
func (f *frozen) ready() bool {
	resp, err := http.Get("http://" + f.health + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *suite) replica(config *rest.Config) *frozen {
	s.Helper()
	proxy, err := testkit.NewFaultProxy(config)
	s.must(err)
	f := &frozen{proxy: proxy, health: fmt.Sprintf("127.0.0.1:%d", freePort())}
	proxy.Inject(func(r *http.Request) testkit.Fault {
		if r.URL.Path != "/api/v1/pods" || !testkit.IsWatch(r) || !f.cold.Load() {
			return testkit.Fault{}
		}
		f.hanging.Add(1)
		return testkit.Fault{Hang: true}
	})
	f.process = start(proxy.Config(config), "--health-addr="+f.health, "--enable-leader-election", "--leader-election-lease-duration=20s", "--leader-election-renew-deadline=15s", "--leader-election-retry-period=300ms")
	return f
}

// A leader whose watch of pods is frozen counts nothing that its predecessor has
// counted better, frees nothing, and is right again when the watch is.
func TestLeaderWithAFrozenWatch(t *testing.T) {
	s := newSuite(t)
	s.alone()
	first := s.replica(account)
	ns := s.full()
	s.create(pod(ns, "one", 1))
	s.awaitFigures("team", "team", "1", "0")
	term := s.record("team").Term
	second := s.replica(account)
	s.Cleanup(func() {
		second.cold.Store(false)
		second.stop(t)
		second.proxy.Close()
	})
	s.eventually("the second one is warm", second.ready)
	second.cold.Store(true)
	second.proxy.CutWatches()
	s.eventually("its watch is frozen", func() bool { return second.hanging.Load() > 0 })

	s.create(pod(ns, "two", 3))
	s.awaitFigures("team", "team", "4", "0")
	s.must(kube.Delete(s.Context(), pod(ns, "one", 1), client.GracePeriodSeconds(0)))
	s.awaitFigures("team", "team", "3", "0")
	first.stop(t)
	first.proxy.Close()
	s.eventually("the second one leads", func() bool {
		err := kube.Create(s.Context(), pod(ns, "three", 1))
		return err == nil
	})
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		record := s.record("team")
		if used := record.Balance(s.name("team"))[quotav1.DefaultDevice].Used.String(); used != "3" || record.Term != term {
			t.Fatalf("a leader that knows nothing new wrote that %s is used, in term %d", used, record.Term)
		}
		if err := kube.Create(s.Context(), pod(ns, "four", 1), client.DryRunAll); err == nil {
			t.Fatal("a fifth GPU was admitted")
		}
	}
	second.cold.Store(false)
	s.awaitFigures("team", "team", "4", "0")
	if record := s.record("team"); record.Term <= term {
		t.Errorf("term %d after term %d", record.Term, term)
	}
}
