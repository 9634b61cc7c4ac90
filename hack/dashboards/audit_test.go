// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/dashboards/rehearsal"
	"github.com/weir-gitops/weir/hack/docs/markdown"
	"github.com/weir-gitops/weir/hack/docs/runbook"
	"github.com/weir-gitops/weir/hack/platform"
)

// auditFindsCommits runs the commands of the page about the audit trail, in
// their order and in one shell, in the working copy.
func auditFindsCommits(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	page, err := markdown.Read(root, "docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	head, err := r.Platform.Repository.Pull(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wants := [][]string{
		{"llm-platform/model-server"},
		{platform.Revision(head), "./infra/dev/model-server"},
		{head, "Author: Model automation <models@acme-ml.example>", "Use support-adapter:1.2.0", "Gate: accuracy=0.947>=0.926", "Ada Okafor: Serve with two replicas"},
		{`Good "git" signature for models@acme-ml.example`},
		{platform.Revision(head), "weir.dev/commit-author", "Use support-adapter:1.2.0", "weir.dev/commit-time", "ReconciliationSucceeded " + platform.Revision(head)},
		{"llm-platform/serving", "serving 2.3.0 sha256:", "llm-platform/weir", "main@sha1:"},
		{"Image: ", "Policy: support-adapter", "Signature: cosign release.pub"},
		{"infra/dev/model-server/gpus.yaml", "./infra/dev/model-server"},
		{"Kustomization/model-server: Deployment/team-serving/model-server configured"},
		{"model-server", "put back: .spec.replicas set by kubectl"},
	}
	const next = "----- next -----"
	steps, err := runbook.Steps(page)
	if err != nil {
		t.Fatal(err)
	}
	script, blocks := "exec 2>&1\n", 0
	for _, step := range steps {
		if step.Mark == runbook.InRehearsal {
			script += step.Script + "\necho '" + next + "'\n"
			blocks++
		}
	}
	if blocks != len(wants) {
		t.Fatalf("the page has %d blocks of commands, want %d", blocks, len(wants))
	}
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = r.Platform.Repository.Dir
	cmd.Env = append(os.Environ(), "PATH="+r.Platform.Cluster.Assets()+":"+os.Getenv("PATH"), "KUBECONFIG="+r.Platform.Cluster.Kubeconfig(),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=gpg.ssh.allowedSignersFile", "GIT_CONFIG_VALUE_0="+r.Platform.Models.Signers)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v of\n%s\n%s", err, script, out)
	}
	for i, said := range strings.Split(strings.TrimSuffix(string(out), next+"\n"), next+"\n") {
		for _, want := range wants[i] {
			if !strings.Contains(said, want) {
				t.Errorf("block %d says nothing of %q:\n%s", i+1, want, said)
			}
		}
	}
}
