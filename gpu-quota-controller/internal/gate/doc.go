// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package gate answers the requests of those who apply revisions: whether the
// devices that a revision adds are to be had, all of them or none.
//
// It runs on the leader only. Its answers are verdicts on the requests, and
// grants in the ledgers, on which the pods of the revision draw. That grants
// end, when their pods exist or do not come, is left to the recount.
package gate
