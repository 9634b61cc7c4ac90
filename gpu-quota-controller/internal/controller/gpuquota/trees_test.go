// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota_test

import (
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// What a quota holds, its parent holds too, and a quota that moves takes it
// along.
func TestReparentedQuota(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.namespace("a", "child")
	s.quota("old", hard("8"))
	s.quota("new", hard("8"))
	s.quota("child", hard("4"), s.below("old"))
	s.awaitReady("child", quotav1.EnforcedReason)
	s.create(pod(ns, "one", 3))
	s.awaitFigures("old", "old", "3", "0")
	s.awaitFigures("old", "child", "3", "0")
	s.edit("child", s.below("new"))
	s.awaitFigures("new", "new", "3", "0")
	s.awaitFigures("new", "child", "3", "0")
	s.awaitFigures("old", "old", "0", "0")
	s.awaitReady("child", quotav1.EnforcedReason)
	if text := s.denied(pod(ns, "two", 2)); !strings.Contains(text, `GPUQuota "`+s.name("child")+`"`) {
		t.Errorf("denied with %q", text)
	}
}

// A limit that is lowered evicts nobody and admits nobody; one that is raised
// counts at once.
func TestLimitLoweredAndRaised(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.namespace("a", "team")
	s.quota("team", hard("8"))
	s.awaitReady("team", quotav1.EnforcedReason)
	s.create(pod(ns, "one", 6))
	s.awaitFigures("team", "team", "6", "0")
	s.edit("team", hard("4"))
	q := s.await("team", "is exceeded", func(q *quotav1.GPUQuota) bool { return conditions.IsTrue(q, quotav1.ExceededCondition) })
	if got := conditions.GetMessage(q, quotav1.ExceededCondition); got != "gpu used 6, hard 4; nothing is evicted" {
		t.Errorf("message %q", got)
	}
	s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: ns, Name: "one"}, &corev1.Pod{}))
	s.denied(pod(ns, "two", 1))
	s.edit("team", hard("7"))
	s.await("team", "is within its limits", func(q *quotav1.GPUQuota) bool { return conditions.IsFalse(q, quotav1.ExceededCondition) })
	s.create(pod(ns, "two", 1))
	s.awaitFigures("team", "team", "7", "0")
	q = s.await("team", "shows what is held", func(q *quotav1.GPUQuota) bool { return q.Status.Summary == "gpu 7/7" })
	if d := q.Status.Devices[0]; d.Name != "gpu" || d.Hard != "7" || d.Used != "7" || d.Available != "0" || q.Status.Namespaces != 1 {
		t.Errorf("status %+v", q.Status)
	}
	s.awaitEvent("team", corev1.EventTypeWarning, quotav1.OverLimitReason)
	s.awaitEvent("team", corev1.EventTypeNormal, quotav1.WithinLimitsReason)
}

// awaitEvent waits until there is an event about a quota.
func (s *suite) awaitEvent(name, kind, reason string) {
	s.Helper()
	s.eventually("an event with "+reason+" about "+name, func() bool {
		var list corev1.EventList
		s.must(kube.List(s.Context(), &list, client.MatchingFields{"involvedObject.name": s.name(name)}))
		for i := range list.Items {
			if list.Items[i].Type == kind && list.Items[i].Reason == reason {
				return true
			}
		}
		return false
	})
}

// Of two quotas that select a namespace the older one has it.
func TestOverlappingQuotas(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.namespace("a", "old")
	s.quota("old", hard("8"))
	s.awaitReady("old", quotav1.EnforcedReason)
	// The creation time has whole seconds, then the name decides.
	s.quota("young", hard("8"), func(q *quotav1.GPUQuota) { q.Spec.NamespaceSelector, q.Spec.Namespaces = nil, []string{ns} })
	q := s.await("young", "overlaps", func(q *quotav1.GPUQuota) bool {
		return conditions.IsTrue(q, quotav1.OverlappingCondition) && conditions.IsReady(q)
	})
	if got, want := conditions.GetMessage(q, quotav1.OverlappingCondition), "namespace "+ns+` belongs to GPUQuota "`+s.name("old")+`", which is older`; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	s.create(pod(ns, "one", 2))
	s.awaitFigures("old", "old", "2", "0")
	s.awaitFigures("young", "young", "0", "0")
	s.must(kube.Delete(s.Context(), s.get("old")))
	s.await("young", "overlaps no more", func(q *quotav1.GPUQuota) bool { return !conditions.Has(q, quotav1.OverlappingCondition) })
	s.awaitFigures("young", "young", "2", "0")
	s.eventually("the ledger of the old one is gone", func() bool { return s.record("old") == nil })
}

// A quota that would be its own ancestor stays where it was.
func TestCycle(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.quota("a", hard("8"))
	s.quota("b", hard("4"), s.below("a"))
	s.awaitReady("b", quotav1.EnforcedReason)
	s.edit("a", s.below("b"))
	message := s.awaitNotReady("a", quotav1.CycleReason)
	if want := s.name("a") + " → " + s.name("b") + " → " + s.name("a"); !strings.Contains(message, want) {
		t.Errorf("message %q, want one with %q", message, want)
	}
	if !conditions.IsStalled(s.get("a")) {
		t.Error("it is not stalled")
	}
	if record := s.record("a"); record == nil || record.Quotas[s.name("b")].Parent != s.name("a") {
		t.Errorf("the last valid tree does not hold: %+v", record)
	}
	s.edit("a", func(q *quotav1.GPUQuota) { q.Spec.ParentRef = nil })
	s.awaitReady("a", quotav1.EnforcedReason)
}

// Without its parent a quota's own limits hold.
func TestMissingParent(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.namespace("a", "child")
	s.quota("child", hard("2"), s.below("parent"))
	s.awaitNotReady("child", quotav1.ParentNotFoundReason)
	s.create(pod(ns, "one", 2))
	s.awaitFigures("child", "child", "2", "0")
	s.denied(pod(ns, "two", 1))
	s.quota("parent", hard("8"))
	s.awaitReady("child", quotav1.EnforcedReason)
	s.awaitFigures("parent", "parent", "2", "0")
	s.eventually("the ledger of the child alone is gone", func() bool { return s.record("child") == nil })
}

// A parent goes last.
func TestParentIsDeletedAfterItsChildren(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.quota("parent", hard("8"))
	s.quota("child", hard("2"), s.below("parent"))
	s.awaitReady("child", quotav1.EnforcedReason)
	parent := s.get("parent")
	s.must(kube.Delete(s.Context(), parent))
	if message := s.awaitNotReady("parent", quotav1.HasChildrenReason); !strings.Contains(message, s.name("child")) {
		t.Errorf("message %q does not name the child", message)
	}
	if !conditions.IsReady(s.get("child")) {
		t.Error("the child is not ready any more")
	}
	s.must(kube.Delete(s.Context(), s.get("child")))
	s.eventually("both are gone", func() bool {
		return apierrors.IsNotFound(kube.Get(s.Context(), client.ObjectKeyFromObject(parent), parent))
	})
	s.eventually("so is the ledger", func() bool { return s.record("parent") == nil })
}

// A suspended quota counts and denies nobody.
func TestSuspendedQuota(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.namespace("a", "team")
	s.quota("team", hard("1"), func(q *quotav1.GPUQuota) { q.Spec.Suspend = true })
	s.awaitReady("team", quotav1.SuspendedReason)
	s.create(pod(ns, "one", 4))
	s.awaitFigures("team", "team", "4", "0")
	s.await("team", "is exceeded", func(q *quotav1.GPUQuota) bool { return conditions.IsTrue(q, quotav1.ExceededCondition) })
	s.edit("team", func(q *quotav1.GPUQuota) { q.Spec.Suspend = false })
	s.awaitReady("team", quotav1.EnforcedReason)
	s.denied(pod(ns, "two", 1))
	for mode, reason := range map[quotav1.Enforcement]string{quotav1.Warn: quotav1.WarnOnlyReason, quotav1.Off: quotav1.NotEnforcedReason} {
		s.edit("team", func(q *quotav1.GPUQuota) { q.Spec.Enforcement.Admission = mode })
		s.awaitReady("team", reason)
	}
}

// Limits and pods may be about devices that no class counts.
func TestUnknownDevices(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.namespace("a", "team")
	classes := func(limit string) func(*quotav1.GPUQuota) {
		return func(q *quotav1.GPUQuota) {
			q.Spec.Devices = []quotav1.Device{{Name: "amd", Match: quotav1.DeviceMatch{ResourceNames: []string{"amd.com/gpu"}}}}
			q.Spec.Limits = []quotav1.Limit{{Device: limit, Hard: "2"}}
		}
	}
	s.quota("team", classes("h100"))
	q := s.await("team", "has no such class", func(q *quotav1.GPUQuota) bool { return conditions.IsTrue(q, quotav1.UnknownDeviceCondition) })
	if got, want := conditions.GetMessage(q, quotav1.UnknownDeviceCondition), `has no device "h100"; it has "amd"`; !strings.Contains(got, want) {
		t.Errorf("message %q, want %q", got, want)
	}
	s.edit("team", classes("amd"))
	s.await("team", "has the class", func(q *quotav1.GPUQuota) bool { return !conditions.Has(q, quotav1.UnknownDeviceCondition) })
	s.create(pod(ns, "one", 1))
	s.await("team", "counts no such device", func(q *quotav1.GPUQuota) bool {
		return conditions.GetReason(q, quotav1.UnknownDeviceCondition) == quotav1.NoClassReason
	})
}

// Somebody asks for a reconcile; and unless something flips, the status is
// written at most every ten seconds.
func TestStatusIsWrittenSparingly(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	ns := s.namespace("a", "team")
	s.quota("team", hard("8"))
	s.awaitReady("team", quotav1.EnforcedReason)
	s.edit("team", func(q *quotav1.GPUQuota) {
		q.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	s.await("team", "was reconciled on request", func(q *quotav1.GPUQuota) bool { return q.Status.LastHandledReconcileAt == "now" })
	written := s.get("team").ResourceVersion
	began := time.Now()
	s.create(pod(ns, "one", 1))
	s.awaitFigures("team", "team", "1", "0")
	s.create(pod(ns, "two", 1))
	s.awaitFigures("team", "team", "2", "0")
	q := s.await("team", "shows both pods at once", func(q *quotav1.GPUQuota) bool { return q.ResourceVersion != written })
	if took := time.Since(began); q.Status.Summary != "gpu 2/8" || took < 5*time.Second {
		t.Errorf("after %s it shows %q", took, q.Status.Summary)
	}
}

// A ledger that was closed, or is gone, is counted from a live list and opens
// again.
func TestLedgerIsRepaired(t *testing.T) {
	for name, damage := range map[string]func(*suite, *corev1.ConfigMap){
		"closed": func(s *suite, cm *corev1.ConfigMap) {
			record := s.record("team")
			record.Close("by a test")
			data, err := record.Encode()
			s.must(err)
			cm.Data[ledger.DataKey] = string(data)
			s.must(kube.Update(s.Context(), cm))
		},
		"gone": func(s *suite, cm *corev1.ConfigMap) { s.must(kube.Delete(s.Context(), cm)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			ns := s.namespace("a", "team")
			s.quota("team", hard("4"))
			s.awaitReady("team", quotav1.EnforcedReason)
			s.create(pod(ns, "one", 2))
			s.awaitFigures("team", "team", "2", "0")
			cm := &corev1.ConfigMap{}
			s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: ledger.Name(s.name("team"))}, cm))
			damage(s, cm)
			s.create(pod(ns, "two", 1))
			s.awaitFigures("team", "team", "3", "0")
		})
	}
}
