// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// rootsPath is the module with the certificates that images trust.
const rootsPath = "golang.org/x/crypto/x509roots/fallback"

// buildFlags leave out of a program all that differs between machines: paths,
// the state of the version control, and the tables of debuggers with them.
// The Dockerfiles have the same; a test compares.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}

// architectures are those that are built for, with the variable and the value
// that fix the generation of processors.
var architectures = map[string]string{"amd64": "GOAMD64=v1", "arm64": "GOARM64=v8.0"}

// A compiler runs the go command in a checkout.
type compiler struct {
	root     string
	platform v1.Platform
}

// compile builds main packages into dir, each under the last part of its path.
func (c compiler) compile(ctx context.Context, dir string, packages []string) error {
	generation, ok := architectures[c.platform.Architecture]
	if !ok || c.platform.OS != "linux" {
		return fmt.Errorf("images for the platform %s cannot be built; ask for linux/amd64 or linux/arm64", c.platform)
	}
	args := append([]string{"build"}, buildFlags...)
	args = append(args, "-o", dir+string(filepath.Separator))
	_, err := c.goCommand(ctx, []string{generation, "GOOS=linux", "GOARCH=" + c.platform.Architecture}, append(args, packages...)...)
	if err != nil {
		return fmt.Errorf("compile %s for %s: %w", strings.Join(packages, ", "), c.platform, err)
	}
	return nil
}

// rootsModule returns the version and the sum of the module with the
// certificates.
func (c compiler) rootsModule(ctx context.Context) (*debug.Module, error) {
	output, err := c.goCommand(ctx, nil, "list", "-m", "-json", rootsPath)
	if err != nil {
		return nil, fmt.Errorf("look up the version of %s: %w", rootsPath, err)
	}
	module := &debug.Module{}
	if err := json.Unmarshal(output, module); err != nil {
		return nil, fmt.Errorf("look up the version of %s: parse what the go command printed: %w", rootsPath, err)
	}
	return module, nil
}

// goCommand runs the toolchain that go.work names, with nothing from the
// caller's environment that changes what comes out.
func (c compiler) goCommand(ctx context.Context, env []string, args ...string) ([]byte, error) {
	toolchain, err := c.toolchain()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.root
	cmd.Env = append(slices.DeleteFunc(os.Environ(), changesPrograms),
		// A variable that is empty counts as not set, and `go env -w` would decide.
		"GOFLAGS=-buildvcs=false", "GOFIPS140=off", "CGO_ENABLED=0",
		"GOTOOLCHAIN="+toolchain, "GOWORK="+filepath.Join(c.root, "go.work"))
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return output, nil
}

// toolchain returns the version of Go that go.work names, such as "go1.27.4".
func (c compiler) toolchain() (string, error) {
	file := filepath.Join(c.root, "go.work")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("find out the version of Go: %w; name the root of a checkout of weir", err)
	}
	match := regexp.MustCompile(`(?m)^toolchain (go\S+)$`).FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("find out the version of Go: %s has no line toolchain", file)
	}
	return string(match[1]), nil
}

// changesPrograms says whether a variable, "NAME=value", has a say in what the
// go command builds.
func changesPrograms(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	switch name {
	case "GOOS", "GOARCH", "GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GOTOOLCHAIN", "GOWORK", "CGO_ENABLED", "PWD":
		return true
	}
	return strings.HasPrefix(name, "GOAMD64") || strings.HasPrefix(name, "GOARM")
}
