// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// loseGit takes the repository away, and serves an empty one somewhere else.
func loseGit(t *testing.T, w *world) {
	t.Helper()
	git := filepath.Join(w.Dir(), "git")
	if err := os.Rename(filepath.Join(git, "llm-platform.git"), filepath.Join(git, "lost")); err != nil {
		t.Fatal(err)
	}
	w.await(t, "the repository cannot be fetched", func(ctx context.Context) error { return condition(ctx, w, "llm-platform", "False") })
	dir := filepath.Join(w.Dir(), "moved")
	bare, err := testkit.NewGitRepo(t.Context(), filepath.Join(dir, "llm-platform.git"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := testkit.NewGitServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.servers = append(w.servers, server)
	w.Repository.Bare, w.Repository.URL = bare, server.URL+"/llm-platform.git"
	w.replace = append(w.replace, moved, w.Repository.URL)
}

// loseCluster keeps the Secrets that are not in Git, and puts the cluster back
// to before anything was installed: a new one, at the same address.
func loseCluster(t *testing.T, w *world) {
	t.Helper()
	w.remember(t)
	w.run(t, `mkdir secrets
kubectl -n llm-platform create secret generic models-signing-key --from-file=identity="`+filepath.Join(w.Dir(), "models-signing-key")+`" --dry-run=client -o yaml > secrets/signing.yaml
kubectl -n llm-platform create secret generic models-cosign-keys --from-file=release.pub="`+filepath.Join(w.Dir(), "models-cosign-keys")+`" --dry-run=client -o yaml > secrets/cosign.yaml`)
	w.kubelet.pause(true)
	defer w.kubelet.pause(false)
	for _, c := range w.Controllers() {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Cluster.Restore(t.Context(), w.empty); err != nil {
		t.Fatal(err)
	}
}

const (
	// gpuPod asks for all GPUs of a budget of which one is taken.
	gpuPod = `kubectl -n team-serving create --dry-run=server -f - <<'EOF'
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": {
  "securityContext": {"runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
  "containers": [{"name": "probe", "image": "probe", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    "resources": {"limits": {"nvidia.com/gpu": "8", "cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}}]}}
EOF`
	certificate = "kubectl -n weir-system get secret gpu-quota-webhook-certificate -o jsonpath='{.data.ca\\.crt}'"
)

// breakWebhook kills gpu-quota-controller for good: pods with GPUs are not
// created any more.
func breakWebhook(t *testing.T, w *world) {
	t.Helper()
	w.kubelet.pause(true)
	if err := w.Quota.Kill(); err != nil {
		t.Fatal(err)
	}
	w.refused(t, "failed calling webhook")
}

// refused waits until a pod with too many GPUs is refused with these words.
func (w *world) refused(t *testing.T, words string) {
	t.Helper()
	w.await(t, "a pod with GPUs is refused", func(ctx context.Context) error { return w.fails(ctx, words, gpuPod) })
}

// backUp takes a snapshot, and has commits applied after it: a change, and one
// object less.
func backUp(t *testing.T, w *world) {
	t.Helper()
	if err := w.Cluster.Snapshot(t.Context(), filepath.Join(w.Repository.Dir, "snapshot.db")); err != nil {
		t.Fatal(err)
	}
	w.edit(t, "replicas: 3", "replicas: 4", platform.Edit{Path: "infra/base/chat/kustomization.yaml", Old: "  - network.yaml\n", New: ""})
	w.replicas(t, "team-serving", "chat", 4)
	w.ready(t)
}

// restore checks what the page's command made of the snapshot, and puts the
// cluster back to it by the same command.
func restore(t *testing.T, w *world, _ string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(w.Repository.Dir, "restored", "member", "snap", "db")); err != nil {
		t.Error(err)
	}
	if err := w.Cluster.Restore(t.Context(), filepath.Join(w.Repository.Dir, "snapshot.db")); err != nil {
		t.Fatal(err)
	}
}
