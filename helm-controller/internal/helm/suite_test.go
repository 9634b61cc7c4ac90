// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/weir-gitops/weir/helm-controller/internal/worker"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// renderArg makes this test binary render, as the controller does.
const renderArg = "render-worker"

// Shared by the tests of this package.
var (
	cluster *testkit.Cluster
	shared  *Renderer
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == renderArg {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	shared = NewRenderer(DefaultLimits(), command())
	code := testkit.Main(m, func(c *testkit.Cluster) { cluster = c })
	shared.Close()
	os.Exit(code)
}

func command() []string { return []string{"/proc/self/exe", renderArg} }

func serve(memory string) error {
	bytes, err := strconv.ParseInt(memory, 10, 64)
	if err != nil {
		return err
	}
	if err := worker.Confine(bytes); err != nil {
		return err
	}
	return Work(os.Stdin, os.Stdout)
}
