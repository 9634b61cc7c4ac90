// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/docs/markdown"
	"github.com/weir-gitops/weir/hack/docs/runbook"
)

// TestRunbook runs those commands of the pages for operators that need
// controllers in pods: the pages mark them, and all others are run with
// processes by the tests of hack/docs/runbook.
func TestRunbook(t *testing.T) {
	t.Parallel()
	r := newRig(t, site, "runbook", nil)
	r.apply("objects.yaml")
	r.awaitText("True", "get", "kustomization/chat", "--namespace=llm-platform", `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	// What must be printed, by a part of the block. Each block needs one, and each is needed.
	want := map[string][]string{
		"logs deployment/kustomize-controller": {`"name":"llm-platform"`},
		"helm-controller values":               {"gateway:", "replicas: 1"},
		"get leases":                           {"source-controller", "kustomize-controller", "gpu-quota-controller"},
		"port-forward":                         {"\n"},
	}
	for _, path := range runbook.Pages() {
		page, err := markdown.Read("../../..", path)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := runbook.Steps(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			if step.Pods {
				r.typeIn(step, want)
			}
		}
	}
	for part := range want {
		t.Errorf("no block has %q", part)
	}
}

// typeIn runs a block, checks what it prints, and takes that out of want.
func (r *rig) typeIn(step runbook.Step, want map[string][]string) {
	r.Helper()
	shell := exec.CommandContext(r.ctx, "bash", "-euo", "pipefail", "-c", step.Script)
	shell.Dir = r.TempDir()
	shell.Env = append(os.Environ(), "PATH="+site.Cluster.Assets()+":"+os.Getenv("PATH"), "KUBECONFIG="+site.Cluster.Kubeconfig(), "KUBECACHEDIR="+r.TempDir())
	out, err := shell.CombinedOutput()
	if err != nil {
		r.Fatalf("%s: %v of\n%s\n%s", step.Page, err, step.Script, out)
	}
	r.Logf("%s\n%s", step.Script, out)
	for part, texts := range want {
		if !strings.Contains(step.Script, part) {
			continue
		}
		delete(want, part)
		for _, text := range texts {
			if !strings.Contains(string(out), text) {
				r.Errorf("%s: %q is not in what this prints:\n%s\n%s", step.Page, text, step.Script, out)
			}
		}
		return
	}
	r.Errorf("%s: nothing is checked of\n%s", step.Page, step.Script)
}
