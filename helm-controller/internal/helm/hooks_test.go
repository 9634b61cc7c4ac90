// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
)

// hookOf is a template of a hook with a policy.
func hookOf(name, policy string, weight int) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-%s
  annotations:
    helm.sh/hook: post-install
    helm.sh/hook-weight: "%d"
    helm.sh/hook-delete-policy: %s
data: {value: ran}
`, name, weight, policy)
}

func TestHooksByWeightAndPolicy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	chart := app("1.0.0").
		With("templates/b.yaml", hookOf("first", "hook-succeeded", -5)).
		With("templates/a.yaml", hookOf("second", "before-hook-creation", 5))
	got := r.done(r.job(state.Install, r.chart(chart), nil))
	runs := map[string]release.Run{}
	for _, hook := range got.Hooks {
		runs[hook.Name] = hook.LastRun
	}
	if runs["app-first"].Completed.After(runs["app-second"].Started) || runs["app-second"].Phase != release.HookSucceeded {
		t.Errorf("they ran %+v", runs)
	}
	if got := r.value("app-first") + " " + r.value("app-second"); got != "absent ran" {
		t.Errorf("there is %q", got)
	}

	r.object.Name = "quiet"
	r.object.Spec.Install = &helmv2.Install{DisableHooks: true}
	got = r.done(r.job(state.Install, r.chart(chart), nil))
	if len(got.Hooks) != 2 || r.value("quiet-second") != "absent" {
		t.Errorf("without hooks there is %q, stored %d", r.value("quiet-second"), len(got.Hooks))
	}
}

// TestWhatCannotBeDeletedIsNamed, and goes the next time.
func TestWhatCannotBeDeletedIsNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.done(r.job(state.Install, r.chart(app("1.0.0")), nil))
	r.each(func(req *http.Request) error {
		if req.Method == http.MethodDelete && strings.Contains(req.URL.Path, "/configmaps/") {
			return errors.New("not now")
		}
		return nil
	})
	got := r.run(r.job(state.Uninstall, nil, nil))
	if got.Err == nil || !strings.Contains(got.Err.Error(), "app-settings") || !strings.Contains(got.Err.Error(), "not now") {
		t.Errorf("the error is %v", got.Err)
	}
	if got.Release == nil || got.Release.Status != release.Uninstalling {
		t.Errorf("the release is %+v", got.Release)
	}
	r.each(nil)
	r.done(r.job(state.Uninstall, nil, nil))
	if got := r.value("app-settings"); got != "absent" || len(r.history()) > 0 {
		t.Errorf("there is %q and %v", got, r.history())
	}
}
