// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A program is one that becomes an image.
type program struct {
	name    string
	options Options
	// system is the layer below it, with certificates of the module roots.
	system *packed
	roots  *debug.Module
}

// pack makes the image of the program that was compiled to path.
func (p *program) pack(path string) (*Image, error) {
	binary, sum, err := p.layer(path)
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", p.name, err)
	}
	img, err := p.assemble(binary)
	if err != nil {
		return nil, fmt.Errorf("assemble the image of %s: %w", p.name, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, fmt.Errorf("assemble the image of %s: %w", p.name, err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what %s was built from: %w", p.name, err)
	}
	sbom, err := newDocument(p, digest, sum, info).marshal()
	if err != nil {
		return nil, fmt.Errorf("write the SBOM of %s: %w", p.name, err)
	}
	return &Image{
		Image: img, Name: p.name, Version: p.options.Version, Platform: p.options.Platform,
		SBOM: sbom, Uncompressed: p.system.uncompressed + binary.uncompressed,
	}, nil
}

// layer packs the program into the directory that PATH names, and returns the
// SHA-256 sum of the program too.
func (p *program) layer(path string) (*packed, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	hash := sha256.New()
	packed, err := newPacked([]file{
		directory("usr/"), directory("usr/local/"), directory(bin + "/"),
		{name: bin + "/" + p.name, mode: 0o755, size: info.Size(), content: io.TeeReader(f, hash)},
	})
	return packed, hex.EncodeToString(hash.Sum(nil)), err
}

// assemble puts the layers and the configuration together.
func (p *program) assemble(binary *packed) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.ConfigFile(img, &v1.ConfigFile{
		OS: p.options.Platform.OS, Architecture: p.options.Platform.Architecture, Variant: p.options.Platform.Variant,
		Created: v1.Time{Time: time.Unix(0, 0).UTC()},
		RootFS:  v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User:       user,
			Env:        []string{"PATH=/" + bin},
			Entrypoint: []string{"/" + bin + "/" + p.name},
			Labels: map[string]string{
				"org.opencontainers.image.title":    p.name,
				"org.opencontainers.image.version":  p.options.Version,
				"org.opencontainers.image.source":   Source,
				"org.opencontainers.image.licenses": "Apache-2.0",
			},
		},
	})
	if err != nil {
		return nil, err
	}
	step := v1.History{Created: v1.Time{Time: time.Unix(0, 0).UTC()}}
	system, program := step, step
	system.CreatedBy, program.CreatedBy = "certificates, user and /tmp", "go build "+strings.Join(buildFlags, " ")
	return mutate.Append(img,
		mutate.Addendum{Layer: p.system, MediaType: types.OCILayer, History: system},
		mutate.Addendum{Layer: binary, MediaType: types.OCILayer, History: program})
}

// With returns the same image with a variable in its environment, which costs
// no build. Its SBOM still names the image that it was made from.
func (i *Image) With(name, value string) (*Image, error) {
	config, err := i.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the configuration of the image %s: %w", i.Name, err)
	}
	config = config.DeepCopy()
	config.Config.Env = append(slices.DeleteFunc(config.Config.Env, func(variable string) bool {
		return strings.HasPrefix(variable, name+"=")
	}), name+"="+value)
	changed := *i
	if changed.Image, err = mutate.ConfigFile(i.Image, config); err != nil {
		return nil, fmt.Errorf("set %s in the image %s: %w", name, i.Name, err)
	}
	return &changed, nil
}

// Compressed returns the size of the layers as registries store them, in bytes.
func (i *Image) Compressed() (int64, error) {
	manifest, err := i.Manifest()
	if err != nil {
		return 0, fmt.Errorf("read the manifest of the image %s: %w", i.Name, err)
	}
	var size int64
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size, nil
}
