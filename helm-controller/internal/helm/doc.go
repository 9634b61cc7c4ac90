// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package helm is the only one that calls Helm's SDK: everybody else speaks of
// releases, charts and actions in this project's own types, so that another
// major version of the SDK is a change in this package alone.
package helm

import (
	// Keeps the SDK in go.mod.
	_ "helm.sh/helm/v3/pkg/action"
)
