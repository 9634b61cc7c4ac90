// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// site is what all tests share that change nothing of Weir itself: bootstrap as
// it is, on one node that offers 8 GPUs.
var site *platform.Platform

const (
	// bringUp is how long all of it may take to start. On a fresh machine
	// everything has to be compiled first.
	bringUp = 20 * time.Minute
	// patience is how long a test may take, most of which is waiting for pods.
	patience = 4 * time.Minute
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), bringUp)
	defer cancel()
	var err error
	if site, err = platform.StartPods(ctx, ".", testkit.WithNode(8)); err == nil {
		err = site.ServeGit(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := site.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
