// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/weir-gitops/weir/hack/platform"
)

// simulatedNodes of the cluster, with 8 GPUs each.
const simulatedNodes = 2

// A ground is what the story takes place on: controllers that are processes of
// this machine, or pods of a real node.
type ground interface {
	// The first steps: programs or images, Kubernetes, Weir.
	build(context.Context) (outcome, error)
	startCluster(context.Context) (outcome, error)
	install(context.Context) (outcome, error)
	startControllers(context.Context) (outcome, error)

	// loseSource ends source-controller without a warning and takes its disk away,
	// killKustomize only ends kustomize-controller. Both see that it works again.
	loseSource(context.Context) error
	killKustomize(context.Context) error

	// download gets the artifact of a URL as a controller would.
	download(ctx context.Context, url string) error
	// logs returns the ends of the controllers' logs by name, for a diagnosis.
	logs(ctx context.Context, lines int) map[string]string
	// follow is the command that shows the logs as they grow.
	follow() string
}

// clusterUp tells of a cluster that was started.
func clusterUp(ctx context.Context, p *platform.Platform, beside string) (outcome, error) {
	version, err := p.Kubectl(ctx, "get", "--raw", "/version")
	if err != nil {
		return outcome{}, err
	}
	gitVersion, err := jsonString(version, "gitVersion")
	if err != nil {
		return outcome{}, err
	}
	gpus, err := allocatable(ctx, p)
	if err != nil {
		return outcome{}, err
	}
	return seen(fmt.Sprintf("Kubernetes %s is up, with %s%d GPUs on %d simulated nodes", gitVersion, beside, gpus, simulatedNodes)), nil
}

// installed tells of what bootstrap installs.
func installed() outcome {
	return seen("Installed Weir: kubectl apply --server-side --force-conflicts -k bootstrap")
}

// errNoController ends a step that found nothing to end.
var errNoController = errors.New("there was no process to kill")

// kubectlPath is the program that belongs to the cluster.
func kubectlPath(p *platform.Platform) string { return filepath.Join(p.Cluster.Assets(), "kubectl") }
