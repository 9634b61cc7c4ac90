// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
)

// wish is what a release should be.
type wish struct {
	chart  *Chart
	values map[string]any
}

func (r *rig) desired(w wish) state.Desired {
	return state.Desired{
		Target:       state.Target{Name: r.object.GetReleaseName(), Namespace: r.object.GetReleaseNamespace(), StorageNamespace: r.namespace},
		Chart:        release.Chart{Name: w.chart.Name, Version: w.chart.Version, AppVersion: w.chart.AppVersion},
		ConfigDigest: release.ConfigDigest(w.values), Values: w.values,
		PostRenderersDigest:  release.PostRenderersDigest(r.object.Spec.PostRenderers),
		CommonMetadataDigest: release.CommonMetadataDigest(r.object.Spec.CommonMetadata),
	}
}

func (r *rig) observe() state.Observed {
	r.Helper()
	records, err := r.store.For(context.Background(), r.dynamic, r.namespace).History(r.object.GetReleaseName())
	r.must(err)
	seen := state.Observed{}
	for _, record := range records {
		seen.History = append(seen.History, record.Release)
	}
	return seen
}

// next returns what has to be done for the wish, as the controller finds it out.
func (r *rig) next(w wish, done []state.Action) state.Step {
	r.Helper()
	want, seen := r.desired(w), r.observe()
	state.ResetFailures(r.object, want)
	state.Refresh(r.object, seen)
	if outcome, ok := state.Resume(r.object, want, seen); ok {
		state.Record(r.object, outcome)
	}
	now := state.Of(r.object, want, seen)
	state.Settle(r.object, now)
	return state.Next(r.object, now, done)
}

// begin runs a step to its end, and leaves it to the caller to record that.
func (r *rig) begin(w wish, step state.Step) Outcome {
	r.Helper()
	state.Begin(r.object, step, time.Now())
	job := r.job(step.Action, w.chart, w.values)
	job.Step = step
	return r.run(job)
}

// fulfil does what the controller does until the wish comes true, and returns
// the actions that it took.
func (r *rig) fulfil(w wish) (done []state.Action) {
	r.Helper()
	for range 10 {
		step := r.next(w, done)
		if step.Stalled != nil || step.Retry > 0 {
			r.Fatalf("after %v: %+v", done, step)
		}
		if step.Action == state.None {
			return done
		}
		outcome := r.begin(w, step)
		if outcome.Err != nil {
			r.Fatalf("after %v, %s: %s %v", done, step.Action, outcome.Err, outcome.Logs)
		}
		state.Record(r.object, outcome.State())
		done = append(done, step.Action)
	}
	r.Fatalf("there is no end to it: %v", done)
	return nil
}

// dieAt has the process die before it sends its nth write from now on, and
// returns whether it has. Before a read there is nothing else in the cluster than
// before the next write.
func (r *rig) dieAt(n int) (died func() bool) {
	sent := 0
	r.each(func(req *http.Request) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if req.Method != http.MethodGet && sent < n {
			if sent++; sent == n {
				go r.runner.Drain(0) // nobody waits any more
			}
		}
		if sent < n {
			return nil
		}
		return errGone
	})
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return sent == n
	}
}

// restart begins anew, with a network that works.
func (r *rig) restart() {
	r.Helper()
	r.each(nil)
	r.start()
}

// killed is an action that a process dies in.
type killed struct {
	// before the action, and the first step of it.
	before func(*rig, *Chart, *Chart) (wish, state.Step)
	// size, old and new of what is there in the end, and the revisions that it
	// may take.
	want      string
	revisions int
	fails     bool // before the action: it undoes that
}

var kills = map[string]killed{
	"install": {
		before: func(r *rig, old, _ *Chart) (wish, state.Step) {
			w := wish{old, map[string]any{"size": 2.0}}
			return w, r.next(w, nil)
		},
		want: "2 here absent", revisions: 2,
	},
	"upgrade": {
		before: func(r *rig, old, next *Chart) (wish, state.Step) {
			r.fulfil(wish{old, nil})
			w := wish{next, map[string]any{"size": 3.0}}
			return w, r.next(w, nil)
		},
		want: "3 absent here", revisions: 3,
	},
	"upgrade by the client": {
		before: func(r *rig, old, next *Chart) (wish, state.Step) {
			r.object.Spec.Install = &helmv2.Install{ServerSideApply: new(bool)}
			r.fulfil(wish{old, nil})
			w := wish{next, map[string]any{"size": 3.0}}
			return w, r.next(w, nil)
		},
		want: "3 absent here", revisions: 3,
	},
	"test": {
		before: func(r *rig, old, _ *Chart) (wish, state.Step) {
			r.fulfil(wish{old, nil})
			r.object.Spec.Test = testEnabled()
			w := wish{old, nil}
			return w, r.next(w, nil)
		},
		want: "1 here absent", revisions: 1,
	},
	"rollback": {
		before: func(r *rig, old, next *Chart) (wish, state.Step) {
			r.object.Spec.Upgrade = &helmv2.Upgrade{Remediation: &helmv2.UpgradeRemediation{RemediateLastFailure: new(true)}}
			return r.failed(old, next)
		},
		want: "1 here absent", revisions: 4, fails: true,
	},
	"uninstall-remediation": {
		before: func(r *rig, old, next *Chart) (wish, state.Step) {
			uninstall := helmv2.UninstallRemediationStrategy
			r.object.Spec.Upgrade = &helmv2.Upgrade{Remediation: &helmv2.UpgradeRemediation{
				RemediateLastFailure: new(true), Strategy: &uninstall,
			}}
			return r.failed(old, next)
		},
		want: "1 here absent", revisions: 1, fails: true,
	},
	"uninstall": {
		before: func(r *rig, old, next *Chart) (wish, state.Step) {
			r.fulfil(wish{old, nil})
			r.fulfil(wish{next, nil})
			step, _ := state.Removal(r.object)
			return wish{old, nil}, step
		},
		want: "1 here absent", revisions: 2,
	},
}

// TestKilledAnywhere ends the process before each single write of an action, and
// has another one go on.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	const hooks = "pre-install,post-install,pre-upgrade,post-upgrade,pre-rollback,post-rollback,pre-delete,post-delete"
	old := app("1.0.0").ConfigMap("old", "here").Hook("hook", hooks, 0, "{{ .Chart.Version }}").Hook("probe", "test", 0, "ok")
	next := app("2.0.0").ConfigMap("new", "here").Hook("hook", hooks, 0, "{{ .Chart.Version }}").Hook("probe", "test", 0, "ok")
	for name, c := range kills {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n, ended := 1, false; !ended; n++ {
				if n > 100 {
					t.Fatal("there is no end to its writes")
				}
				r := newRig(t)
				w, step := c.before(r, r.chart(old), r.chart(next))
				if !strings.HasPrefix(name, string(step.Action)) {
					t.Fatalf("the step is %+v", step)
				}
				died := r.dieAt(n)
				first := r.begin(w, step)
				if ended = !died(); ended {
					r.must(first.Err)
					t.Logf("killed before each of %d writes", n-1)
				}
				r.restart()
				if c.fails {
					r.undo(w, step)
					w.chart = r.chart(old)
				}
				r.goOn(w, step, n)
				got := fmt.Sprintf("%s %s %s", r.value("app-settings"), r.value("app-old"), r.value("app-new"))
				if got != c.want {
					t.Errorf("killed before write %d: there is %q, want %q", n, got, c.want)
				}
				seen := r.observe().History
				if len(seen) == 0 || seen[0].Status != release.Deployed || seen[0].Version > c.revisions {
					t.Errorf("killed before write %d: stored is %v", n, r.history())
				}
				if r.object.Status.Failures > 0 || r.object.Status.InstallFailures > 0 || r.object.Status.UpgradeFailures > 0 {
					t.Errorf("killed before write %d: it counts as a failure: %+v", n, r.object.Status)
				}
			}
		})
	}
}

// goOn is what the next process does.
func (r *rig) goOn(w wish, step state.Step, n int) {
	r.Helper()
	if step.Action == state.Uninstall {
		if step, ok := state.Removal(r.object); ok {
			outcome := r.begin(w, step)
			state.Record(r.object, outcome.State())
			if len(r.history()) > 0 || r.value("app-settings") != "absent" {
				r.Errorf("killed before write %d: not uninstalled: %v %v", n, outcome.Err, r.history())
			}
		}
	}
	r.fulfil(w)
}

// failed has an upgrade fail, and returns the step that undoes it.
func (r *rig) failed(old, next *Chart) (wish, state.Step) {
	r.Helper()
	r.fulfil(wish{old, nil})
	broken := *next
	broken.parsed = copyChart(next.parsed)
	broken.parsed.Templates = append(slices.Clone(broken.parsed.Templates), &chart.File{Name: "templates/bad.yaml", Data: []byte(refused(""))})
	w := wish{&broken, nil}
	outcome := r.begin(w, r.next(w, nil))
	if outcome.Err == nil {
		r.Fatal("the upgrade has succeeded")
	}
	state.Record(r.object, outcome.State())
	return w, r.next(w, nil)
}

// undo does what is left of undoing a failure. The broken chart is not tried
// again.
func (r *rig) undo(w wish, first state.Step) {
	r.Helper()
	for done := []state.Action(nil); ; {
		step := r.next(w, done)
		if step.Action != state.Unlock && step.Action != first.Action {
			if step.Stalled == nil && step.Action != state.None && step.Action != state.Install {
				r.Errorf("after the failure: %+v", step)
			}
			return
		}
		outcome := r.begin(w, step)
		if outcome.Err != nil && !errors.Is(outcome.Err, state.ErrNotFound) {
			r.Fatalf("%s: %s", step.Action, outcome.Err)
		}
		state.Record(r.object, outcome.State())
		done = append(done, step.Action)
	}
}
