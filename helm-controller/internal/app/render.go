// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/go-logr/logr"

	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/worker"
)

// RenderWorker is the argument that makes the program render charts for another
// process of it. The memory that it may have follows.
const RenderWorker = "render-worker"

// Render renders charts until standard input ends, as RenderWorker says. It gets
// the arguments after that one.
func Render(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s is started by the controller itself, with one argument", RenderWorker)
	}
	memory, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %q is no number of bytes", RenderWorker, args[0])
	}
	if err := worker.Confine(memory); err != nil {
		return err
	}
	worker.Rename(RenderWorker)
	return helm.Work(os.Stdin, os.Stdout)
}

// newRenderer returns a renderer whose processes are this program, also if its
// file is replaced, and leaves them their part of the memory that the limit of
// the container, or GOMEMLIMIT, says the whole has.
func newRenderer(log logr.Logger, limits helm.Limits) *helm.Renderer {
	if whole := debug.SetMemoryLimit(-1); whole < math.MaxInt64 {
		own, enough := share(whole, limits)
		debug.SetMemoryLimit(own)
		if !enough {
			log.Info("the memory limit leaves little beside rendering; raise it, or lower --render-workers or --render-memory-limit",
				"limit", whole, "workers", limits.Workers, "each", limits.Memory)
		}
	}
	return helm.NewRenderer(limits, []string{"/proc/self/exe", RenderWorker})
}

// share returns what of a limit is for the controller's own memory, and whether
// that is enough when all charts at once take what they may.
func share(whole int64, limits helm.Limits) (own int64, enough bool) {
	own = whole - int64(limits.Workers)*limits.Memory
	return max(own, whole/4), own >= whole/4
}
