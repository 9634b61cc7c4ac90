// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/platform"
)

// TestModelImageRollsOut pushes a commit, undoes a change by hand, pushes a model
// image, and sees it committed and serving; then a revert takes it back.
func TestModelImageRollsOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, site, "models", nil)
	r.publish("models/chat", "1.0.0")
	r.apply("objects.yaml")
	r.awaitReady("kustomization/models", "")
	r.awaitAnswer("chat", "1.0.0")

	r.kubectl("scale", "deployment/chat", "--namespace=models", "--replicas=3")
	r.awaitText("1", "get", "deployment/chat", "--namespace=models", "--output=jsonpath={.spec.replicas}")

	r.publish("models/chat", "1.1.0")
	r.awaitAnswer("chat", "1.1.0")
	commit, err := r.repo.Pull(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	said, err := r.repo.Git(r.ctx, "log", "-1", "--format=%an: %s", commit)
	if err != nil || said != "Model automation: Serve "+platform.ImagesRegistry+"/models/chat:1.1.0" {
		t.Errorf("the last commit says %q (%v)", said, err)
	}
	r.awaitReady("kustomization/models", platform.Revision(commit))

	if _, err := r.repo.Revert(r.ctx, "Ada Okafor <ada@acme-ml.example>", commit); err != nil {
		t.Fatal(err)
	}
	r.awaitAnswer("chat", "1.0.0")
	r.publish("models/chat", "1.2.0")
	r.awaitAnswer("chat", "1.2.0")
	r.await(func(ctx context.Context) error {
		log, err := r.repo.Bare.Git(ctx, "log", "--format=%an", "main")
		if got := strings.Count(log, "Model automation"); err == nil && got != 2 {
			err = fmt.Errorf("%d commits of the automation for two models", got)
		}
		return err
	})
}
