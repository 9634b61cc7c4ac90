// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// start is when everything in these tests happens.
var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// moment is a point of an action at which the process is killed.
type moment string

const (
	never       moment = ""
	beforeStore moment = "before anything is stored"
	whilePend   moment = "while the release is pending"
	afterEnd    moment = "after the end, before the status is written"
)

// world is a HelmRelease and the storage of a Helm that does what charts say by
// their versions: "good…" succeeds, "bad…" fails, "broken…" does not render,
// "flaky…" has a test that fails.
type world struct {
	t      *testing.T
	obj    *helmv2.HelmRelease
	want   Desired
	stored []*release.Release // newest first
	done   []Action
	// kill the process at a moment of the next action.
	kill moment
	// What fails whatever the chart; an uninstall half-way.
	brokenUninstall, brokenUpgrade, brokenRollback bool
	// cancel cuts the next action off, and leaves its release canceledAs.
	cancel     bool
	canceledAs release.Status
	actions    []string
	events     []Event
}

func newWorld(t *testing.T, change func(*helmv2.HelmReleaseSpec)) *world {
	t.Helper()
	w := &world{t: t, obj: &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", Generation: 1}}}
	if change != nil {
		change(&w.obj.Spec)
	}
	w.want = Desired{Target: Target{"app", "ns", "ns"}}
	w.chart("good-1")
	w.values("a")
	return w
}

func (w *world) chart(version string) {
	w.want.Chart = release.Chart{Name: "chart", Version: version, AppVersion: "app-" + version}
}

func (w *world) values(value string) {
	w.want.Values = map[string]any{"key": value}
	w.want.ConfigDigest = release.ConfigDigest(w.want.Values)
}

// reconcile does once what the controller does, and returns what followed.
func (w *world) reconcile() Step {
	w.t.Helper()
	seen := Observed{History: slices.Clone(w.stored)}
	if outcome, ok := Resume(w.obj, w.want, seen); ok {
		w.record(outcome)
	}
	Refresh(w.obj, seen)
	if ResetFailures(w.obj, w.want) != "" {
		w.done = nil
	}
	state := Of(w.obj, w.want, seen)
	Settle(w.obj, state)
	step := Next(w.obj, state, w.done)
	ForceHandled(w.obj)
	if step.Action == None {
		w.done = nil
		if step.Stalled != nil || state.Kind == InSync {
			w.obj.Status.ObservedGeneration = w.obj.Generation
		}
		return step
	}
	Begin(w.obj, step, start)
	status := w.obj.Status.DeepCopy()
	w.actions = append(w.actions, string(step.Action))
	kill := w.kill
	w.kill = never
	outcome := w.execute(step, kill)
	if kill != never {
		w.obj.Status, w.done = *status, nil
		return step
	}
	if w.cancel {
		w.cancel = false
		w.stored[0].Status, outcome.Err, outcome.Canceled = w.canceledAs, errors.New("canceled"), NewChart
		w.stored[1].Status = release.Deployed
	}
	w.record(outcome)
	w.done = append(w.done, step.Action)
	return step
}

func (w *world) record(outcome Outcome) {
	if event := Record(w.obj, outcome); event != nil {
		w.events = append(w.events, *event)
	}
}

// settle reconciles until nothing is left to do now, and returns the last step.
func (w *world) settle() Step {
	w.t.Helper()
	for range 20 {
		if step := w.reconcile(); step.Action == None {
			return step
		}
	}
	w.t.Fatalf("it does not come to rest: %v", w.actions)
	return Step{}
}

// converge settles again and again, as if time passed, until it is in sync,
// stalled, or it has been tried often.
func (w *world) converge() Step {
	w.t.Helper()
	var step Step
	for range 10 {
		if step = w.settle(); step.Retry == 0 {
			return step
		}
	}
	return step
}

func (w *world) state() Kind {
	return Of(w.obj, w.want, Observed{History: w.stored}).Kind
}

// execute is Helm.
func (w *world) execute(step Step, kill moment) Outcome {
	outcome := Outcome{Step: step, Duration: time.Second}
	if kill == beforeStore {
		return outcome
	}
	switch step.Action {
	case Install, Upgrade, Rollback:
		w.make(step, kill, &outcome)
	case Test:
		tested := *w.stored[0]
		tested.Hooks = slices.Clone(tested.Hooks)
		for i := range tested.Hooks {
			tested.Hooks[i].LastRun = release.Run{Started: start, Completed: start, Phase: phaseOf(tested.Chart.Version)}
		}
		w.stored[0], outcome.Release = &tested, &tested
		if strings.HasPrefix(tested.Chart.Version, "flaky") {
			outcome.Err = errors.New("pod app-test failed")
		}
	case Uninstall, UninstallRemediation:
		w.uninstall(kill, &outcome)
	case Unlock:
		unlocked := *w.stored[0]
		unlocked.Description, unlocked.Status = Unlocked(step.From), release.Failed
		w.stored[0], outcome.Release = &unlocked, &unlocked
	case None:
	}
	return outcome
}

func phaseOf(version string) string {
	if strings.HasPrefix(version, "flaky") {
		return release.HookFailed
	}
	return release.HookSucceeded
}

func (w *world) make(step Step, kill moment, outcome *Outcome) {
	if strings.HasPrefix(step.Chart.Version, "broken") {
		outcome.Err = errors.New("parse error")
		return
	}
	if step.Action == Install && len(w.stored) > 0 && !step.Replace {
		outcome.Err = errors.New("cannot re-use a name that is still in use")
		return
	}
	made := &release.Release{
		Name: step.Target.Name, Namespace: step.Target.Namespace, Version: 1, Chart: step.Chart, Config: w.want.Values,
		FirstDeployed: start, LastDeployed: start, Manifest: "manifest of " + step.Chart.Version,
		Hooks: []release.Hook{{Name: "app-test", Events: []string{release.HookTest}}},
	}
	if len(w.stored) > 0 {
		made.Version = w.stored[0].Version + 1
	}
	if step.Action == Rollback {
		for _, r := range w.stored {
			if r.Version == step.To {
				made.Chart, made.Config, made.Manifest = r.Chart, r.Config, r.Manifest
			}
		}
	}
	if made.Version != step.Version {
		w.t.Fatalf("%s was announced as v%d and made v%d", step.Action, step.Version, made.Version)
	}
	made.Status = map[Action]release.Status{Install: release.PendingInstall, Upgrade: release.PendingUpgrade, Rollback: release.PendingRollback}[step.Action]
	w.stored, outcome.Release = append([]*release.Release{made}, w.stored...), made
	if kill == whilePend {
		return
	}
	if strings.HasPrefix(made.Chart.Version, "bad") || step.Action == Rollback && w.brokenRollback || step.Action == Upgrade && w.brokenUpgrade {
		made.Status, made.Description = release.Failed, "it failed: Deployment ns/app is not ready"
		outcome.Err = errors.New("Deployment ns/app is not ready")
		return
	}
	for i, r := range w.stored[1:] {
		if r.Status == release.Deployed {
			replaced := *r
			replaced.Status = release.Superseded
			w.stored[i+1] = &replaced
		}
	}
	made.Status = release.Deployed
}

func (w *world) uninstall(kill moment, outcome *Outcome) {
	if len(w.stored) == 0 {
		outcome.Err = ErrNotFound
		return
	}
	removed := *w.stored[0]
	removed.Status = release.Uninstalling
	w.stored[0], outcome.Release = &removed, &removed
	if kill == whilePend {
		return
	}
	if w.brokenUninstall {
		outcome.Err = errors.New("hook failed")
		return
	}
	removed.Status, removed.Deleted = release.Uninstalled, start
	if w.obj.GetUninstall().KeepHistory {
		return
	}
	w.stored = nil
}

func (w *world) ran() string { return strings.Join(w.actions, " ") }

func (w *world) wants(step Step, stall, ran string) {
	w.t.Helper()
	got := ""
	if step.Stalled != nil {
		got = step.Stalled.Reason + ": " + step.Stalled.Message
	}
	if got != stall {
		w.t.Errorf("it stalls with %q, want %q", got, stall)
	}
	if w.ran() != ran {
		w.t.Errorf("it ran\n\t%s, want\n\t%s", w.ran(), ran)
	}
}

func (w *world) ready(status metav1.ConditionStatus, reason, message string) {
	w.t.Helper()
	gotStatus, gotReason, gotMessage := Summary(w.obj)
	if got, want := fmt.Sprint(gotStatus, gotReason, gotMessage), fmt.Sprint(status, reason, message); got != want {
		w.t.Errorf("Ready is\n\t%s, want\n\t%s", got, want)
	}
}
