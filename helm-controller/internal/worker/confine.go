// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// arena is the piece that Go takes memory in.
const arena = 64 << 20

// MinMemory is the least that a child can be made to work with.
const MinMemory = 2 * arena

// Confine bounds the heap and the stacks of this process to so many bytes, for
// good. It is what a child does first: what the program has besides, for its
// variables and for the runtime, is not counted.
func Confine(memory int64) error {
	if memory < MinMemory {
		return fmt.Errorf("the memory of a process of its own has to be at least %d bytes, got %d", MinMemory, memory)
	}
	begun, err := dataSize()
	if err != nil {
		return fmt.Errorf("bound the memory of this process: %w", err)
	}
	limit := uint64(memory + max(0, begun-arena)) // it has taken its first arena
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("bound the memory of this process: %w", err)
	}
	// The garbage collector works harder well before the end. A stack grows by
	// being copied to one of twice its size.
	debug.SetMemoryLimit(memory / 4 * 3)
	debug.SetMaxStack(int(memory / 4))
	return nil
}

// Rename gives this process another name than that of the file that it runs, for
// who lists processes. A system that does not let it is left as it is.
func Rename(name string) {
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
}

// dataSize returns what RLIMIT_DATA counts, in bytes.
func dataSize() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 6 {
		return 0, errors.New("the kernel does not tell its size")
	}
	pages, err := strconv.ParseInt(fields[5], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
