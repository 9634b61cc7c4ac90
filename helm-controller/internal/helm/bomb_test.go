// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/worker"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// endless is a template that is busy for years.
const endless = `{{ range until 100000 }}{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}{{ end }}`

type bomb struct {
	chart  testkit.HelmChart
	values map[string]any
	object func(*helmv2.HelmRelease)
	// soon is for what takes longer than anybody waits.
	soon  bool
	fails []string
}

func bombs() map[string]bomb {
	plain := testkit.HelmChart{Name: "app", Version: "1.0.0"}
	const memory = "rendering chart app 1.0.0 takes more than 128 MiB of memory; look in its templates"
	var doubling []string
	for i := range 40 {
		doubling = append(doubling, fmt.Sprintf("- {op: copy, from: /data, path: /data/n%d}", i))
	}
	schema := []string{`"d0": {"type": "object"}`}
	for i := range 40 {
		schema = append(schema, fmt.Sprintf(`"d%d": {"allOf": [{"$ref": "#/$defs/d%d"}, {"$ref": "#/$defs/d%d"}]}`, i+1, i, i))
	}
	aliases := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'i'; c++ {
		aliases += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ","))
	}
	return map[string]bomb{
		"a value that is a template of itself": {
			chart: plain.ConfigMap("own", "{{ tpl .Values.text . }}"), values: map[string]any{"text": "{{ tpl .Values.text . }}"},
			fails: []string{"rendering chart app 1.0.0 takes more than", "--render-memory-limit"},
		},
		"a template that calls itself": {
			chart: plain.With("templates/_own.tpl", `{{ define "own" }}{{ template "own" (list . .) }}{{ end }}`).ConfigMap("own", `{{ template "own" . }}`),
			fails: []string{"app"},
		},
		"a list of a billion":        {chart: plain.ConfigMap("own", "{{ len (until 1000000000) }}"), fails: []string{memory, "--render-memory-limit"}},
		"a template that never ends": {chart: plain.ConfigMap("own", endless), soon: true, fails: []string{"rendering chart app 1.0.0 takes more than 3s", "--render-timeout"}},
		"the timeout of the release": {
			chart: plain.ConfigMap("own", endless), object: func(r *helmv2.HelmRelease) { r.Spec.Timeout.Duration = 2 * time.Second },
			fails: []string{"takes more than 2s, the timeout of the release", "spec.timeout"},
		},
		"a huge output": {
			chart: plain.ConfigMap("own", `{{ repeat 2000000 "x" }}`), fails: []string{"chart app 1.0.0 renders to more than 1 MiB", "--render-output-limit"},
		},
		"huge definitions": {
			chart: plain.With("crds/huge.yaml", "# "+strings.Repeat("x", 1<<20)), fails: []string{"its directories crds hold more", "--render-output-limit"},
		},
		"a patch that doubles": {
			chart: plain.ConfigMap("own", strings.Repeat("x", 1000)),
			object: func(r *helmv2.HelmRelease) {
				r.Spec.PostRenderers = []helmv2.PostRenderer{{Kustomize: &helmv2.Kustomize{Patches: []meta.Patch{{
					Patch: strings.Join(doubling, "\n"), Target: &meta.Selector{Kind: "ConfigMap"},
				}}}}}
			},
			fails: []string{"rendering chart app 1.0.0 takes more than"},
		},
		"a schema that doubles": {
			chart: plain.ConfigMap("own", "x").With("values.schema.json", `{"$defs": {`+strings.Join(schema, ", ")+`}, "$ref": "#/$defs/d40"}`),
			soon:  true,
			fails: []string{"takes more than 3s"},
		},
		"aliases of a long text": {
			chart: plain.With("templates/alias.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\ndata:\n  k: &a "+
				strings.Repeat("x", 30_000)+"\n"+`{{ range until 50 }}  k{{ . }}: *a{{ "\n" }}{{ end }}`),
			fails: []string{"chart app 1.0.0 renders to more than 1 MiB"},
		},
		"aliases that double": {chart: plain.With("templates/alias.yaml", aliases), fails: []string{"app"}},
	}
}

// own returns a renderer of the test's own.
func own(t *testing.T, limits Limits) *Renderer {
	t.Helper()
	r := NewRenderer(limits, command())
	t.Cleanup(r.Close)
	return r
}

func TestBombsFailAlone(t *testing.T) {
	t.Parallel()
	limits := Limits{Workers: 2, Memory: worker.MinMemory, Timeout: deadline, Output: 1 << 20}
	patient := own(t, limits)
	limits.Timeout = 3 * time.Second
	hasty := own(t, limits)
	for name, c := range bombs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if c.object != nil {
				c.object(r.object)
			}
			renderer := patient
			if c.soon {
				renderer = hasty
			}
			_, _, err := renderer.Render(t.Context(), r.job(state.None, r.chart(c.chart), c.values))
			for _, want := range c.fails {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v, want %q in it", err, want)
				}
			}
			r.object.Spec.PostRenderers = nil
			r.object.Spec.Timeout.Duration = deadline
			if _, after, err := shared.Render(t.Context(), r.job(state.None, r.chart(app("1.0.0")), nil)); err != nil || len(after) != 1 {
				t.Errorf("afterwards: %d objects, %v", len(after), err)
			}
		})
	}
}

// TestABombInAnAction has the release fail, tell why, and come right with the
// next chart.
func TestABombInAnAction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.object.Spec.Timeout.Duration = 2 * time.Second
	outcome := r.run(r.job(state.Install, r.chart(app("1.0.0").ConfigMap("endless", endless)), nil))
	if outcome.Err == nil || !strings.Contains(outcome.Err.Error(), "rendering chart app 1.0.0 takes more than 2s") || outcome.Canceled != "" || outcome.Release != nil {
		t.Errorf("the outcome is %+v", outcome)
	}
	r.object.Spec.Timeout.Duration = deadline
	r.done(r.job(state.Install, r.chart(app("1.0.1")), nil))
}

func TestOrdinaryReleasesBesideBombs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.object.Spec.Timeout.Duration = 10 * deadline
	limits := DefaultLimits()
	limits.Timeout = 10 * deadline
	renderer := own(t, limits)
	ctx, cancel := context.WithCancelCause(t.Context())
	var all sync.WaitGroup
	for i := range limits.Workers - 1 {
		job := r.job(state.None, r.chart(app("1.0.0").ConfigMap("endless", endless)), nil)
		job.UID = types.UID(fmt.Sprintf("uid-%d", i))
		all.Go(func() {
			if _, _, err := renderer.Render(ctx, job); err == nil || !strings.Contains(err.Error(), errCanceled.Error()) {
				t.Errorf("the error of a bomb is %v", err)
			}
		})
	}
	ordinary := r.chart(app("2.0.0").ConfigMap("seen", `{{ .Values.text | upper }}`))
	var done sync.WaitGroup
	for i := range 30 {
		done.Go(func() {
			_, after, err := renderer.Render(ctx, r.job(state.None, ordinary, map[string]any{"text": fmt.Sprintf("text %d", i)}))
			if err != nil || len(after) != 2 || value(after[0]) != fmt.Sprintf("TEXT %d", i) {
				t.Errorf("release %d: %v, %v", i, after, err)
			}
		})
	}
	done.Wait()
	cancel(errCanceled)
	all.Wait()
}

// What took too much before takes half of the processes at most.
func TestWhatTookTooMuchIsRememberedForIt(t *testing.T) {
	t.Parallel()
	renderer := &Renderer{limits: Limits{Workers: 4}, refused: map[subject]error{}}
	told := make([]error, 3)
	for i := range told {
		told[i] = renderer.refuse(subject{chart: uint64(i)}, fmt.Errorf("too much of %d", i), worker.ErrTimeout)
	}
	var leave []func()
	for i := range 2 {
		end, err := renderer.enter(subject{chart: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, end)
	}
	if _, err := renderer.enter(subject{chart: 2}); !errors.Is(err, told[2]) {
		t.Errorf("the third is told %v", err)
	}
	if _, err := renderer.enter(subject{chart: 2, generation: 2}); err != nil {
		t.Errorf("with another spec it is told %v", err)
	}
	leave[0]()
	if _, err := renderer.enter(subject{chart: 2}); err != nil {
		t.Errorf("with room it is told %v", err)
	}
	renderer.accept(subject{chart: 1})
	if _, err := renderer.enter(subject{chart: 1}); err != nil {
		t.Errorf("after it was good it is told %v", err)
	}
}

// TestAProcessThatIsKilledIsReplaced kills it while it waits for a lookup.
func TestAProcessThatIsKilledIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	limits := DefaultLimits()
	limits.Workers, limits.Memory = 1, 131<<20 // by which it is found
	renderer := own(t, limits)
	var once sync.Once
	r.each(func(req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/configmaps/known") {
			once.Do(func() { r.must(killChild(limits.Memory)) })
		}
		return nil
	})
	chart := r.chart(app("1.0.0").ConfigMap("seen", `{{ lookup "v1" "ConfigMap" .Release.Namespace "known" | empty }}`))
	_, after, err := renderer.Render(t.Context(), r.job(state.None, chart, nil))
	if err != nil || len(after) != 2 || value(after[0]) != "true" {
		t.Errorf("rendered to %v: %v", after, err)
	}
	asked := 0
	for _, request := range r.requests() {
		if strings.HasSuffix(request, "/configmaps/known") {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("it was rendered %d times", asked)
	}
}

// killChild kills the process that renders with so much memory.
func killChild(memory int64) error {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	wanted := renderArg + "\x00" + strconv.FormatInt(memory, 10) + "\x00"
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err != nil || !strings.HasSuffix(string(line), wanted) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	return fmt.Errorf("no process renders with %d bytes", memory)
}

// TestLookupHasTheRightsOfTheTenant looks up what the tenant may read, and what
// only others may.
func TestLookupHasTheRightsOfTheTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.admin.RbacV1().Roles(r.namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "tenant"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}}},
	}, metav1.CreateOptions{})
	r.must(err)
	_, err = r.admin.RbacV1().RoleBindings(r.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "tenant"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tenant"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: r.namespace, Name: "tenant"}},
	}, metav1.CreateOptions{})
	r.must(err)
	for name, c := range map[string]struct{ lookup, fails string }{
		"allowed":       {`lookup "v1" "ConfigMap" .Release.Namespace "none"`, ""},
		"a list":        {`lookup "v1" "ConfigMap" .Release.Namespace ""`, ""},
		"another kind":  {`lookup "v1" "Secret" .Release.Namespace "none"`, "secrets \"none\" is forbidden: User \"system:serviceaccount:" + r.namespace + ":tenant\""},
		"another place": {`lookup "v1" "ConfigMap" "kube-system" ""`, "configmaps is forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			job := r.job(state.None, r.chart(app("1.0.0").ConfigMap("seen", "{{ "+c.lookup+" | toJson | b64enc }}")), nil)
			job.Kube.Config = rest.CopyConfig(r.config)
			job.Kube.Config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + r.namespace + ":tenant"}
			_, after, err := shared.Render(t.Context(), job)
			switch {
			case c.fails == "" && (err != nil || len(after) != 2):
				t.Errorf("%d objects: %v", len(after), err)
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("the error is %v, want %q in it", err, c.fails)
			}
		})
	}
}
