// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// kubeSource is the folder of weirkube.
const kubeSource = "internal/weirkube"

// mainGo is a weirkube that is built within a second and tells the version that it was linked with.
const mainGo = `package main

import "example.com/component-base/version"

func main() { println(version.Name) }
`

// newBuilder returns a builder for a small module in place of ours.
func newBuilder(t *testing.T) (Builder, *text) {
	t.Helper()
	source := t.TempDir()
	write(t, filepath.Join(source, "go.mod"), fmt.Sprintf(`module %s

go 1.27.0

require (
	example.com/component-base v0.0.0
	k8s.io/kubernetes v1.98.7
)

replace example.com/component-base => ./base

replace k8s.io/kubernetes => ./kubernetes
`, modulePath))
	write(t, filepath.Join(source, "kubernetes", "go.mod"), "module k8s.io/kubernetes\n")
	write(t, filepath.Join(source, "base", "go.mod"), "module example.com/component-base\n")
	write(t, filepath.Join(source, "base", "version", "version.go"), "package version\n\nvar Name = \"none\"\n")
	write(t, filepath.Join(source, kubeSource, "main.go"), mainGo)
	progress := &text{}
	return Builder{Source: source, Cache: filepath.Join(t.TempDir(), "cache"), Progress: progress}, progress
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	b, progress := newBuilder(t)
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			if _, err := b.Ensure(t.Context(), Kube()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := strings.Count(progress.String(), "building weirkube of Kubernetes v1.98.7"); got != 1 {
		t.Errorf("three callers at once built %d times, want once:\n%s", got, progress)
	}
	before := progress.String()
	assets, err := b.Ensure(t.Context(), Kube())
	if err != nil {
		t.Fatal(err)
	}
	if progress.String() != before {
		t.Errorf("a build that was there was reported on: %q", strings.TrimPrefix(progress.String(), before))
	}
	if assets.Version != "v1.98.7" {
		t.Errorf("the version is %q, want v1.98.7", assets.Version)
	}
	for _, name := range Kube().Components {
		out, err := exec.Command(assets.Path(name)).CombinedOutput()
		if err != nil || string(out) != "none\n" {
			t.Errorf("%s printed %q, %v", name, out, err)
		}
	}
}

func TestEnsureFails(t *testing.T) {
	t.Parallel()
	b, _ := newBuilder(t)
	write(t, filepath.Join(b.Source, kubeSource, "main.go"), "package main\n\nfunc main() { undefined() }\n")
	if _, err := b.Ensure(t.Context(), Kube()); err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("Ensure returned %v, want the compiler's message", err)
	}
	checkOnlyLocks(t, b.Cache)
}

func TestEnsureInterrupted(t *testing.T) {
	t.Parallel()
	b, progress := newBuilder(t)
	// A package that takes the compiler some time, so that the interruption comes in the middle.
	var slow strings.Builder
	slow.WriteString("package version\n\nvar Name = \"none\"\n")
	for i := range 20000 {
		fmt.Fprintf(&slow, "\nfunc f%d(m map[string][]int) int { return len(m[\"a%d\"]) + cap(m[\"b\"]) }\n", i, i)
	}
	write(t, filepath.Join(b.Source, "base", "version", "version.go"), slow.String())
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted by the test")
	progress.heard = func() { time.AfterFunc(200*time.Millisecond, func() { cancel(cause) }) }
	if _, err := b.Ensure(ctx, Kube()); !errors.Is(err, cause) {
		t.Errorf("Ensure returned %v, want the cause of its context's end", err)
	}
	checkOnlyLocks(t, b.Cache)
}

func TestKey(t *testing.T) {
	t.Parallel()
	b, _ := newBuilder(t)
	before, version, err := b.key(Kube())
	if err != nil {
		t.Fatal(err)
	}
	if version != "v1.98.7" || !strings.HasPrefix(before, "v1.98.7-") {
		t.Errorf("key and version are %q and %q, want both to begin with v1.98.7", before, version)
	}
	changes := map[string]string{
		"go.sum":                   "example.com/component-base v0.0.0 h1:x=\n",
		kubeSource + "/main.go":    mainGo + "\n// changed\n",
		kubeSource + "/another.go": "package main\n",
	}
	for file, content := range changes {
		write(t, filepath.Join(b.Source, file), content)
		after, _, err := b.key(Kube())
		if err != nil {
			t.Fatal(err)
		}
		if after == before {
			t.Errorf("a change to %s does not change the key", file)
		}
		before = after
	}
	write(t, filepath.Join(b.Source, "README.md"), "not part of the program")
	if after, _, err := b.key(Kube()); err != nil || after != before {
		t.Errorf("a change to README.md changes the key (error %v)", err)
	}
	write(t, filepath.Join(b.Source, "go.mod"), "module "+modulePath+"\n")
	if _, _, err := b.key(Kube()); err == nil || !strings.Contains(err.Error(), "does not require k8s.io/kubernetes") {
		t.Errorf("key without Kubernetes in go.mod returned %v", err)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	got := strings.Join(arguments(Kube(), "target", "v1.37.1"), " ")
	for _, want := range []string{"version.gitVersion=v1.37.1 ", "version.gitMajor=1 ", "version.gitMinor=37 ", "-o target ./internal/weirkube"} {
		if !strings.Contains(got, want) {
			t.Errorf("arguments are %q, want %q in them", got, want)
		}
	}
}

func TestIsPackage(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"k8s.io/kubernetes/pkg/apis/core":           true,
		"unicode":                                   true,
		"# k8s.io/kubernetes/pkg/apis/core":         false,
		"weirkube/main.go:3:15: undefined: missing": false,
		"go: downloading k8s.io/api v0.37.1":        false,
		"":                                          false,
	}
	for line, want := range tests {
		if got := isPackage(line); got != want {
			t.Errorf("isPackage(%q) = %t, want %t", line, got, want)
		}
	}
}

func TestFindSource(t *testing.T) {
	t.Parallel()
	dir, err := FindSource()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, kubeSource, "main.go")); err != nil {
		t.Error(err)
	}
}

// checkOnlyLocks checks that a build which came to nothing left nothing.
func checkOnlyLocks(t *testing.T, cache string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Base(file) != "lock" {
			t.Errorf("%s is left", filepath.Base(file))
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// text collects what several writers say.
type text struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	heard func() // called at the first word
}

func (s *text) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard != nil {
		s.heard()
		s.heard = nil
	}
	return s.buf.Write(p)
}

func (s *text) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}
