// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

// Manifest is what a registry holds at a digest. It is shared and must not be
// changed.
type Manifest struct {
	// Digest of the manifest or index itself, and its media type.
	Digest, MediaType string
	// ArtifactType is the type that the manifest gives, or that of its config
	// if that is not an image's; empty for images.
	ArtifactType string
	// Annotations are those of the manifest, or of the index.
	Annotations map[string]string
	// Platforms are the images of an index, without those whose platform is
	// unknown/unknown, which are attestations; there is one for a manifest.
	Platforms []Platform
	// Config and Layers are those of a manifest; the zero value and nil for
	// an index.
	Config Layer
	Layers []Layer
}

// Layer is one blob of a manifest.
type Layer struct {
	MediaType, Digest string
	// Size in bytes, as the manifest says: nothing has been read.
	Size        int64
	Annotations map[string]string
}

// Platform is one image.
type Platform struct {
	// Name is "os/architecture[/variant]", or empty for what is no image.
	Name string
	// Digest of the image's own manifest.
	Digest string
	// Labels are those of the config; nil for what is no image.
	Labels map[string]string
}
