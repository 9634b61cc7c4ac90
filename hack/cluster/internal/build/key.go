// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
)

// modulePath names the module that Source must be.
const modulePath = "github.com/weir-gitops/weir/hack/cluster"

// ErrNoSource says that the module of the launcher was not found on disk.
var ErrNoSource = errors.New("the sources of hack/cluster were not found")

// FindSource returns the directory of this module: where the running program was compiled from, or else a folder
// hack/cluster of the working directory or of one above it.
func FindSource() (string, error) {
	var candidates []string
	// A program that was built without paths does not know where it is from.
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		candidates = append(candidates, filepath.Join(filepath.Dir(file), "..", ".."))
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		candidates = append(candidates, dir, filepath.Join(dir, "hack", "cluster"))
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for _, dir := range candidates {
		if isModule(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%w; run the command inside a checkout of weir", ErrNoSource)
}

func isModule(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && regexp.MustCompile(`(?m)^module `+regexp.QuoteMeta(modulePath)+`$`).Match(data)
}

// key returns the name of the folder that this source's build belongs in, and the version of Kubernetes. Everything
// that changes the program changes the key: dependencies, our own main package, platform, linker flags.
func (b Builder) key(p Program) (key, version string, err error) {
	mod, err := os.ReadFile(filepath.Join(b.Source, "go.mod"))
	if err != nil {
		return "", "", fmt.Errorf("read the version of Kubernetes: %w", err)
	}
	found := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\S+)`).FindSubmatch(mod)
	if found == nil {
		return "", "", fmt.Errorf("read the version of Kubernetes: %s/go.mod does not require k8s.io/kubernetes", b.Source)
	}
	version = string(found[1])
	sources, err := filepath.Glob(filepath.Join(b.Source, p.source(), "*.go"))
	if err != nil {
		return "", "", err
	}
	slices.Sort(sources)
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.GOOS, runtime.GOARCH, arguments(p, "", version))
	for _, file := range append(sources, filepath.Join(b.Source, "go.mod"), filepath.Join(b.Source, "go.sum")) {
		data, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", "", fmt.Errorf("hash the sources: %w", err)
		}
		fmt.Fprintln(hash, filepath.Base(file), len(data))
		hash.Write(data)
	}
	return version + "-" + hex.EncodeToString(hash.Sum(nil))[:12], version, nil
}
