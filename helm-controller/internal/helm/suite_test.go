// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"os"
	"testing"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// cluster is shared by the tests of this package.
var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }))
}
