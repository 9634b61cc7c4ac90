// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-gitops/weir/hack/platform"
)

// disasters are what happens around the commands of docs/disaster-recovery.md.
func disasters() map[string]deed {
	all := map[string]deed{}
	for _, more := range []map[string]deed{halts(), commits(), deletions(), losses()} {
		maps.Copy(all, more)
	}
	return all
}

// halts are about stopping everything.
func halts() map[string]deed {
	return map[string]deed{
		"name!=gpu-quota-controller' --replicas=0": {
			before: func(t *testing.T, w *world) {
				w.run(t, "kubectl -n llm-platform annotate helmrelease serving kustomize.toolkit.fluxcd.io/reconcile=disabled\n"+suspend+"true}}'")
			},
			after: func(t *testing.T, w *world, _ string) {
				w.await(t, "the controllers that write end", func(context.Context) error {
					for _, c := range w.Controllers() {
						if c.Running() != (c == w.Quota) {
							return fmt.Errorf("%s is running: %t", c.Name, c.Running())
						}
					}
					return nil
				})
				w.run(t, "kubectl -n team-serving scale deployment chat --replicas=3")
			},
		},
		"\"suspend\":true}}'\ndone": {after: func(t *testing.T, w *world, _ string) {
			w.suspended(t, true)
		}},
		"bootstrap\nkubectl -n weir-system rollout status deployment --timeout=5m": {after: func(t *testing.T, w *world, _ string) {
			w.looks(t)
			w.keeps(t, "team-serving", "chat", 3)
			w.suspended(t, true)
		}},
		"\"suspend\":false}}'\ndone": {after: func(t *testing.T, w *world, _ string) {
			w.replicas(t, "team-serving", "chat", 2)
			w.suspended(t, false)
			w.run(t, suspend+"false}}'\nkubectl -n llm-platform annotate helmrelease serving kustomize.toolkit.fluxcd.io/reconcile-")
			w.ready(t)
		}},
	}
}

// suspend begins a command that suspends the release of serving, or resumes it.
const suspend = `kubectl -n llm-platform patch helmrelease serving --type=merge -p '{"spec":{"suspend":`

// commits are about wrong ones.
func commits() map[string]deed {
	return map[string]deed{
		"git revert --no-edit HEAD\ngit push --quiet\nkubectl -n llm-platform annotate": {
			before: blunder,
			after:  func(t *testing.T, w *world, _ string) { w.replicas(t, "team-serving", "chat", 2); w.ready(t) },
		},
		"git rev-parse HEAD~1": {
			before: blunder,
			after:  func(t *testing.T, w *world, _ string) { w.replicas(t, "team-serving", "chat", 2) },
		},
		`{"ref":{"commit":null}}`: {after: func(t *testing.T, w *world, _ string) {
			w.ready(t)
			w.keeps(t, "team-serving", "chat", 2)
		}},
	}
}

// blunder pushes a wrong commit and waits until it is applied.
func blunder(t *testing.T, w *world) {
	t.Helper()
	w.edit(t, "replicas: 2", "replicas: 5")
	w.replicas(t, "team-serving", "chat", 5)
}

// edit commits a change of chat's Deployment.
func (w *world) edit(t *testing.T, from, to string, more ...platform.Edit) {
	t.Helper()
	more = append(more, platform.Edit{Path: "infra/base/chat/deployment.yaml", Old: from, New: to})
	if _, err := w.Repository.Push(t.Context(), platform.Change{Author: author, Message: "Change chat", Edits: more}); err != nil {
		t.Fatal(err)
	}
}

// deletions are about what somebody deletes.
func deletions() map[string]deed {
	return map[string]deed{
		"--for=create kustomization/chat": deleted("kubectl -n llm-platform delete kustomization chat", "Deployment/team-serving/chat"),
		"infra/dev/weir\nkubectl -n llm-platform wait --for=condition=Ready kustomization/weir": deleted(
			"kubectl -n llm-platform delete kustomization weir", ""),
		"--for=create namespace/team-training": deleted("kubectl delete namespace team-training",
			"ServiceAccount/team-training/training", "Job/team-training/finetune"),
		"--for=delete namespace/weir-system": {before: loseWeir, after: deleted("", "").after},
		"--for=condition=Established crd/kustomizations": deleted(
			"kubectl delete crd kustomizations.kustomize.toolkit.fluxcd.io", ""),
	}
}

// deleted is a deed around a command that deletes something, after which all is
// Ready again and has survived: see there for what was to come back, and what is
// gone.
func deleted(command, back string, gone ...string) deed {
	return deed{
		before: func(t *testing.T, w *world) {
			w.remember(t)
			w.run(t, command)
		},
		after: func(t *testing.T, w *world, _ string) {
			w.ready(t)
			w.survived(t, back, gone...)
		},
	}
}

// loseWeir deletes the namespace of the controllers.
func loseWeir(t *testing.T, w *world) {
	t.Helper()
	w.remember(t)
	// A pod that is told to end has five seconds to let go.
	w.kubelet.pause(true)
	w.run(t, "kubectl delete namespace weir-system --wait=false")
	w.await(t, "the controllers let go", w.released)
	w.kubelet.pause(false)
}

// losses are about what is lost as a whole.
func losses() map[string]deed {
	return map[string]deed{
		"new=https://git.example.com": {before: loseGit, after: func(t *testing.T, w *world, _ string) {
			w.ready(t)
			w.edit(t, "replicas: 2", "replicas: 3")
			w.replicas(t, "team-serving", "chat", 3)
			w.ready(t)
		}},
		"apply --server-side -f secrets/": {before: loseCluster, after: func(t *testing.T, w *world, _ string) {
			w.ready(t)
			w.survived(t, "Deployment/team-serving/chat")
			w.run(t, "kubectl wait --for=condition=Ready gpuquota --all --timeout=1m")
		}},
		"etcdutl snapshot restore": {before: backUp, after: restore},
		"Ready kustomization --all --timeout=5m\nkubectl get gpuquotas": {after: func(t *testing.T, w *world, _ string) {
			w.ready(t)
			w.replicas(t, "team-serving", "chat", 4)
			w.run(t, "kubectl -n team-serving wait --for=delete networkpolicy/chat --timeout=1m")
		}},
		"delete validatingwebhookconfiguration gpu-quota": {before: breakWebhook, after: func(t *testing.T, w *world, _ string) {
			w.kubelet.pause(false)
			w.run(t, gpuPod)
		}},
		"--for=create validatingwebhookconfiguration/gpu-quota": {after: func(t *testing.T, w *world, _ string) {
			w.refused(t, "exceeded quota")
		}},
		"delete serviceaccount kustomize-controller": {
			before: func(t *testing.T, w *world) {
				w.run(t, "cp "+w.Kustomize.Kubeconfig+" leaked && kubectl --kubeconfig=leaked auth whoami")
			},
			after: func(t *testing.T, w *world, _ string) {
				w.await(t, "the leaked token is refused", func(ctx context.Context) error {
					return w.fails(ctx, "Unauthorized", "kubectl --kubeconfig=leaked get namespaces")
				})
				w.run(t, "kubectl -n team-serving scale deployment model-server --replicas=2")
				w.replicas(t, "team-serving", "model-server", 1)
				w.ready(t)
			},
		},
		"secret gpu-quota-webhook-certificate": {
			before: func(t *testing.T, w *world) { w.run(t, certificate+" > leaked-certificate") },
			after: func(t *testing.T, w *world, _ string) {
				if before, err := os.ReadFile(filepath.Join(w.Repository.Dir, "leaked-certificate")); err != nil || string(before) == w.run(t, certificate) {
					t.Errorf("the certificate is the one that it was (%v)", err)
				}
				w.refused(t, "exceeded quota")
			},
		},
		"get secret hugging-face": {
			before: func(t *testing.T, w *world) {
				w.run(t, "kubectl -n team-serving create secret generic hugging-face --from-literal=token=hf_secret")
			},
			after: func(t *testing.T, w *world, _ string) {
				contains(t, w.run(t, "kubectl get -f hugging-face.yaml -o jsonpath='{.data.token}' | base64 -d"), "hf_secret")
			},
		},
	}
}
