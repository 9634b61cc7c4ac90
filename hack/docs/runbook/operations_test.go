// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// operations are what happens around the commands of docs/operations.md.
func operations() map[string]deed {
	return map[string]deed{
		"apply --server-side --force-conflicts -k weir\n": {after: func(t *testing.T, _ *world, printed string) {
			contains(t, printed, "deployment.apps/source-controller condition met", "deployment.apps/gpu-quota-controller condition met")
		}},
		"-k weir-dev --dry-run=server": {after: func(t *testing.T, _ *world, printed string) {
			contains(t, printed, "configmap/private-ca serverside-applied (server dry run)", "deployment.apps/kustomize-controller serverside-applied (server dry run)")
		}},
		"get weir -A\n": {after: func(t *testing.T, _ *world, printed string) {
			contains(t, printed, "gitrepository.source.toolkit.fluxcd.io/llm-platform", "helmrelease.helm.toolkit.fluxcd.io/serving", "gpuquota.quota.weir.dev/team-serving", "imageupdateautomation.image.toolkit.fluxcd.io/models")
		}},
		`awk '$3 != "True"`: {
			before: func(t *testing.T, w *world) { w.run(t, registries) },
			after: func(t *testing.T, w *world, printed string) {
				contains(t, printed, "HelmRepository llm-platform/nowhere False ")
				if strings.Contains(printed, "/registry ") {
					t.Errorf("a HelmRepository that never has a status is said not to be ready:\n%s", printed)
				}
				w.run(t, "kubectl -n llm-platform delete helmrepositories nowhere registry")
			},
		},
		// The commands wait for what they have asked for.
		"annotate --overwrite kustomization chat": {after: func(t *testing.T, w *world, _ string) { w.ready(t) }},
		"scale deployment model-server --replicas=2": {after: func(t *testing.T, w *world, _ string) {
			w.replicas(t, "team-serving", "model-server", 2)
		}},
		`patch kustomization model-server --type=merge -p '{"spec":{"suspend":false}}'`: {
			before: func(t *testing.T, w *world) { w.keeps(t, "team-serving", "model-server", 2) },
			after:  func(t *testing.T, w *world, _ string) { w.replicas(t, "team-serving", "model-server", 1) },
		},
		"scale deployment chat --replicas=3": {after: func(t *testing.T, w *world, _ string) { w.replicas(t, "team-serving", "chat", 3) }},
		"annotate deployment chat kustomize.toolkit.fluxcd.io/reconcile-": {
			before: func(t *testing.T, w *world) { w.keeps(t, "team-serving", "chat", 3) },
			after:  func(t *testing.T, w *world, _ string) { w.replicas(t, "team-serving", "chat", 2) },
		},
		"describe kustomization chat":   {after: prints("Ready=True ReconciliationSucceeded: Applied revision: main@sha1:")},
		"field-selector=reason=Drift":   {after: prints("Deployment/team-serving/model-server was changed", ".spec.replicas set by kubectl")},
		"{.status.artifact.revision}":   {after: prints("llm-platform model-server main@sha1:")},
		"get gpuquotas -o wide":         {after: prints("ReconciliationSucceeded", "deployed", "team-serving", "gpu-ledger-llm-platform")},
		"get deployment chat --show":    {after: prints("kustomize.toolkit.fluxcd.io/name=chat", "Ada Okafor")},
		"--replicas=2\nkubectl -n weir": {after: prints("successfully rolled out")},
		"git clone --quiet --mirror":    {after: prints("models-signing-key", "models-cosign-keys")},
		"literal=password=next": {
			before: guarded,
			after: func(t *testing.T, w *world, _ string) {
				w.await(t, "the repository is fetched with the next password", func(ctx context.Context) error {
					return condition(ctx, w, "private", "True")
				})
			},
		},
		"secret generic models-signing-key": {after: func(t *testing.T, w *world, _ string) { w.ready(t) }},
	}
}

// registries are a HelmRepository that has no status, and one that is not Ready.
const registries = `kubectl apply --server-side -f - <<'EOF'
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "metadata": {"name": "registry", "namespace": "llm-platform"}, "spec": {"type": "oci", "url": "oci://127.0.0.1:1/charts"}},
  {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "metadata": {"name": "nowhere", "namespace": "llm-platform"}, "spec": {"url": "http://127.0.0.1:1"}}]}
EOF
kubectl -n llm-platform wait helmrepository/nowhere --for=condition=Ready=False --timeout=1m`

// prints returns a check that something was printed.
func prints(want ...string) func(*testing.T, *world, string) {
	return func(t *testing.T, _ *world, printed string) {
		t.Helper()
		contains(t, printed, want...)
	}
}

func contains(t *testing.T, printed string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(printed, part) {
			t.Errorf("%q was not printed, but\n%s", part, printed)
		}
	}
}

// ready waits until all of the example is Ready at the tip of its branch.
func (w *world) ready(t *testing.T) {
	t.Helper()
	commit, err := w.Repository.Bare.Git(t.Context(), "rev-parse", "main")
	if err != nil {
		t.Fatal(err)
	}
	w.await(t, "the example is Ready", func(ctx context.Context) error { return w.Applied(ctx, strings.TrimSpace(commit)) })
}

// replicas waits until a Deployment asks for so many.
func (w *world) replicas(t *testing.T, namespace, name string, want int32) {
	t.Helper()
	w.await(t, "replicas", func(ctx context.Context) error { return w.counts(ctx, namespace, name, want) })
}

// whileKept is how long keeps looks. A change by hand is put back within a
// fraction of a second, and within a few on a machine that is busy.
const whileKept = 5 * time.Second

// keeps fails the test if a Deployment does not ask for so many all the while
// that somebody would need to put that back.
func (w *world) keeps(t *testing.T, namespace, name string, want int32) {
	t.Helper()
	err := stays(t.Context(), whileKept, func(ctx context.Context) error { return w.counts(ctx, namespace, name, want) })
	if err != nil {
		t.Errorf("not kept for %s: %v", whileKept, err)
	}
}

// stays returns nil if check passes all the while, and else what it returned.
func stays(ctx context.Context, length time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	passed, changed := false, errors.New("there was no time to look")
	err := platform.Await(ctx, func(ctx context.Context) error {
		err := check(ctx)
		if err != nil && ctx.Err() == nil {
			changed = err
			return nil
		}
		passed = passed || err == nil
		return errors.New("nothing has changed")
	})
	if err != nil && passed {
		return nil
	}
	return changed
}

// looks waits until kustomize-controller has looked at every Kustomization since
// it was started.
func (w *world) looks(t *testing.T) {
	t.Helper()
	w.await(t, "kustomize-controller looks at everything", func(ctx context.Context) error {
		all, err := w.Kustomizations(ctx)
		if err != nil {
			return err
		}
		served, err := w.try(ctx, "curl -sf http://"+w.Kustomize.Metrics+"/metrics")
		if err != nil {
			return err
		}
		total := 0.0
		for _, match := range reconciled.FindAllStringSubmatch(served, -1) {
			count, err := strconv.ParseFloat(match[1], 64)
			if err != nil {
				return err
			}
			total += count
		}
		if int(total) < len(all) {
			return fmt.Errorf("%.0f reconciles of %d Kustomizations", total, len(all))
		}
		return nil
	})
}

// reconciled is how a metric counts reconciles of Kustomizations.
var reconciled = regexp.MustCompile(`(?m)^controller_runtime_reconcile_total\{controller="kustomization",.*\} (\S+)$`)

func (w *world) counts(ctx context.Context, namespace, name string, want int32) error {
	d, err := w.core.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if got := *d.Spec.Replicas; got != want {
		return fmt.Errorf("the Deployment %s/%s asks for %d replicas, want %d", namespace, name, got, want)
	}
	return nil
}

// guarded serves a repository that asks for the next password, while the
// cluster has the last one.
func guarded(t *testing.T, w *world) {
	t.Helper()
	dir := filepath.Join(w.Dir(), "guarded")
	repo, err := testkit.NewGitRepo(t.Context(), filepath.Join(dir, "private.git"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(t.Context(), testkit.GitCommit{Message: "Begin", Files: testkit.Files(map[string]string{"a.yaml": "{}"})}); err != nil {
		t.Fatal(err)
	}
	server, err := testkit.NewGitServer(dir, testkit.GitBasicAuth("weir", "next"))
	if err != nil {
		t.Fatal(err)
	}
	w.servers = append(w.servers, server)
	w.run(t, "kubectl -n llm-platform create secret generic git-credentials --from-literal=username=weir --from-literal=password=last")
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
		"metadata": map[string]any{"name": "private", "namespace": platform.PlatformNamespace},
		"spec": map[string]any{
			"url": server.URL + "/private.git", "interval": "1h", "ref": map[string]any{"branch": "main"},
			"secretRef": map[string]any{"name": "git-credentials"},
		},
	}}
	if _, err := w.Resource(platform.GitRepositories).Namespace(platform.PlatformNamespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await(t, "the last password is refused", func(ctx context.Context) error { return condition(ctx, w, "private", "False") })
}

// condition returns nil if Ready of a GitRepository is as wanted.
func condition(ctx context.Context, w *world, name, want string) error {
	object, err := w.Resource(platform.GitRepositories).Namespace(platform.PlatformNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Ready" && c["status"] == want {
			return nil
		}
	}
	return fmt.Errorf("Ready of the GitRepository %s is not %s: %v", name, want, conditions)
}
