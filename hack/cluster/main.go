// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Cluster starts and ends a real Kubernetes control plane on this machine, built from Go modules.
//
// It needs nothing but Go: see README.md.
package main

import (
	"context"
	"os"

	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
	"github.com/weir-gitops/weir/hack/cluster/internal/command"
)

func main() {
	ctx, stop := cluster.WithSignals(context.Background())
	code := command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
