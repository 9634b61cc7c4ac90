// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// SBOMType is the artifact type of an SBOM beside its image in a registry.
	SBOMType = "application/spdx+json"

	// emptyType and emptyConfig are what OCI has for artifacts without a
	// configuration.
	emptyType   = "application/vnd.oci.empty.v1+json"
	emptyConfig = "{}"
)

// An artifact is a manifest with one layer that refers to an image. mutate makes
// images, whose configuration is that of a container.
type artifact struct {
	manifest []byte
	blob     v1.Layer
}

// sbomArtifact returns the SBOM in the form in which registries list it for its
// image.
func (i *Image) sbomArtifact() (v1.Image, error) {
	subject, err := partial.Descriptor(i.Image)
	if err != nil {
		return nil, fmt.Errorf("refer to the image %s: %w", i.Name, err)
	}
	blob := static.NewLayer(i.SBOM, SBOMType)
	layer, err := partial.Descriptor(blob)
	if err != nil {
		return nil, fmt.Errorf("describe the SBOM of %s: %w", i.Name, err)
	}
	config, err := partial.Descriptor(static.NewLayer([]byte(emptyConfig), emptyType))
	if err != nil {
		return nil, fmt.Errorf("describe the SBOM of %s: %w", i.Name, err)
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: SBOMType, Config: *config,
		Layers:      []v1.Descriptor{*layer},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{"org.opencontainers.image.title": i.Name + ".spdx.json"},
	})
	if err != nil {
		return nil, fmt.Errorf("describe the SBOM of %s: %w", i.Name, err)
	}
	return partial.CompressedToImage(&artifact{manifest: manifest, blob: blob})
}

// MediaType is that of images, because artifacts have none of their own.
func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// RawManifest never fails.
func (a *artifact) RawManifest() ([]byte, error) { return a.manifest, nil }

// RawConfigFile is OCI's empty one.
func (a *artifact) RawConfigFile() ([]byte, error) { return []byte(emptyConfig), nil }

// LayerByDigest returns the only layer.
func (a *artifact) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	if own, err := a.blob.Digest(); err != nil || own != digest {
		return nil, fmt.Errorf("the artifact has no layer %s", digest)
	}
	return a.blob, nil
}
