// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"fmt"
)

const (
	// maxPlatforms bounds how many manifests of an index are read.
	maxPlatforms = 100
	// maxDepth bounds how deep indexes may be nested.
	maxDepth = 3
	// maxFacts bounds the annotations and labels of one manifest or index, of all
	// platforms together. They are held for every candidate of a decision.
	maxFacts = 1 << 20
)

// Inspect returns what the manifest or index with a digest says, and for an
// index what the image of every platform says. All of it is read by digest and
// checked.
func (c *Client) Inspect(ctx context.Context, repo Repository, access Access, digest string) (*Manifest, error) {
	manifest, err := c.inspect(ctx, repo, access, digest)
	if err != nil {
		return nil, fmt.Errorf("inspect %s@%s: %w", repo, shorten(digest), err)
	}
	return manifest, nil
}

func (c *Client) inspect(ctx context.Context, repo Repository, access Access, digest string) (*Manifest, error) {
	if !ValidDigest(digest) {
		return nil, failf(ErrImage, "this is not a digest")
	}
	key := cacheKey("inspected", repo, access, digest)
	if manifest, found := lookup[*Manifest](c.cache, key); found {
		return manifest, nil
	}
	w := &walker{client: c, repo: repo, access: access}
	content, err := c.fetch(ctx, repo, access, digest)
	if err != nil {
		return nil, err
	}
	if err := w.weigh(content.Annotations); err != nil {
		return nil, err
	}
	if err := w.walk(ctx, content, "", 0); err != nil {
		return nil, err
	}
	if len(w.platforms) == 0 {
		return nil, failf(ErrMalformed, "the index holds no image")
	}
	manifest := &Manifest{
		Digest: digest, MediaType: content.MediaType, ArtifactType: artifactType(content),
		Annotations: content.Annotations, Platforms: w.platforms,
	}
	if !content.Index() {
		manifest.Config = content.Config.layer()
		for i := range content.Layers {
			layer := content.Layers[i].layer()
			manifest.Layers = append(manifest.Layers, layer)
			if err := w.weigh(layer.Annotations); err != nil {
				return nil, err
			}
		}
	}
	c.cache.put(key, manifest, w.size+int64(len(manifest.Layers))*200)
	return manifest, nil
}

// artifactType returns what kind of artifact a manifest is of, or "".
func artifactType(content *Content) string {
	switch {
	case content.ArtifactType != "":
		return content.ArtifactType
	case content.Config == nil, isImageConfig(content.Config.MediaType), content.Config.MediaType == MediaTypeEmpty:
		return ""
	default:
		return content.Config.MediaType
	}
}

func isImageConfig(mediaType string) bool {
	return mediaType == mediaTypeConfig || mediaType == mediaTypeDockerConfig
}

// walker collects the images below a manifest.
type walker struct {
	client    *Client
	repo      Repository
	access    Access
	platforms []Platform
	read      int
	size      int64
}

// walk adds the images of content, whose index says that its platform is name.
func (w *walker) walk(ctx context.Context, content *Content, name string, depth int) error {
	if !content.Index() {
		platform, err := w.image(ctx, content, name)
		if err != nil {
			return err
		}
		w.platforms = append(w.platforms, platform)
		return w.weigh(platform.Labels)
	}
	if depth >= maxDepth {
		return failf(ErrTooLarge, "its indexes are nested more than %d deep", maxDepth)
	}
	for i := range content.Manifests {
		desc := &content.Manifests[i]
		name := desc.platform()
		if name == "unknown/unknown" || !isManifest(desc.MediaType) {
			continue
		}
		if w.read++; w.read > maxPlatforms {
			return failf(ErrTooLarge, "it has more than %d images", maxPlatforms)
		}
		if !ValidDigest(desc.Digest) {
			return failf(ErrMalformed, "its index holds a digest that is not sha256 and 64 hexadecimal digits")
		}
		child, err := w.client.fetch(ctx, w.repo, w.access, desc.Digest)
		if err != nil {
			return fmt.Errorf("read %s of its index: %w", desc.Digest, err)
		}
		if child.MediaType != desc.MediaType {
			return failf(ErrMalformed, "its index says of %s that it is of another type than it is", desc.Digest)
		}
		if err := w.walk(ctx, child, name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// weigh adds what is going to be held.
func (w *walker) weigh(texts map[string]string) error {
	if w.size += sizeOf(texts); w.size > maxFacts {
		return failf(ErrTooLarge, "its annotations and labels have more than %d bytes", maxFacts)
	}
	return nil
}

func isManifest(mediaType string) bool {
	switch mediaType {
	case MediaTypeImage, MediaTypeIndex, MediaTypeDockerImage, MediaTypeDockerList:
		return true
	default:
		return false
	}
}

// layer returns what is kept of a blob of a manifest.
func (d *Descriptor) layer() Layer {
	return Layer{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Annotations: d.Annotations}
}

// platform returns "os/architecture[/variant]", or "" if none is given.
func (d *Descriptor) platform() string {
	if d.Platform == nil {
		return ""
	}
	return platformName(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)
}

func platformName(os, architecture, variant string) string {
	switch {
	case os == "" && architecture == "":
		return ""
	case variant == "":
		return os + "/" + architecture
	default:
		return os + "/" + architecture + "/" + variant
	}
}

// image reads the config of one image.
func (w *walker) image(ctx context.Context, content *Content, name string) (Platform, error) {
	platform := Platform{Name: name, Digest: content.Digest}
	if !isImageConfig(content.Config.MediaType) {
		return platform, nil
	}
	if content.Config.Size > maxConfig {
		return platform, failf(ErrTooLarge, "the config of %s has more than %d bytes", content.Digest, maxConfig)
	}
	body, err := w.client.blob(ctx, w.repo, w.access, content.Config.Digest, maxConfig)
	if err != nil {
		return platform, fmt.Errorf("read the config of %s: %w", content.Digest, err)
	}
	var config struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
		Config       struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		return platform, failf(ErrMalformed, "the config of %s is not valid JSON of its kind", content.Digest)
	}
	platform.Labels = config.Config.Labels
	if name == "" {
		platform.Name = platformName(config.OS, config.Architecture, config.Variant)
	}
	return platform, nil
}

func sizeOf(texts map[string]string) int64 {
	var size int64
	for key, value := range texts {
		size += int64(len(key)+len(value)) + 100
	}
	return size
}
