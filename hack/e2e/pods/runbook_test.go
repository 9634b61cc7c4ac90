// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/docs/markdown"
	"github.com/weir-gitops/weir/hack/docs/runbook"
)

// apart are parts of those blocks that replace controllers, so they are not for
// the cluster that other tests share.
func apart() []string {
	return []string{"--pprof-addr", "--for=delete namespace/weir-system"}
}

func isApart(step runbook.Step) bool {
	return slices.ContainsFunc(apart(), func(part string) bool { return strings.Contains(step.Script, part) })
}

// steps are the blocks of the pages for operators.
func steps(t *testing.T) []runbook.Step {
	t.Helper()
	var all []runbook.Step
	for _, path := range runbook.Pages() {
		page, err := markdown.Read("../../..", path)
		if err != nil {
			t.Fatal(err)
		}
		more, err := runbook.Steps(page)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, more...)
	}
	return all
}

// TestRunbook runs those commands of the pages for operators that need
// controllers in pods: the pages mark them.
func TestRunbook(t *testing.T) {
	t.Parallel()
	r := newRig(t, site, "runbook", nil)
	r.apply("objects.yaml")
	r.name = "llm-platform" // where the pages have their objects
	r.awaitReady("kustomization/chat", "")
	head, err := r.repo.Git(r.ctx, "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	// What must be printed, by a part of the block. Each block needs one, and each is needed.
	want := map[string][]string{
		"logs deployment/kustomize-controller --tail": {`"name":"llm-platform"`},
		"helm-controller values":                      {`gateway:`, `replicas: 1`},
		"get leases":                                  {`source-controller`, `kustomize-controller`, `gpu-quota-controller`},
		"grep -c '^controller_runtime_reconcile":      {`(?m)^[1-9][0-9]*$`},
		`grep '"logger":"event"'`:                     {`"reason":"ReconciliationSucceeded"`, `"name":"chat"`},
		`grep '"revision":"main@sha1:'`:               {head, `"name":"chat"`},
	}
	for _, step := range steps(t) {
		if step.Mark == runbook.InPods && !isApart(step) {
			r.typeIn(step, want)
		}
	}
	for part := range want {
		t.Errorf("no block has %q", part)
	}
}

// replacesControllers runs the blocks that are for a cluster of their own. The
// tenant's workload outlives them, and is kept afterwards.
func replacesControllers(ctx context.Context, t *testing.T, shared *rig) {
	alone := *shared
	alone.T, alone.ctx = t, ctx
	r := &alone
	before := r.kubectl("get", "deployment/server", "--namespace="+r.name, "--output=jsonpath={.metadata.uid}")
	want := map[string][]string{
		"--pprof-addr":                       {`goroutine profile: total [1-9]`, `rolled back`},
		"--for=delete namespace/weir-system": {`deployment.apps/helm-controller condition met`},
	}
	for _, step := range steps(t) {
		if !isApart(step) {
			continue
		}
		if strings.Contains(step.Script, "namespace/weir-system") {
			r.kubectl("delete", "namespace", "weir-system", "--wait=false")
		}
		r.typeIn(step, want)
	}
	for part := range want {
		t.Errorf("no block has %q", part)
	}
	r.kubectl("scale", "deployment/server", "--namespace="+r.name, "--replicas=3")
	r.awaitText(before+" 1", "get", "deployment/server", "--namespace="+r.name, "--output=jsonpath={.metadata.uid} {.spec.replicas}")
}

// typeIn runs a block, checks what it prints, and takes that out of want.
func (r *rig) typeIn(step runbook.Step, want map[string][]string) {
	r.Helper()
	out, err := r.shell(step.Script).CombinedOutput()
	if err != nil {
		r.Fatalf("%s: %v of\n%s\n%s", step.Page, err, step.Script, out)
	}
	r.Logf("%s\n%s", step.Script, out)
	for part, patterns := range want {
		if !strings.Contains(step.Script, part) {
			continue
		}
		delete(want, part)
		for _, pattern := range patterns {
			if !regexp.MustCompile(pattern).Match(out) {
				r.Errorf("%s: %q is not in what this prints:\n%s\n%s", step.Page, pattern, step.Script, out)
			}
		}
		return
	}
	r.Errorf("%s: nothing is checked of\n%s", step.Page, step.Script)
}
