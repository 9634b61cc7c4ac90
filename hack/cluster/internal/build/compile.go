// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// quiet is how often a build says that it goes on.
const quiet = 10 * time.Second

// arguments are those of the go command. Kubernetes' components learn their version from the linker. Without paths of this
// machine they share what they have in common with Weir's controllers, which are built so too.
func arguments(p Program, target, version string) []string {
	const key = "k8s.io/component-base/version."
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	flags := []string{
		"-s", "-w",
		"-X", key + "gitVersion=" + version,
		"-X", key + "gitMajor=" + major,
		"-X", key + "gitMinor=" + minor,
	}
	return []string{"build", "-v", "-tags", p.Name, "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", strings.Join(flags, " "), "-o", target, "./" + p.source()}
}

// compile runs the go command and reports on it.
func (b Builder) compile(ctx context.Context, p Program, target, version string) error {
	cmd := exec.CommandContext(ctx, "go", arguments(p, target, version)...)
	cmd.Dir = b.Source
	// The workspace must not reach this module, nor must flags that were meant for it.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	// The compilers are children of the go command: with a group of their own all of them can be ended at once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run the go command: %w", err)
	}
	heard := &progress{out: b.Progress, start: time.Now()}
	stop := heard.tick()
	messages := heard.read(output)
	err = cmd.Wait()
	stop()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("go build ended with %w:\n%s", err, messages)
	}
	return nil
}

// progress counts the packages that the go command says it compiles.
type progress struct {
	out   io.Writer
	start time.Time

	mu       sync.Mutex
	packages int
	last     string
}

// read follows the output of go build -v until it ends: package paths, one a line, and messages, which it returns.
func (p *progress) read(output io.Reader) string {
	var messages bytes.Buffer
	scanner := bufio.NewScanner(output)
	for scanner.Scan() {
		line := scanner.Text()
		if isPackage(line) {
			p.mu.Lock()
			p.packages, p.last = p.packages+1, line
			p.mu.Unlock()
			continue
		}
		fmt.Fprintln(&messages, line)
	}
	return strings.TrimRight(messages.String(), "\n")
}

// tick reports at intervals until the function that it returns is called.
func (p *progress) tick() func() {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(quiet)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.report()
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

func (p *progress) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := "reading modules"
	if p.packages > 0 {
		what = fmt.Sprintf("%d packages compiled, now %s", p.packages, p.last)
	}
	fmt.Fprintf(p.out, "  %4.0f s  %s\n", time.Since(p.start).Seconds(), what)
}

// isPackage tells an import path from a message of the compiler or of the go command.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " :#\t")
}
