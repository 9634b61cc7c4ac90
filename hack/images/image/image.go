// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package image builds the container images of the controllers without a
// container engine: from the same checkout come the same digests, on every
// machine.
package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

const (
	// Version is what the manifests name, and what images have in their labels
	// and tags if nothing else is asked for.
	Version = "v0.1.0"

	// Source is where the images' sources are.
	Source = "https://github.com/weir-gitops/weir"

	// testbed is the program that Testbed packs.
	testbed = "testbed"
)

// Options say what is built.
type Options struct {
	// Platform is what the image is for; by default Linux on the architecture of
	// this process.
	Platform v1.Platform
	// Version is in the labels and in the SBOM; by default the constant Version.
	Version string
}

// An Image is a program for one platform, ready to be pushed: it is a v1.Image
// for the functions of go-containerregistry too.
type Image struct {
	v1.Image
	// Name is that of the program.
	Name string
	// Version and Platform are what it was built for.
	Version  string
	Platform v1.Platform
	// SBOM is an SPDX 2.3 document in JSON that says what is in the image.
	SBOM []byte
	// Uncompressed is the size of the layers as they are unpacked, in bytes.
	Uncompressed int64
}

// Controllers returns the names of the programs that have an image: each is a
// directory of the checkout at root with a Dockerfile.
func Controllers(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "*", "Dockerfile"))
	if err != nil {
		return nil, fmt.Errorf("look for controllers in %s: %w", root, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no directory of %s has a Dockerfile; name the root of a checkout of weir", root)
	}
	names := make([]string, 0, len(files))
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	return names, nil
}

// Build compiles controllers of the checkout at root, by default all of them,
// and returns an image of each in that order. Nothing in the checkout changes.
func Build(ctx context.Context, root string, o Options, names ...string) ([]*Image, error) {
	known, err := Controllers(root)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no controller %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		names = known
	}
	packages := make([]string, 0, len(names))
	for _, name := range names {
		packages = append(packages, "./"+name)
	}
	return build(ctx, root, o, packages)
}

// Testbed returns an image of a small HTTP server for clusters under test. It
// listens on port 8080, answers its version, which is the variable VERSION of
// its environment, and ends at once when told to. See With for versions.
func Testbed(ctx context.Context, root string, o Options) (*Image, error) {
	images, err := build(ctx, root, o, []string{"./hack/images/" + testbed})
	if err != nil {
		return nil, err
	}
	return images[0], nil
}

// build compiles main packages, which are paths below root, and packs each.
func build(ctx context.Context, root string, o Options, packages []string) ([]*Image, error) {
	o = o.withDefaults()
	dir, err := os.MkdirTemp("", "weir-images-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c := compiler{root: root, platform: o.Platform}
	if err := c.compile(ctx, dir, packages); err != nil {
		return nil, err
	}
	roots, err := c.rootsModule(ctx)
	if err != nil {
		return nil, err
	}
	system, err := systemLayer()
	if err != nil {
		return nil, err
	}
	images := make([]*Image, len(packages))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, path := range packages {
		group.Go(func() (err error) {
			p := &program{name: filepath.Base(path), options: o, system: system, roots: roots}
			images[i], err = p.pack(filepath.Join(dir, filepath.Base(path)))
			return err
		})
	}
	return images, group.Wait()
}

func (o Options) withDefaults() Options {
	if o.Platform.OS == "" {
		o.Platform.OS = "linux"
	}
	if o.Platform.Architecture == "" {
		o.Platform.Architecture = runtime.GOARCH
	}
	if o.Version == "" {
		o.Version = Version
	}
	return o
}
