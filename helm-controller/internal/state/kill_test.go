// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"strings"
	"testing"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

func specs() map[string]func(*helmv2.HelmReleaseSpec) {
	return map[string]func(*helmv2.HelmReleaseSpec){
		"defaults": nil, "one retry": retries(1), "without end": retries(-1), "retry on failure": retryOnFailure, "upgrades uninstalled": uninstallUpgrades,
		"history kept": keepHistory, "with tests": withTests(nil), "with tests and a retry": withTests(retries(1)),
		"in place": func(s *helmv2.HelmReleaseSpec) {
			s.Upgrade = &helmv2.Upgrade{PreserveValues: true, ChartNameChangeStrategy: helmv2.ChartNameChangeStrategyInPlaceUpdate}
		},
	}
}

// TestKilled kills the process at every moment of every action on the way of
// every chart, and compares with the same way without that.
func TestKilled(t *testing.T) {
	for spec, change := range specs() {
		for _, chart := range []string{"good-2", "bad", "flaky", "broken"} {
			undisturbed := newWorld(t, change)
			undisturbed.converge()
			undisturbed.chart(chart)
			end := undisturbed.converge()
			for _, at := range []moment{beforeStore, whilePend, afterEnd} {
				for n := range min(len(undisturbed.actions), 8) {
					t.Run(strings.Join([]string{spec, chart, string(at), undisturbed.actions[n]}, "/"), func(t *testing.T) {
						w := newWorld(t, change)
						w.killAt(n, at, chart)
						got := w.converge()
						w.compare(undisturbed, end, got, at)
					})
				}
			}
		}
	}
}

// killAt runs until n actions have ended, and kills the next one. The chart
// follows when the first one is released.
func (w *world) killAt(n int, at moment, chart string) {
	w.t.Helper()
	for range 60 {
		if len(w.actions) == n {
			w.kill = at
		}
		if step := w.reconcile(); step.Action == None && step.Retry == 0 {
			w.chart(chart)
		}
		if len(w.actions) > n && w.want.Chart.Version == chart {
			return
		}
	}
	w.t.Fatalf("action %d never ran: %v", n, w.actions)
}

func (w *world) compare(undisturbed *world, end, got Step, at moment) {
	w.t.Helper()
	if (end.Stalled == nil) != (got.Stalled == nil) || end.Retry > 0 != (got.Retry > 0) {
		w.t.Fatalf("it came to %+v %v, and undisturbed to %+v %v; it ran %v", got, got.Stalled, end, end.Stalled, w.actions)
	}
	if end.Stalled != nil && *end.Stalled != *got.Stalled {
		w.t.Errorf("it stalled with %+v, and undisturbed with %+v; it ran %v", *got.Stalled, *end.Stalled, w.actions)
	}
	if w.state() != undisturbed.state() {
		w.t.Errorf("it is %s, and undisturbed %s; it ran %v", w.state(), undisturbed.state(), w.actions)
	}
	if end.Retry > 0 {
		return // Neither is at an end.
	}
	ours, theirs := w.obj.Status, undisturbed.obj.Status
	if ours.Failures != theirs.Failures || ours.InstallFailures != theirs.InstallFailures || ours.UpgradeFailures != theirs.UpgradeFailures {
		w.t.Errorf("%d, %d and %d failures are counted, and undisturbed %d, %d and %d; it ran %v",
			ours.Failures, ours.InstallFailures, ours.UpgradeFailures, theirs.Failures, theirs.InstallFailures, theirs.UpgradeFailures, w.actions)
	}
	extra := 0
	if at == whilePend {
		extra = 1
	}
	if len(w.stored) > 0 && len(undisturbed.stored) > 0 && w.stored[0].Version > undisturbed.stored[0].Version+extra {
		w.t.Errorf("it took %d revisions, and undisturbed %d; it ran %v", w.stored[0].Version, undisturbed.stored[0].Version, w.actions)
	}
	if ours.Weir != nil {
		w.t.Errorf("status.weir is left: %+v", ours.Weir.Pending)
	}
}

// TestRecovery brings a release into a bad state, by every strategy, chart and
// kill, and has a good chart follow: it must be released.
func TestRecovery(t *testing.T) {
	for spec, change := range specs() {
		for _, chart := range []string{"bad", "flaky", "broken"} {
			for _, at := range []moment{never, beforeStore, whilePend, afterEnd} {
				for n := range 6 {
					for _, broken := range []string{"", "uninstall", "rollback"} {
						t.Run(strings.Join([]string{spec, chart, string(at), string(rune('0' + n)), broken}, "/"), func(t *testing.T) {
							w := newWorld(t, change)
							w.brokenUninstall, w.brokenRollback = broken == "uninstall", broken == "rollback"
							if n%2 == 0 {
								w.converge()
							}
							w.chart(chart)
							for i := range 8 {
								if i == n {
									w.kill = at
								}
								w.reconcile()
							}
							before := slices.Clone(w.actions)
							w.kill = never
							w.chart("good-3")
							w.brokenRollback = false
							step := w.converge()
							if step.Stalled != nil || step.Retry > 0 || w.state() != InSync || w.stored[0].Chart.Version != "good-3" {
								t.Fatalf("a good chart came to %+v, %s; it ran %v and then %v", step, w.state(), before, w.actions[len(before):])
							}
							if w.obj.Status.Failures != 0 {
								t.Errorf("%d failures are left", w.obj.Status.Failures)
							}
						})
					}
				}
			}
		}
	}
}

// TestFoundLocked is about releases that another program has left unfinished.
func TestFoundLocked(t *testing.T) {
	for _, status := range []release.Status{release.PendingInstall, release.PendingUpgrade, release.PendingRollback, release.Uninstalling, release.Unknown, release.Superseded} {
		t.Run(string(status), func(t *testing.T) {
			w := newWorld(t, retries(1))
			w.converge()
			w.actions = nil
			left := *w.stored[0]
			left.Version, left.Status, left.Chart.Version = 2, status, "good-2"
			w.stored = append([]*release.Release{&left}, w.stored...)
			w.chart("bad")
			want := "unlock upgrade rollback upgrade rollback"
			if status == release.Superseded {
				want = "upgrade"
			}
			stall := "RetriesExceeded: Failed to upgrade after 2 attempt(s)"
			if status == release.Superseded {
				// Whose it is, nobody knows: its history is of no use.
				stall = "MissingRollbackTarget: Failed to perform remediation: missing target release for rollback: cannot remediate failed release"
			}
			w.wants(w.converge(), stall, want)
		})
	}
}

// TestReset asks for another try where none is left.
func TestReset(t *testing.T) {
	w := newWorld(t, nil)
	w.chart("bad")
	w.wants(w.converge(), "RetriesExceeded: Failed to install after 1 attempt(s)", "install")
	for range 2 {
		w.obj.Annotations = map[string]string{helmv2.ResetAnnotation: "now", reconcileAnnotation: "now"}
		w.wants(w.converge(), "RetriesExceeded: Failed to upgrade after 1 attempt(s)", "install upgrade")
	}
	if w.obj.Status.LastHandledResetAt != "now" {
		t.Errorf("lastHandledResetAt is %q", w.obj.Status.LastHandledResetAt)
	}
	w.obj.Annotations = map[string]string{helmv2.ForceAnnotation: "later", reconcileAnnotation: "later"}
	w.wants(w.converge(), "RetriesExceeded: Failed to upgrade after 2 attempt(s)", "install upgrade upgrade")
	w.values("b")
	w.wants(w.converge(), "RetriesExceeded: Failed to upgrade after 1 attempt(s)", "install upgrade upgrade upgrade")
	w.obj.Generation++
	w.wants(w.converge(), "RetriesExceeded: Failed to upgrade after 1 attempt(s)", "install upgrade upgrade upgrade upgrade")
}

// TestCutOff cancels actions, which is no failure wherever they are.
func TestCutOff(t *testing.T) {
	for name, tc := range map[string]struct {
		status release.Status
		want   string
	}{
		"while it is pending": {release.PendingUpgrade, "upgrade unlock upgrade"},
		"after it has failed": {release.Failed, "upgrade upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			w := installed(t, retries(1))
			w.chart("good-2")
			w.cancel, w.canceledAs = true, tc.status
			w.reconcile()
			w.done = nil // something newer came
			w.chart("bad")
			w.wants(w.converge(), "RetriesExceeded: Failed to upgrade after 2 attempt(s)", tc.want+" rollback upgrade rollback")
		})
	}
}
