// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package postrender changes what a chart has rendered, before it is released.
package postrender

import (
	// Keeps the library in go.mod.
	_ "sigs.k8s.io/kustomize/api/resmap"
)
