// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package build compiles the Kubernetes components once per version and keeps them in the user's cache.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/lock"
)

// A Program is one program that is several components, chosen by the name it is started under.
type Program struct {
	// Name is the file name of the program and the build tag of its main package.
	Name string
	// Components are the names under which the program is found in Assets.
	Components []string
}

// Kube is the control plane and what acts on it.
func Kube() Program {
	return Program{Name: "weirkube", Components: []string{
		"etcd", "etcdutl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok",
	}}
}

// Node is what a real node runs beside its container runtime.
func Node() Program {
	return Program{Name: "weirnode", Components: []string{"coredns", "kube-proxy", "kubelet", "registry"}}
}

// Pause is the program of the container that holds the namespaces of a pod. It must not share a program with anything.
func Pause() Program {
	return Program{Name: "pause", Components: []string{"weir-pause"}}
}

// source is the folder of the main package, in Builder.Source.
func (p Program) source() string {
	return "internal/" + p.Name
}

// A Builder knows where the sources are and where results are kept.
type Builder struct {
	// Source is the directory of the module that holds the programs.
	Source string
	// Cache is the directory that holds one folder per version.
	Cache string
	// Progress receives lines for a person while a build runs; nothing is written when there is nothing to build.
	Progress io.Writer
}

// Assets is a directory that holds the components under their usual names, as KUBEBUILDER_ASSETS expects it.
type Assets struct {
	Dir     string
	Version string // of Kubernetes, such as v1.37.1
}

// Path returns the program of a component.
func (a Assets) Path(component string) string {
	return filepath.Join(a.Dir, component)
}

// DefaultCache is the folder of the user's cache directory that builds are kept in.
func DefaultCache() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w; set HOME or XDG_CACHE_HOME", err)
	}
	return filepath.Join(cache, "weir", "cluster"), nil
}

// Ensure returns the components of p, and builds them first if this version was not built before. Builds of the same
// version by several processes wait for each other. A build that is interrupted leaves nothing behind.
func (b Builder) Ensure(ctx context.Context, p Program) (Assets, error) {
	key, version, err := b.key(p)
	if err != nil {
		return Assets{}, err
	}
	home := filepath.Join(b.Cache, key)
	assets := Assets{Dir: filepath.Join(home, "assets"), Version: version}
	if complete(assets, p) {
		return assets, nil
	}
	held, err := lock.Acquire(ctx, filepath.Join(home, "lock"), func() {
		fmt.Fprintf(b.Progress, "another process builds %s of Kubernetes %s, waiting for it\n", p.Name, version)
	})
	if err != nil {
		return Assets{}, err
	}
	defer held.Release()
	if complete(assets, p) {
		return assets, nil
	}
	if err := b.build(ctx, p, home, version); err != nil {
		return Assets{}, fmt.Errorf("build %s of Kubernetes %s: %w", p.Name, version, err)
	}
	return assets, link(assets, p)
}

// build compiles the program into home under a name of its own and renames it when it is whole.
func (b Builder) build(ctx context.Context, p Program, home, version string) error {
	target := filepath.Join(home, p.Name)
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	partial := target + ".partial"
	defer os.Remove(partial)
	start := time.Now()
	fmt.Fprintf(b.Progress, "building %s of Kubernetes %s from Go modules, once; this may take some minutes\n", p.Name, version)
	if err := b.compile(ctx, p, partial, version); err != nil {
		return err
	}
	if err := os.Rename(partial, target); err != nil {
		return err
	}
	fmt.Fprintf(b.Progress, "built %s of Kubernetes %s in %.0f s\n", p.Name, version, time.Since(start).Seconds())
	return nil
}

// complete reports whether assets holds every component and can be used without the lock: the last link is made last.
func complete(assets Assets, p Program) bool {
	for _, name := range p.Components {
		if _, err := os.Stat(assets.Path(name)); err != nil {
			return false
		}
	}
	return true
}

// link gives the program the names of its components.
func link(assets Assets, p Program) error {
	if err := os.MkdirAll(assets.Dir, 0o755); err != nil {
		return err
	}
	for _, name := range p.Components {
		err := os.Symlink(filepath.Join("..", p.Name), assets.Path(name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("link component %s: %w", name, err)
		}
	}
	return nil
}
