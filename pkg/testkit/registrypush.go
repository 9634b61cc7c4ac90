// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// Media types of what a Registry is filled with.
const (
	// RegistryModelPack is the artifact type of a model in CNCF's ModelPack
	// format.
	RegistryModelPack = "application/vnd.cncf.model.manifest.v1+json"
	// RegistryModelKit is the type of the config of a ModelKit of KitOps.
	RegistryModelKit = "application/vnd.kitops.modelkit.config.v1+json"

	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociEmpty    = "application/vnd.oci.empty.v1+json"

	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// RegistryImage is an image to push.
type RegistryImage struct {
	// Platform is "os/architecture[/variant]"; linux/amd64 if empty.
	Platform string
	// Annotations are those of the manifest, Labels those of the config.
	Annotations, Labels map[string]string
	// Content makes the only layer, and so the digest, differ.
	Content string
	// Docker makes it an image of Docker's schema 2 instead of OCI.
	Docker bool
}

// RegistryArtifact is an artifact, such as a model, to push.
type RegistryArtifact struct {
	// ArtifactType and ConfigType are media types. Without a ConfigType the
	// config is OCI's empty one.
	ArtifactType, ConfigType string
	// Config is the content of the config; {} if empty.
	Config string
	// Layers are the contents of layers of LayerType.
	Layers    []string
	LayerType string
	// LayerTypes are the media types of the first layers, if they are not all
	// of LayerType.
	LayerTypes []string
	// LayerAnnotations go with every layer.
	LayerAnnotations map[string]string
	// Annotations are those of the manifest.
	Annotations map[string]string
	// Subject is the digest that the artifact refers to, if any.
	Subject string
}

// RegistryDescriptor points to a blob or a manifest.
type RegistryDescriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     map[string]string `json:"platform,omitempty"`
}

// manifestBody is an image manifest on the wire.
type manifestBody struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType,omitempty"`
	Config        RegistryDescriptor   `json:"config"`
	Layers        []RegistryDescriptor `json:"layers"`
	Subject       *RegistryDescriptor  `json:"subject,omitempty"`
	Annotations   map[string]string    `json:"annotations,omitempty"`
}

// Push stores an image in repo and tags it, and returns its digest. It asks no
// credentials and meets no fault, as all that fills the registry.
func (r *Registry) Push(repo, tag string, image RegistryImage) (string, error) {
	desc, err := r.pushImage(repo, tag, image)
	return desc.Digest, err
}

func (r *Registry) pushImage(repo, reference string, image RegistryImage) (RegistryDescriptor, error) {
	manifest, config, layer := ociManifest, ociConfig, ociLayer
	if image.Docker {
		manifest, config, layer = dockerManifest, dockerConfig, dockerLayer
	}
	platform := platformOf(image.Platform)
	content, err := json.Marshal(map[string]any{
		"architecture": platform["architecture"], "os": platform["os"], "variant": platform["variant"],
		"config": map[string]any{"Labels": image.Labels},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digestOf([]byte(image.Content))}},
	})
	if err != nil {
		return RegistryDescriptor{}, fmt.Errorf("encode a config: %w", err)
	}
	body := manifestBody{SchemaVersion: 2, MediaType: manifest, Annotations: image.Annotations}
	if body.Config, err = r.PushBlob(repo, config, content); err != nil {
		return RegistryDescriptor{}, err
	}
	blob, err := r.PushBlob(repo, layer, []byte(image.Content))
	if err != nil {
		return RegistryDescriptor{}, err
	}
	body.Layers = []RegistryDescriptor{blob}
	desc, err := r.pushJSON(repo, reference, manifest, body)
	desc.Platform = platform
	return desc, err
}

// PushIndex stores images for several platforms under one tag and returns the
// digest of the index.
func (r *Registry) PushIndex(repo, tag string, annotations map[string]string, images ...RegistryImage) (string, error) {
	manifests := make([]RegistryDescriptor, 0, len(images))
	for _, image := range images {
		desc, err := r.pushImage(repo, "", image)
		if err != nil {
			return "", err
		}
		manifests = append(manifests, desc)
	}
	return r.PushIndexOf(repo, tag, annotations, manifests...)
}

// PushIndexOf is PushIndex of manifests that are there already.
func (r *Registry) PushIndexOf(repo, tag string, annotations map[string]string, manifests ...RegistryDescriptor) (string, error) {
	desc, err := r.pushJSON(repo, tag, ociIndex, map[string]any{
		"schemaVersion": 2, "mediaType": ociIndex, "manifests": manifests, "annotations": annotations,
	})
	return desc.Digest, err
}

// PushArtifact stores an artifact, tags it unless tag is empty, and returns its
// descriptor.
func (r *Registry) PushArtifact(repo, tag string, artifact RegistryArtifact) (RegistryDescriptor, error) {
	body := manifestBody{
		SchemaVersion: 2, MediaType: ociManifest, ArtifactType: artifact.ArtifactType,
		Annotations: artifact.Annotations, Layers: []RegistryDescriptor{},
	}
	config, configType := artifact.Config, artifact.ConfigType
	if config == "" {
		config = "{}"
	}
	if configType == "" {
		configType = ociEmpty
	}
	var err error
	if body.Config, err = r.PushBlob(repo, configType, []byte(config)); err != nil {
		return RegistryDescriptor{}, err
	}
	for i, layer := range artifact.Layers {
		mediaType := artifact.LayerType
		if i < len(artifact.LayerTypes) {
			mediaType = artifact.LayerTypes[i]
		}
		desc, err := r.PushBlob(repo, mediaType, []byte(layer))
		if err != nil {
			return RegistryDescriptor{}, err
		}
		desc.Annotations = artifact.LayerAnnotations
		body.Layers = append(body.Layers, desc)
	}
	if artifact.Subject != "" {
		body.Subject = &RegistryDescriptor{MediaType: ociManifest, Digest: artifact.Subject, Size: 1}
	}
	desc, err := r.pushJSON(repo, tag, ociManifest, body)
	desc.ArtifactType, desc.Annotations = artifact.ArtifactType, artifact.Annotations
	return desc, err
}

// PushBlob stores a blob and returns its descriptor.
func (r *Registry) PushBlob(repo, mediaType string, content []byte) (RegistryDescriptor, error) {
	digest := digestOf(content)
	target := "/v2/" + repo + "/blobs/uploads/?digest=" + digest
	if _, err := r.ask(http.MethodPost, target, "application/octet-stream", content); err != nil {
		return RegistryDescriptor{}, err
	}
	return RegistryDescriptor{MediaType: mediaType, Digest: digest, Size: int64(len(content))}, nil
}

// PushManifest stores the bytes of a manifest, at its digest if reference is
// empty, and returns its descriptor.
func (r *Registry) PushManifest(repo, reference, mediaType string, body []byte) (RegistryDescriptor, error) {
	desc := RegistryDescriptor{MediaType: mediaType, Digest: digestOf(body), Size: int64(len(body))}
	if reference == "" {
		reference = desc.Digest
	}
	_, err := r.ask(http.MethodPut, "/v2/"+repo+"/manifests/"+reference, mediaType, body)
	return desc, err
}

// Move lets tag point to a digest that is there already.
func (r *Registry) Move(repo, tag, digest string) error {
	answer, err := r.ask(http.MethodGet, "/v2/"+repo+"/manifests/"+digest, "", nil)
	if err != nil {
		return err
	}
	_, err = r.PushManifest(repo, tag, answer.Header().Get("Content-Type"), answer.Body.Bytes())
	return err
}

// Delete removes what a tag or a digest names. Tags that point to a digest
// stay, as in a registry that was cleaned up by hand.
func (r *Registry) Delete(repo, reference string) error {
	_, err := r.ask(http.MethodDelete, "/v2/"+repo+"/manifests/"+reference, "", nil)
	return err
}

func (r *Registry) pushJSON(repo, reference, mediaType string, body any) (RegistryDescriptor, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return RegistryDescriptor{}, fmt.Errorf("encode a manifest: %w", err)
	}
	return r.PushManifest(repo, reference, mediaType, content)
}

// ask sends a request to the store itself.
func (r *Registry) ask(method, target, mediaType string, body []byte) (*httptest.ResponseRecorder, error) {
	req := httptest.NewRequest(method, target, bytes.NewReader(body))
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	recorder := httptest.NewRecorder()
	r.store.ServeHTTP(recorder, req)
	if recorder.Code >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s: %d %s", method, target, recorder.Code, recorder.Body)
	}
	return recorder, nil
}

func platformOf(platform string) map[string]string {
	if platform == "" {
		platform = "linux/amd64"
	}
	parts := strings.SplitN(platform, "/", 3)
	out := map[string]string{"os": parts[0]}
	if len(parts) > 1 {
		out["architecture"] = parts[1]
	}
	if len(parts) > 2 {
		out["variant"] = parts[2]
	}
	return out
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
