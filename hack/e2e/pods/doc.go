// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package pods tests Weir as it is deployed: pods that bootstrap put on a real
// node, under their own probes, service accounts and limits. `make e2e` runs it,
// as root.
package pods
