// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
