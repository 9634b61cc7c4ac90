// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package worker keeps child processes for work that may take all memory or
// never end. A child is this program again, does one piece of work after the
// other, and is ended when one takes more than it may; only that piece fails.
//
// Memory is bounded by the kernel: RLIMIT_DATA counts what Go maps for its heap
// and its stacks, and nothing of what it merely reserves, as RLIMIT_AS would.
// See decision 0036.
package worker
