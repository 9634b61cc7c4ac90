// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A Registry is where images are pushed to.
type Registry struct {
	// Prefix is what the names of images begin with: a registry and, as a rule, a
	// path, such as "ghcr.io/weir-gitops".
	Prefix string
	// Insecure lets the registry be one that speaks plain HTTP.
	Insecure bool
}

// Push uploads images to PREFIX/NAME:VERSION, with the credentials of the docker
// configuration if there are any, and the SBOM of each as its referrer. Images
// of the same name are for several platforms and get an index; see Indexes.
func (r Registry) Push(ctx context.Context, images ...*Image) error {
	pusher, err := remote.NewPusher(remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return fmt.Errorf("prepare to push images: %w", err)
	}
	for _, i := range images {
		if err := r.push(ctx, pusher, i.Name, i.Version, i); err != nil {
			return err
		}
		sbom, err := i.sbomArtifact()
		if err != nil {
			return err
		}
		digest, err := sbom.Digest()
		if err != nil {
			return fmt.Errorf("describe the SBOM of %s: %w", i.Name, err)
		}
		if err := r.push(ctx, pusher, i.Name, digest.String(), sbom); err != nil {
			return err
		}
	}
	for _, index := range Indexes(images...) {
		if err := r.push(ctx, pusher, index.Name, index.Version, index.Content); err != nil {
			return err
		}
	}
	return nil
}

// push uploads what can be tagged to a tag, or to a digest.
func (r Registry) push(ctx context.Context, pusher *remote.Pusher, image, version string, content remote.Taggable) error {
	var options []name.Option
	if r.Insecure {
		options = append(options, name.Insecure)
	}
	separator := ":"
	if _, err := v1.NewHash(version); err == nil {
		separator = "@"
	}
	ref, err := name.ParseReference(r.Prefix+"/"+image+separator+version, options...)
	if err != nil {
		return fmt.Errorf("push %s: %w; say where to as in ghcr.io/weir-gitops", image, err)
	}
	if err := pusher.Push(ctx, ref, content); err != nil {
		return fmt.Errorf("push %s to %s: %w; `docker login` keeps credentials where they are found, --insecure allows plain HTTP", image, ref.Context(), err)
	}
	return nil
}

// An Index is what a tag of an image for several platforms names.
type Index struct {
	Name, Version string
	Content       v1.ImageIndex
}

// Indexes returns one for each name that several of the images have, with the
// images in their order.
func Indexes(images ...*Image) []Index {
	var indexes []Index
	seen := map[string]bool{}
	for _, first := range images {
		var adds []mutate.IndexAddendum
		for _, i := range images {
			if i.Name == first.Name {
				adds = append(adds, mutate.IndexAddendum{Add: i.Image, Descriptor: v1.Descriptor{Platform: &i.Platform}})
			}
		}
		if len(adds) > 1 && !seen[first.Name] {
			index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), adds...)
			indexes = append(indexes, Index{Name: first.Name, Version: first.Version, Content: index})
		}
		seen[first.Name] = true
	}
	return indexes
}

// Write puts each image into dir/NAME, an OCI layout, with its SBOM as a
// referrer, and the SBOM as dir/NAME.OS-ARCHITECTURE.spdx.json once more. A
// layout that is there already is replaced.
func Write(dir string, images ...*Image) error {
	seen := map[string]bool{}
	for _, i := range images {
		path := filepath.Join(dir, i.Name)
		if !seen[i.Name] {
			if err := newLayout(path); err != nil {
				return err
			}
		}
		seen[i.Name] = true
		if err := i.write(layout.Path(path), path+"."+i.Platform.OS+"-"+i.Platform.Architecture+".spdx.json"); err != nil {
			return fmt.Errorf("write the image %s into %s: %w", i.Name, path, err)
		}
	}
	for _, index := range Indexes(images...) {
		path := filepath.Join(dir, index.Name)
		if err := layout.Path(path).AppendIndex(index.Content, tag(index.Version)); err != nil {
			return fmt.Errorf("write the index of %s into %s: %w", index.Name, path, err)
		}
	}
	return nil
}

func (i *Image) write(to layout.Path, sbomFile string) error {
	sbom, err := i.sbomArtifact()
	if err != nil {
		return err
	}
	return errors.Join(
		to.AppendImage(i.Image, tag(i.Version), layout.WithPlatform(i.Platform)),
		to.AppendImage(sbom),
		os.WriteFile(sbomFile, i.SBOM, 0o644))
}

// newLayout makes an empty layout in place of an older one.
func newLayout(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("make an OCI layout: %w", err)
	}
	if _, err := os.Stat(filepath.Join(path, "oci-layout")); err != nil && len(entries) > 0 {
		return fmt.Errorf("make an OCI layout: %s has other files; name another directory", path)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("make an OCI layout: %w", err)
	}
	if _, err := layout.Write(path, empty.Index); err != nil {
		return fmt.Errorf("make an OCI layout in %s: %w", path, err)
	}
	return nil
}

func tag(version string) layout.Option {
	return layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": version})
}
