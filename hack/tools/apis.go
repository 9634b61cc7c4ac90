// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package tools pins what generation needs: the programs in the tool directives of go.mod, and Flux's API packages, from
// whose Go types CRDs are made. It is a module of its own, outside the workspace, so that the dependencies of the tools
// stay out of the controllers.
package tools

import (
	// Keeps these packages in go.mod.
	_ "github.com/fluxcd/helm-controller/api/v2"
	_ "github.com/fluxcd/image-automation-controller/api/v1"
	_ "github.com/fluxcd/image-reflector-controller/api/v1"
	_ "github.com/fluxcd/kustomize-controller/api/v1"
	_ "github.com/fluxcd/source-controller/api/v1"
)
