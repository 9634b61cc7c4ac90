// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/platform"
)

// TestQuotaRefusesAndAdmits has a commit refused that needs more GPUs than the
// budget, a pod by hand denied by the webhook that the API server reaches through
// its Service, and both let through by a commit that raises the budget.
func TestQuotaRefusesAndAdmits(t *testing.T) {
	t.Parallel()
	r := newRig(t, site, "quota", nil)
	r.publish("quota/trainer", "1.0.0")
	r.apply("objects.yaml")
	r.awaitReady("kustomization/budget", "")
	r.awaitReady("kustomization/work", "")
	r.awaitText("gpu 2/2", "get", "gpuquota/quota", "--output=jsonpath={.status.summary}")

	r.push(platform.Change{Message: "Train on four GPUs", Edits: []platform.Edit{{Path: "training/trainer.yaml", Old: "replicas: 1", New: "replicas: 2"}}})
	r.awaitText("GPU", "get", "kustomization/work", "--namespace=quota", `--output=jsonpath={.status.conditions[?(@.type=="Ready")].message}`)
	if got := r.kubectl("get", "deployment/trainer", "--namespace=quota", "--output=jsonpath={.spec.replicas}"); got != "1" {
		t.Errorf("a refused commit has set %s replicas", got)
	}
	one := []string{
		"run", "by-hand", "--namespace=quota", "--image=" + platform.ImagesRegistry + "/quota/trainer:1.0.0",
		`--overrides={"spec":{"containers":[{"name":"by-hand","image":"` + platform.ImagesRegistry + `/quota/trainer:1.0.0","resources":{"limits":{"nvidia.com/gpu":"1"}}}]}}`,
	}
	if _, err := site.Kubectl(r.ctx, one...); err == nil || !strings.Contains(err.Error(), "denied") {
		t.Errorf("a pod beyond the budget: %v", err)
	}

	r.push(platform.Change{Message: "Give the team six GPUs", Edits: []platform.Edit{{Path: "budget/quota.yaml", Old: `hard: "2"`, New: `hard: "6"`}}})
	r.awaitText("2", "get", "deployment/trainer", "--namespace=quota", "--output=jsonpath={.status.readyReplicas}")
	r.await(func(ctx context.Context) error {
		_, err := site.Kubectl(ctx, one...)
		return err
	})
	r.kubectl("wait", "pod/by-hand", "--namespace=quota", "--for=condition=Ready", "--timeout=60s")
}
