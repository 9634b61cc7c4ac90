// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a Kubernetes control plane as processes of this machine.
//
// A cluster is a directory and a supervisor: a process that starts the components as its children, serves a control
// socket in the directory, and removes the directory when it ends. The kernel ties the children to the supervisor, so
// nothing outlives it, and a lock in the directory ends with it, so what a killed supervisor leaves can be told from
// a running cluster and cleaned up.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/weir-gitops/weir/hack/cluster/internal/build"
	"github.com/weir-gitops/weir/hack/cluster/internal/node"
)

// DefaultName is the name of a cluster that was given none.
const DefaultName = "weir"

// maxGPUNodes bounds what one simulator process is asked to carry.
const maxGPUNodes = 5000

// ErrOptions says that options cannot be used as they are.
var ErrOptions = errors.New("invalid options")

// Options say what cluster to run.
type Options struct {
	// Name tells clusters apart for people.
	Name string `json:"name"`
	// Dir is the cluster's directory: absent, empty, or a cluster's before.
	Dir string `json:"dir"`
	// GPUNodes is how many simulated nodes with eight GPUs to add. With none, pods stay pending.
	GPUNodes int `json:"gpuNodes"`
	// Fsync has etcd wait for the disk, as a cluster that is to last does.
	Fsync bool `json:"fsync"`
	// Node, if not nil, is the real node to run, with the whole cluster in namespaces of its own. It takes root.
	Node *node.Options `json:"node,omitempty"`
	// OwnerPID, if not 0, is a process whose end stops the cluster.
	OwnerPID int `json:"ownerPID"`
	// Assets are the programs to run.
	Assets build.Assets `json:"assets"`
}

// Validate reports the first thing that is wrong, as an ErrOptions.
func (o Options) Validate() error {
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`).MatchString(o.Name) {
		return fmt.Errorf("%w: name %q: use 1 to 40 lower-case letters, digits and hyphens, no hyphen at the ends", ErrOptions, o.Name)
	}
	if !filepath.IsAbs(o.Dir) {
		return fmt.Errorf("%w: directory %q is not an absolute path", ErrOptions, o.Dir)
	}
	if o.GPUNodes < 0 || o.GPUNodes > maxGPUNodes {
		return fmt.Errorf("%w: %d GPU nodes: use 0 to %d", ErrOptions, o.GPUNodes, maxGPUNodes)
	}
	if o.Node != nil {
		if err := o.Node.Validate(o.Dir); err != nil {
			return fmt.Errorf("%w: %w", ErrOptions, err)
		}
	}
	if o.OwnerPID < 0 {
		return fmt.Errorf("%w: owner process %d: use the number of a running process, or 0 for none", ErrOptions, o.OwnerPID)
	}
	return nil
}

// DefaultDir is the directory of the cluster with that name: one per user and name, under XDG_STATE_HOME or
// ~/.local/state.
func DefaultDir(name string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find a place for the cluster %q: %w; set HOME or name a directory", name, err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "weir", "clusters", name), nil
}
