// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package gate asks, before a revision is applied, whether the devices that it
// adds are to be had.
//
// Whoever applies writes one Request for each Kustomization or HelmRelease into
// Weir's namespace of the cluster that is applied to, and gpu-quota-controller
// answers with one Verdict on the same object: all of the revision or nothing.
// The watch on that object is also what tells when the answer changes, so that
// nobody has to ask again. A Request has raw estimates: who asks needs to know
// neither quotas nor classes of devices.
package gate
