// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package gpu counts the devices that objects ask for. The gate, the webhook,
// the recount and the metrics all count with it, so that none of them sees
// another number than the others.
//
// What a pod asks for is first a Shape, in the terms of Kubernetes: resource
// names, and the nodes that it may land on. A Catalogue, which a tree of quotas
// declares, makes classes of devices of that.
package gpu
