// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"io/fs"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
)

// heapShare is how much of a container's memory is the garbage collector's, in
// percent. The rest is for what it does not count, such as child processes and
// the pages of files.
const heapShare = 90

// limitHeap makes the garbage collector work harder before the kernel ends the
// process at the limit of its container. GOMEMLIMIT, which the runtime reads by
// itself, comes first. That variable alone would not do: Kubernetes can set it
// to the whole limit only.
func limitHeap(log logr.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := heapLimit(os.DirFS("/sys/fs/cgroup")); limit > 0 {
		debug.SetMemoryLimit(limit)
		log.Info("the container has a memory limit", "heapLimitBytes", limit)
	}
}

// heapLimit returns the garbage collector's share of what the control group
// may use, and 0 if it has no limit. The files are those that the container
// sees of its own group, of version 2 or 1.
func heapLimit(files fs.FS) int64 {
	for _, name := range []string{"memory.max", "memory/memory.limit_in_bytes"} {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		// Version 2 says max where there is no limit, and version 1 the highest number of whole pages.
		if err != nil || limit <= 0 || limit > math.MaxInt64/heapShare {
			return 0
		}
		return limit * heapShare / 100
	}
	return 0
}
