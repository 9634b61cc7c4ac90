// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// installed is a world with good-1 installed.
func installed(t *testing.T, change func(*helmv2.HelmReleaseSpec)) *world {
	t.Helper()
	w := newWorld(t, change)
	w.converge()
	w.actions, w.events = nil, nil
	return w
}

type eventCase struct {
	outcome   func(*world) Outcome
	condition string
	status    metav1.ConditionStatus
	want      *Event
}

func eventsOfReleases() map[string]eventCase {
	const text = "cannot reach https://user:secret@example.com/x?token=secret\n"
	failed, about := errors.New(text), metadataOfGood()
	return map[string]eventCase{
		"an upgrade fails before anything is stored": {
			outcome: func(w *world) Outcome {
				return Outcome{Err: failed, Logs: []string{"line"}, Step: Step{Action: Upgrade, Version: 2, Target: w.want.Target, Chart: w.want.Chart, ConfigDigest: w.want.ConfigDigest, OCIDigest: "sha256:1"}}
			}, condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Failure: true, Reason: helmv2.UpgradeFailedReason, Metadata: about, Logs: []string{"line"}, Message: "Helm upgrade failed for release ns/app with chart chart@good-1: cannot reach https://example.com/x"},
		},
		"a success that nobody can see": {
			outcome: func(w *world) Outcome {
				return Outcome{Step: Step{Action: Upgrade, Version: 2, Target: w.want.Target, Chart: w.want.Chart, ConfigDigest: w.want.ConfigDigest, OCIDigest: "sha256:1"}, Release: w.stored[0]}
			}, condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Failure: true, Reason: helmv2.UpgradeFailedReason, Metadata: about, Message: "Helm upgrade failed for release ns/app with chart chart@good-1: helm reports success, and the release is not in its storage"},
		},
		"a test cannot run": {
			outcome:   func(*world) Outcome { return Outcome{Step: Step{Action: Test}, Err: errors.New("no")} },
			condition: helmv2.TestSuccessCondition, status: metav1.ConditionFalse,
			want: &Event{Failure: true, Reason: helmv2.TestFailedReason, Metadata: about, Message: "Helm test failed for release ns/app.v1 with chart chart@good-1: no"},
		},
		"the tests of another release": {
			outcome: func(w *world) Outcome {
				other := left(w, release.Deployed)
				other.Version = 7
				return Outcome{Step: Step{Action: Test}, Release: other}
			}, condition: helmv2.TestSuccessCondition, status: metav1.ConditionFalse,
			want: &Event{Failure: true, Reason: helmv2.TestFailedReason, Metadata: about, Message: "Helm test failed for release ns/app.v1 with chart chart@good-1: the tests that have run are not those of ns/app.v1"},
		},
	}
}

func eventsOfTheRest() map[string]eventCase {
	about := metadataOfGood()
	return map[string]eventCase{
		"an uninstall": {
			outcome: func(w *world) Outcome {
				return Outcome{Step: Step{Action: Uninstall}, Release: left(w, release.Uninstalled)}
			}, condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Reason: helmv2.UninstallSucceededReason, Metadata: about, Message: "Helm uninstall succeeded for release ns/app.v1 with chart chart@good-1"},
		},
		"an uninstall of nothing": {
			outcome:   func(*world) Outcome { return Outcome{Step: Step{Action: Uninstall}, Err: ErrNotFound} },
			condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Reason: helmv2.UninstallSucceededReason, Metadata: about, Message: "Release ns/app.v1 was not found, assuming it is uninstalled"},
		},
		"an uninstall once more": {
			outcome:   func(*world) Outcome { return Outcome{Step: Step{Action: Uninstall}, Err: ErrUninstalled} },
			condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Reason: helmv2.UninstallSucceededReason, Metadata: about, Message: "Release ns/app.v1 was already uninstalled"},
		},
		"an uninstall that fails": {
			outcome:   func(*world) Outcome { return Outcome{Step: Step{Action: Uninstall}, Err: errors.New("no")} },
			condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Failure: true, Reason: helmv2.UninstallFailedReason, Metadata: about, Message: "Helm uninstall failed for release ns/app.v1 with chart chart@good-1: no"},
		},
		"a remedy that fails": {
			outcome:   func(*world) Outcome { return Outcome{Step: Step{Action: UninstallRemediation}, Err: errors.New("no")} },
			condition: helmv2.RemediatedCondition, status: metav1.ConditionFalse,
			want: &Event{Failure: true, Reason: helmv2.UninstallFailedReason, Metadata: about, Message: "Helm uninstall remediation for release ns/app.v1 with chart chart@good-1 failed: no"},
		},
		"an unlock": {
			outcome: func(w *world) Outcome {
				return Outcome{Step: Step{Action: Unlock, From: release.PendingUpgrade}, Release: left(w, release.Failed)}
			}, condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Reason: helmv2.PendingReleaseReason, Metadata: about, Message: "Unlocked Helm release ns/app.v1 with chart chart@good-1 in pending-upgrade state"},
		},
		"an unlock that fails": {
			outcome: func(w *world) Outcome {
				return Outcome{Step: Step{Action: Unlock, From: release.PendingUpgrade}, Release: w.stored[0], Err: errors.New("no")}
			}, condition: helmv2.ReleasedCondition, status: metav1.ConditionFalse,
			want: &Event{Failure: true, Reason: helmv2.PendingReleaseReason, Metadata: about, Message: "Unlock of Helm release ns/app.v1 with chart chart@good-1 in pending-upgrade state failed: no"},
		},
		"what was cut off is no failure": {
			outcome: func(*world) Outcome {
				return Outcome{Step: Step{Action: Upgrade}, Err: errors.New("canceled"), Canceled: NewChart}
			}, condition: helmv2.ReleasedCondition, status: metav1.ConditionTrue,
		},
	}
}

func metadataOfGood() map[string]string {
	return map[string]string{"revision": "good-1", "app-version": "app-good-1", "token": release.ConfigDigest(map[string]any{"key": "a"}), "oci-digest": "sha256:1"}
}

// left is the installed release as an action has left it.
func left(w *world, status release.Status) *release.Release {
	r := *w.stored[0]
	r.Status = status
	return &r
}

func TestEvents(t *testing.T) {
	cases := eventsOfReleases()
	maps.Copy(cases, eventsOfTheRest())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.want.OCIDigest = "sha256:1"
			w.converge()
			outcome := tc.outcome(w)
			got := Record(w.obj, outcome)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			c := conditions.Get(w.obj, tc.condition)
			if c == nil || c.Status != tc.status || got != nil && (c.Reason != got.Reason || c.Message != got.Message) {
				t.Errorf("the condition is %+v", c)
			}
			if counted := w.obj.Status.Failures; (counted == 1) != (got != nil && got.Failure) {
				t.Errorf("%d failures are counted", counted)
			}
			if w.obj.Status.InstallFailures != 0 || w.obj.Status.UpgradeFailures != 0 {
				t.Error("a failure that stored nothing counts for retries")
			}
		})
	}
}

// TestBegin looks at what is announced, and that it is taken back.
func TestBegin(t *testing.T) {
	w := installed(t, nil)
	w.chart("good-2")
	w.want.OCIDigest = "sha256:2"
	w.kill = beforeStore
	step := w.reconcile()
	want := &helmv2.PendingAction{Action: "upgrade", Name: "app", Namespace: "ns", Version: 2, Generation: 1, ChartVersion: "good-2",
		ConfigDigest: w.want.ConfigDigest, OCIDigest: "sha256:2", Since: metav1.NewTime(start)}
	if diff := cmp.Diff(want, w.obj.Status.Weir.Pending); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	if got := step.Message(); got != "Running 'upgrade' action with timeout of 5m0s" || !step.Releases() {
		t.Errorf("the message is %q, and it releases: %t", got, step.Releases())
	}
	if got := (Step{Action: UninstallRemediation, Timeout: time.Minute}).Message(); got != "Running 'uninstall' action with timeout of 1m0s" {
		t.Errorf("the message is %q", got)
	}
	w.converge()
	if w.obj.Status.Weir != nil || w.obj.Status.History[0].OCIDigest != "sha256:2" {
		t.Errorf("status.weir is %+v, and history %+v", w.obj.Status.Weir, w.obj.Status.History[0])
	}
}

func TestOutdated(t *testing.T) {
	for name, tc := range map[string]struct {
		action Action
		change func(*world)
		want   string
	}{
		"nothing new":    {Upgrade, func(*world) {}, ""},
		"a new spec":     {Upgrade, func(w *world) { w.obj.Generation++ }, NewGeneration},
		"a new chart":    {Upgrade, func(w *world) { w.chart("good-3") }, NewChart},
		"the chart anew": {Upgrade, func(w *world) { w.want.OCIDigest = "sha256:3" }, NewChart},
		"new values":     {Install, func(w *world) { w.values("b") }, NewValues},
		"a reset": {Upgrade, func(w *world) {
			w.obj.Annotations = map[string]string{helmv2.ResetAnnotation: "now", reconcileAnnotation: "now"}
		}, ResetRequested},
		"rollback, nothing new":  {Rollback, func(*world) {}, ""},
		"rollback, a new chart":  {Rollback, func(w *world) { w.chart("good-3") }, NewChart},
		"rollback, new values":   {Rollback, func(w *world) { w.values("b") }, NewValues},
		"test, a new chart":      {Test, func(w *world) { w.chart("good-3") }, NewChart},
		"uninstall, a new chart": {UninstallRemediation, func(w *world) { w.chart("good-3") }, ""},
		"nothing runs":           {None, func(w *world) { w.chart("good-3") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := installed(t, nil)
			if tc.action != None {
				Begin(w.obj, Step{Action: tc.action, Target: w.want.Target, Chart: w.want.Chart, ConfigDigest: w.want.ConfigDigest}, start)
			}
			tc.change(w)
			if got := Outdated(w.obj, w.want); got != tc.want {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
			if s := Of(w.obj, w.want, Observed{History: w.stored, Running: true}); s.Kind != Running || Next(w.obj, s, nil).Action != None {
				t.Errorf("while it runs the state is %s", s.Kind)
			}
		})
	}
}

func TestRemoval(t *testing.T) {
	w := newWorld(t, func(s *helmv2.HelmReleaseSpec) {
		s.Uninstall = &helmv2.Uninstall{Timeout: &metav1.Duration{Duration: time.Minute}}
	})
	if step, ok := Removal(w.obj); ok {
		t.Errorf("nothing is to be uninstalled, and %+v is", step)
	}
	w.kill = whilePend
	w.reconcile()
	want := Step{Action: Uninstall, Target: w.want.Target, Timeout: time.Minute}
	if step, ok := Removal(w.obj); !ok || cmp.Diff(want, step) != "" {
		t.Errorf("an install that was cut off is removed with %+v", step)
	}
	w.converge()
	want.Version = 2
	if step, ok := Removal(w.obj); !ok || cmp.Diff(want, step) != "" {
		t.Errorf("a release is removed with %+v", step)
	}
}

// TestMaxHistory keeps a release that is tried for ever from filling the cluster.
func TestMaxHistory(t *testing.T) {
	w := newWorld(t, func(s *helmv2.HelmReleaseSpec) { retryOnFailure(s); s.MaxHistory = new(int) })
	w.chart("bad")
	if step := w.reconcile(); step.MaxHistory != 0 {
		t.Errorf("the first keeps %d", step.MaxHistory)
	}
	w.reconcile()
	if step := w.reconcile(); step.MaxHistory != retriedHistory || step.Action != Upgrade {
		t.Errorf("the next keeps %d, %s", step.MaxHistory, step.Action)
	}
	for range 20 {
		w.reconcile()
	}
	if got := len(w.obj.Status.History); got > keptSnapshots+1 {
		t.Errorf("%d snapshots are kept", got)
	}
}

// TestRolledBack must not take the release before for the one that is wanted,
// where only what renders it differs.
func TestRolledBack(t *testing.T) {
	const stall = "RetriesExceeded: Failed to upgrade after 2 attempt(s)"
	w := installed(t, retries(1))
	w.obj.Generation, w.want.PostRenderersDigest, w.brokenUpgrade = 2, "sha256:1", true
	w.wants(w.converge(), stall, "upgrade rollback upgrade rollback")
	w.wants(w.converge(), stall, "upgrade rollback upgrade rollback")
	w.obj.Generation, w.want.PostRenderersDigest = 3, ""
	w.wants(w.converge(), "", "upgrade rollback upgrade rollback")
	w.ready(metav1.ConditionTrue, helmv2.UpgradeSucceededReason, "Helm upgrade succeeded for release ns/app.v5 with chart chart@good-1")
}

// TestPreservedValues adds values to those of the release before, once.
func TestPreservedValues(t *testing.T) {
	w := installed(t, func(s *helmv2.HelmReleaseSpec) { s.Upgrade = &helmv2.Upgrade{PreserveValues: true} })
	w.want.Values = map[string]any{"new": "b"}
	w.want.ConfigDigest = release.ConfigDigest(w.want.Values)
	if got := w.state(); got != OutOfSync {
		t.Fatalf("with new values it is %s", got)
	}
	given := w.want.Values
	w.want.Values = map[string]any{"key": "a", "new": "b"} // what Helm makes of them
	w.reconcile()
	w.want.Values = given
	if got := w.state(); got != InSync {
		t.Errorf("after the upgrade it is %s", got)
	}
}
