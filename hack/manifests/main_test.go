// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package manifests tests the YAML that the repository ships, bootstrap and
// the example platform, against a real API server.
package manifests

import (
	"os"
	"testing"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// Where the manifests are, seen from this package.
const (
	bootstrapDir  = "../../bootstrap"
	lockedDownDir = "../../bootstrap/locked-down"
	exampleDir    = "../../examples/llm-platform"
)

// cluster is shared by the tests of this package.
var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }))
}
