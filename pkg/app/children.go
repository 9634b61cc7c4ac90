// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endChildren ends the processes that this one has started, with their groups, and
// waits a moment until they are gone. They would go on as children of a successor that
// knows nothing of them.
func endChildren() {
	for _, pid := range children(os.Getpid()) {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // if it leads a group
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range 100 {
		_, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.ECHILD) {
			return
		}
		<-ticker.C
	}
}

// children are the processes of this machine, or container, whose parent is the one
// with the given id.
func children(parent int) []int {
	var found []int
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // The pattern is well-formed.
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // It has ended.
		}
		// The id, the name in parentheses, which may have some itself, the state and
		// the parent.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			found = append(found, pid)
		}
	}
	return found
}
