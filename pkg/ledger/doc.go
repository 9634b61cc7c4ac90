// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledger is the book that the limits of one tree of quotas hold by:
// what pods of the tree hold, what was promised to pods on their way, and what
// revisions were granted. There is one Record for each root, in one ConfigMap
// that is only ever replaced whole, by compare-and-swap; so one write charges a
// quota and all of its ancestors, and no two writers can both give out the last
// device.
//
// The Record and all that is decided from it are pure. The Store reads and
// writes it.
package ledger
