// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
)

const (
	invalidService = "apiVersion: v1\nkind: Service\nmetadata: {name: '{{ .Release.Name }}-zz'}\nspec: {ports: [{port: -1}]}\n"
	endlessJob     = `apiVersion: batch/v1
kind: Job
metadata: {name: "{{ .Release.Name }}-never"}
spec:
  suspend: false
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {there: is-no-such-node}
      containers: [{name: main, image: none}]
`
)

// What a failed upgrade has created goes if the spec says so, and stays if not.
func TestCleanupOnFail(t *testing.T) {
	t.Parallel()
	for name, cleans := range map[string]bool{"cleaned up": true, "left": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.object.Spec.Upgrade = &helmv2.Upgrade{CleanupOnFail: cleans}
			r.done(r.job(state.Install, r.chart(app("1.0.0")), nil))
			got := r.run(r.job(state.Upgrade, r.chart(app("2.0.0").ConfigMap("new", "made").With("templates/zz.yaml", invalidService)), nil))
			if got.Err == nil || !strings.Contains(got.Err.Error(), "app-zz") {
				t.Fatalf("the error is %v", got.Err)
			}
			_, err := r.admin.CoreV1().ConfigMaps(r.namespace).Get(t.Context(), "app-new", metav1.GetOptions{})
			if apierrors.IsNotFound(err) != cleans {
				t.Errorf("reading what was created: %v", err)
			}
			if got := r.value("app-settings"); got == "" {
				t.Error("what was there before is gone")
			}
		})
	}
}

// Jobs are waited for, unless the spec says that they are not, or that nothing is.
func TestWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		install helmv2.Install
		fails   bool
	}{
		"everything": {fails: true},
		"no Jobs":    {install: helmv2.Install{DisableWaitForJobs: true}},
		"nothing":    {install: helmv2.Install{DisableWait: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			install := tc.install
			r.object.Spec.Install = &install
			job := r.job(state.Install, r.chart(app("1.0.0").With("templates/job.yaml", endlessJob)), nil)
			if job.Step.Timeout = time.Minute; tc.fails {
				job.Step.Timeout = 3 * time.Second
			}
			got := r.run(job)
			if tc.fails && (got.Err == nil || !strings.Contains(got.Err.Error(), "app-never")) || !tc.fails && got.Err != nil {
				t.Errorf("the error is %v", got.Err)
			}
		})
	}
}

// The API server is told what becomes of what the objects own.
func TestDeletionPropagation(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{"": "Background", "background": "Background", "foreground": "Foreground", "orphan": "Orphan"} {
		t.Run("of "+spec, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.done(r.job(state.Install, r.chart(app("1.0.0")), nil))
			var mu sync.Mutex
			var asked []string
			r.each(func(req *http.Request) error {
				if req.Method != http.MethodDelete || !strings.HasSuffix(req.URL.Path, "/app-settings") || req.GetBody == nil {
					return nil
				}
				body, err := req.GetBody()
				if err != nil {
					return err
				}
				text, err := io.ReadAll(body)
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, string(text)+req.URL.RawQuery)
				return err
			})
			if spec != "" {
				r.object.Spec.Uninstall = &helmv2.Uninstall{DeletionPropagation: &spec}
			}
			if got := r.run(r.job(state.Uninstall, nil, nil)); got.Err != nil {
				t.Fatal(got.Err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.ContainsFunc(asked, func(text string) bool { return strings.Contains(text, want) }) {
				t.Errorf("asked for %q, want %s", asked, want)
			}
		})
	}
}

// What a release would define is shown with what it would make.
func TestRenderShowsDefinitions(t *testing.T) {
	t.Parallel()
	for policy, want := range map[helmv2.CRDsPolicy]int{"": 2, helmv2.Create: 2, helmv2.CreateReplace: 2, helmv2.Skip: 1} {
		t.Run("policy "+string(policy), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.object.Spec.Install = &helmv2.Install{CRDs: policy}
			_, after, err := shared.Render(t.Context(), r.job(state.None, r.chart(app("1.0.0").CRD("render.example.com", "Widget")), nil))
			r.must(err)
			if len(after) != want || want == 2 && after[0].GetName() != "widgets.render.example.com" {
				t.Errorf("rendered to %v", after)
			}
		})
	}
}
