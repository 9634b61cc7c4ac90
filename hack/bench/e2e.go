// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// measureEndToEnd takes the time of `make e2e`, which needs root. What was
// compiled before is not compiled again: a fresh machine takes longer.
func measureEndToEnd(ctx context.Context, out results) error {
	cmd := exec.CommandContext(ctx, "make", "e2e")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make e2e: %w", err)
	}
	out["e2e_seconds"] = time.Since(began).Seconds()
	return nil
}
