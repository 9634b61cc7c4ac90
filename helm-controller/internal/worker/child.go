// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Cause says why a child has ended in the middle of its work.
type Cause int

const (
	// Ended is any cause that another try may not meet.
	Ended Cause = iota
	// Memory is more memory than a child may have.
	Memory
	// Stack is a recursion that was too deep.
	Stack
)

// DiedError says that a child has ended in the middle of its work.
type DiedError struct {
	// Cause of the end.
	Cause Cause
	// Text is how the process ended.
	Text string
}

// Error implements error.
func (e *DiedError) Error() string {
	switch e.Cause {
	case Memory:
		return "the process of its own ran out of memory"
	case Stack:
		return "the process of its own ran out of stack"
	case Ended:
	}
	return "the process of its own ended early: " + e.Text
}

// child is a process that works.
type child struct {
	*Conn

	command *exec.Cmd
	input   io.Closer
	said    *head
	// ended is closed when the process is gone.
	ended chan struct{}
	// retire ends the child if it is idle for long.
	retire *time.Timer
}

// kill ends the process. It does not wait.
func (c *child) kill() { _ = c.command.Process.Kill() }

// end ends the process and waits until it is gone.
func (c *child) end() {
	_ = c.input.Close()
	c.kill()
	<-c.ended
}

// alive reports whether the process is there.
func (c *child) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// died says why the process, which is gone, has ended.
func (c *child) died() *DiedError {
	said := c.said.text()
	switch {
	case strings.Contains(said, "stack overflow"), strings.Contains(said, "goroutine stack exceeds"):
		return &DiedError{Cause: Stack, Text: c.command.ProcessState.String()}
	case strings.Contains(said, "fatal error") && strings.Contains(said, "memory"):
		return &DiedError{Cause: Memory, Text: c.command.ProcessState.String()}
	}
	return &DiedError{Text: c.command.ProcessState.String()}
}

// head keeps the beginning of what is written to it.
type head struct {
	mu   sync.Mutex
	kept []byte
}

// maxHead is how much of what a child says before its end is kept. The cause
// comes first.
const maxHead = 8 << 10

// Write implements io.Writer.
func (h *head) Write(text []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, text[:min(len(text), maxHead-len(h.kept))]...)
	return len(text), nil
}

func (h *head) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.kept)
}

// startError says that there is no child.
func startError(err error) error {
	return fmt.Errorf("start a process of its own: %w", pathless(err))
}
