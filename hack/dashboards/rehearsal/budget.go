// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-gitops/weir/hack/platform"
)

// byHand is started beside what is in Git: pods in a namespace that no quota
// counts, and more pods in the serving team's than its budget has room for.
const byHand = `apiVersion: v1
kind: Namespace
metadata: {name: playground}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: notebook, namespace: playground}
spec:
  replicas: 1
  selector: {matchLabels: {app: notebook}}
  template:
    metadata: {labels: {app: notebook}}
    spec:
      containers:
      - {name: notebook, image: ghcr.io/acme-ml/notebook, resources: {limits: {nvidia.com/gpu: "1"}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: experiment, namespace: team-serving}
spec:
  replicas: 8
  selector: {matchLabels: {app: experiment}}
  template:
    metadata: {labels: {app: experiment}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, runAsUser: 65534, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: experiment
        image: ghcr.io/acme-ml/experiment
        resources:
          requests: {cpu: 100m, memory: 128Mi, nvidia.com/gpu: "1"}
          limits: {memory: 128Mi, nvidia.com/gpu: "1"}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// fill takes what is left of the serving team's budget, and commits what then
// has to wait until there is room again.
func (r *Rehearsal) fill(ctx context.Context) error {
	file := filepath.Join(r.Platform.Dir(), "by-hand.yaml")
	if err := os.WriteFile(file, []byte(byHand), 0o600); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	if _, err := r.Platform.Kubectl(ctx, "create", "-f", file); err != nil {
		return err
	}
	err := platform.Await(ctx, func(ctx context.Context) error {
		events, err := r.Platform.Kubectl(ctx, "get", "events", "--namespace="+serving, "--field-selector=reason=FailedCreate")
		if err == nil && !strings.Contains(events, "exceeded quota: GPUQuota") {
			err = errors.New("no pod of the experiment was denied")
		}
		return err
	})
	if err != nil {
		return err
	}
	waiting, err := r.Platform.Repository.Push(ctx, platform.Change{
		Author: ada, Message: "Serve with two replicas",
		Edits: []platform.Edit{{Path: serverGPUs, Old: "replicas: 1", New: "replicas: 2"}},
	})
	if err != nil {
		return err
	}
	if err := r.awaitRefused(ctx, waiting); err != nil {
		return err
	}
	if _, err := r.Platform.Kubectl(ctx, "delete", "--namespace="+serving, "deployment/experiment"); err != nil {
		return err
	}
	return r.applied(ctx, waiting)
}

// publish publishes an adapter that is worse than the one in use, which is
// held, and one that is better, which is committed and applied.
func (r *Rehearsal) publish(ctx context.Context) error {
	if _, err := r.Platform.Models.Publish(platform.Model{Tag: "1.1.0", Accuracy: "0.902", Latency: "41"}); err != nil {
		return err
	}
	err := platform.Await(ctx, func(ctx context.Context) error {
		held, err := r.Platform.Kubectl(ctx, "get", "imageupdateautomations", "--namespace="+platform.PlatformNamespace, "--output=jsonpath={.items[*].status.conditions}")
		if err == nil && !strings.Contains(held, "1.1.0") {
			err = errors.New("the worse adapter is not held")
		}
		if err == nil {
			r.Held, err = r.Prometheus.Types(ctx)
		}
		if err == nil && r.Held["weir_image_held"] == "" {
			err = errors.New("no metric says that the worse adapter is held")
		}
		return err
	})
	if err != nil {
		return err
	}
	before, err := r.Platform.Repository.Pull(ctx)
	if err != nil {
		return err
	}
	if _, err := r.Platform.Models.Publish(platform.Model{Tag: "1.2.0", Accuracy: "0.947", Latency: "44"}); err != nil {
		return err
	}
	return platform.Await(ctx, func(ctx context.Context) error {
		after, err := r.Platform.Repository.Pull(ctx)
		if err == nil && after == before {
			err = errors.New("the better adapter is not committed")
		}
		if err != nil {
			return err
		}
		return r.Platform.Applied(ctx, after)
	})
}
