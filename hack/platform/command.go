// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// environment is all that programs of the platform get to know of this
// machine: no proxies, no settings of the user.
func environment(more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + os.TempDir(), "LC_ALL=C"}
	return append(env, more...)
}

// output runs cmd and returns what it printed, without the last line break.
func output(cmd *exec.Cmd, name string, args []string) (string, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
