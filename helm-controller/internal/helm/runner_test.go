// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/testkit"
)

func app(version string) testkit.HelmChart {
	return testkit.HelmChart{Name: "app", Version: version, Values: "size: 1\n"}.
		ConfigMap("settings", "{{ .Values.size }}")
}

func TestALifeOfARelease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.chart(app("1.0.0").Hook("before", "pre-install,pre-upgrade", 0, "{{ .Release.Revision }}"))
	got := r.done(r.job(state.Install, first, map[string]any{"size": 2.0}))
	if got == nil || got.Status != release.Deployed || got.Version != 1 || got.ApplyMethod != release.ServerSide {
		t.Fatalf("installed %+v", got)
	}
	if len(got.Hooks) != 1 || !strings.Contains(got.Hooks[0].Manifest, "helm.toolkit.fluxcd.io/name: app") || got.Hooks[0].LastRun.Phase != release.HookSucceeded {
		t.Errorf("hooks %+v", got.Hooks)
	}
	if diff := cmp.Diff(map[string]any{"size": 2.0}, got.Config); diff != "" {
		t.Error(diff)
	}
	if got := r.value("app-settings") + r.value("app-before"); got != "21" {
		t.Errorf("the values are %q", got)
	}

	r.done(r.job(state.Upgrade, r.chart(app("2.0.0").ConfigMap("more", "{{ .Release.IsUpgrade }}")), nil))
	if got := r.value("app-settings") + r.value("app-more"); got != "1true" {
		t.Errorf("after the upgrade the values are %q", got)
	}

	back := r.job(state.Rollback, nil, nil)
	back.Step.To = 1
	r.done(back)
	if got := r.value("app-settings") + r.value("app-more"); got != "2absent" {
		t.Errorf("after the rollback the values are %q", got)
	}
	if diff := cmp.Diff([]string{"1.0.0 deployed", "2.0.0 superseded", "1.0.0 superseded"}, r.history()); diff != "" {
		t.Error(diff)
	}

	gone := r.run(r.job(state.Uninstall, nil, nil))
	if gone.Err != nil || gone.Release == nil || gone.Release.Status != release.Uninstalled || gone.Release.Version != 3 {
		t.Errorf("uninstalled: %+v", gone)
	}
	if got := r.value("app-settings"); got != "absent" || len(r.history()) > 0 {
		t.Errorf("after the uninstall there is %q and %v", got, r.history())
	}
}

// settled waits until a condition of the test holds.
func (r *rig) settled(what string, holds func() bool) {
	r.Helper()
	for end := time.Now().Add(deadline); !holds(); {
		if time.Now().After(end) {
			r.Fatalf("timed out: %s", what)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
		}
	}
}

func (r *rig) waits(owner types.NamespacedName) bool {
	r.runner.mu.Lock()
	defer r.runner.mu.Unlock()
	running := r.runner.active[owner]
	if running == nil {
		return false
	}
	running.mu.Lock()
	defer running.mu.Unlock()
	return running.waiting
}

func TestNewsCutAWaitShort(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	slow := wish{r.chart(never("1.0.0")), nil}
	step := r.next(slow, nil)
	state.Begin(r.object, step, time.Now())
	job := r.job(step.Action, slow.chart, nil)
	job.Step = step
	if !r.runner.Start(job) || r.runner.Start(job) {
		t.Fatal("one action runs at a time")
	}
	r.settled("the wait for the Deployment", func() bool { return r.waits(job.Owner) && len(r.history()) > 0 && r.value("app-settings") == "1" })
	if action, running := r.runner.Running(job.Owner); !running || action != state.Install {
		t.Errorf("%s runs: %t", action, running)
	}
	r.runner.Cancel(job.Owner, "there are new values")
	outcome := r.await()
	if outcome.Canceled != "there are new values" || outcome.Err == nil || outcome.Release == nil || outcome.Release.Status != release.PendingInstall {
		t.Fatalf("the outcome is %v %+v", outcome.Err, outcome.Release)
	}
	state.Record(r.object, outcome.State())
	r.object.Generation++
	r.fulfil(wish{r.chart(app("2.0.0")), map[string]any{"size": 5.0}})
	if got := r.value("app-settings"); got != "5" || r.object.Status.Failures > 0 {
		t.Errorf("there is %q after %d failures", got, r.object.Status.Failures)
	}
}

func TestWhoWaitsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runner = NewRunner(t.Context(), 1, shared, func(owner types.NamespacedName) { r.woken <- owner })
	slow := r.job(state.Install, r.chart(never("1.0.0")), nil)
	r.runner.Start(slow)
	r.settled("the wait for the Deployment", func() bool { return r.waits(slow.Owner) && r.value("app-settings") == "1" })
	r.object.Name = "other"
	r.done(r.job(state.Install, r.chart(app("1.0.0")), nil))
	r.runner.Drain(time.Millisecond)
	outcome, ok := r.runner.Take(slow.Owner)
	if !ok || outcome.Canceled == "" || outcome.Release.Status != release.PendingInstall {
		t.Errorf("drained: %t %+v", ok, outcome)
	}
	if r.runner.Start(slow) {
		t.Error("an action began after the end")
	}
}

func TestAFaultOfATemplateEndsNobodyElse(t *testing.T) {
	t.Parallel()
	err := guarded(func() error {
		var nothing *Chart
		return errors.New(nothing.Name)
	})
	if err == nil || !strings.Contains(err.Error(), "fault") {
		t.Errorf("the error is %v", err)
	}
}
