// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository

import (
	"context"
	"errors"
	"fmt"
	"io"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/layer"
)

const (
	// The platform whose manifest is taken from an index.
	platformOS, platformArchitecture = "linux", "amd64"

	// maxMetadata is how many bytes of annotations go into the status: as many
	// as Kubernetes permits for those of an object.
	maxMetadata = 256 << 10

	// maxAnnotation is how many characters of one an event shows.
	maxAnnotation = 200

	// Annotations of manifests that events tell of.
	sourceAnnotation   = "org.opencontainers.image.source"
	revisionAnnotation = "org.opencontainers.image.revision"
	originRevisionKey  = artifact.EventKeyPrefix + eventv1.MetaOriginRevisionKey
)

// build stores the artifact of target unless it is there.
func (c *Controller) build(ctx context.Context, s *scope) error {
	if !s.current() {
		if err := c.pull(ctx, s); err != nil {
			return err
		}
	}
	return s.Done(outcome(s.Artifact(), s.obj.Spec.URL))
}

// outcome words what is known of an artifact.
func outcome(a *fluxmeta.Artifact, url string) artifact.Outcome {
	o := artifact.Outcome{
		Message: "stored artifact for digest '" + a.Revision + "'",
		Event:   fmt.Sprintf("stored artifact with revision '%s' from '%s'", a.Revision, url),
	}
	source := artifact.Shorten(a.Metadata[sourceAnnotation], maxAnnotation)
	revision := artifact.Shorten(a.Metadata[revisionAnnotation], maxAnnotation)
	if revision != "" {
		o.Metadata = map[string]string{originRevisionKey: revision}
	}
	if source != "" && revision != "" {
		o.Event += fmt.Sprintf(", origin source '%s', origin revision '%s'", source, revision)
	}
	return o
}

// pull reads the manifest and stores what the selected layer holds.
func (c *Controller) pull(ctx context.Context, s *scope) error {
	release, err := s.Slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	limited, cancel := context.WithTimeout(ctx, s.obj.GetTimeout())
	defer cancel()
	manifest, err := c.manifest(limited, s)
	if err != nil {
		return s.fetchFailed(sourcev1.OCIPullFailedReason, c.pullError(s, err))
	}
	selected, err := selectLayer(manifest.Layers, s.obj.GetLayerMediaType())
	if err == nil {
		err = checkMetadata(manifest.Annotations)
	}
	if err != nil {
		return s.fetchFailed(sourcev1.OCILayerOperationFailedReason, err)
	}
	blob, err := c.Registry.Open(limited, s.repo, s.access, selected.Digest, c.MaxSize)
	if err != nil {
		return s.fetchFailed(sourcev1.OCIPullFailedReason, c.pullError(s, err))
	}
	defer func() { _ = blob.Close() }()
	stored := s.New(s.target.revision(), s.target.digest+".tar.gz")
	if s.obj.GetLayerOperation() == sourcev1.OCILayerCopy {
		err = c.copyLayer(ctx, s, stored, blob)
	} else {
		err = c.extract(ctx, s, stored, blob)
	}
	if err != nil {
		return err
	}
	stored.Metadata = manifest.Annotations
	s.Stored(ctx, stored)
	s.obj.Status.ObservedIgnore, s.obj.Status.ObservedLayerSelector = s.obj.Spec.Ignore, s.obj.Spec.LayerSelector
	return nil
}

func (c *Controller) pullError(s *scope, err error) error {
	err = fmt.Errorf("failed to pull artifact from '%s': %w", s.obj.Spec.URL, err)
	if errors.Is(err, oci.ErrTooLarge) {
		return fmt.Errorf("%w, the limit of --artifact-max-size", err)
	}
	return err
}

// manifest returns the manifest of target, and of an index that of the platform
// that Flux takes.
func (c *Controller) manifest(ctx context.Context, s *scope) (*oci.Content, error) {
	content, err := c.Registry.Read(ctx, s.repo, s.access, s.target.digest)
	if err != nil || !content.Index() {
		return content, err
	}
	for i := range content.Manifests {
		found := &content.Manifests[i]
		if found.Platform == nil || found.Platform.OS != platformOS || found.Platform.Architecture != platformArchitecture {
			continue
		}
		if content, err = c.Registry.Read(ctx, s.repo, s.access, found.Digest); err == nil && content.Index() {
			return nil, fmt.Errorf("the index %s holds another index for %s/%s", s.target.digest, platformOS, platformArchitecture)
		}
		return content, err
	}
	return nil, fmt.Errorf("the index %s holds no manifest for %s/%s", s.target.digest, platformOS, platformArchitecture)
}

// selectLayer returns the first layer of a media type, or the first of all if
// that is empty.
func selectLayer(layers []oci.Descriptor, mediaType string) (*oci.Descriptor, error) {
	if len(layers) == 0 {
		return nil, errors.New("no layers found in artifact")
	}
	for i := range layers {
		if mediaType == "" || layers[i].MediaType == mediaType {
			return &layers[i], nil
		}
	}
	return nil, fmt.Errorf("failed to find layer with media type '%s' in artifact", mediaType)
}

// checkMetadata refuses annotations that an object cannot hold.
func checkMetadata(annotations map[string]string) error {
	size := 0
	for key, value := range annotations {
		size += len(key) + len(value)
	}
	if size > maxMetadata {
		return fmt.Errorf("the annotations of the manifest have %d bytes; the limit is %d", size, maxMetadata)
	}
	return nil
}

// copyLayer stores a layer as it is. How long the reading may take is bound to
// the blob already.
func (c *Controller) copyLayer(ctx context.Context, s *scope, stored *fluxmeta.Artifact, blob io.Reader) error {
	source := &failingReader{r: blob}
	err := s.File(ctx, stored, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
	if source.err != nil {
		return s.fetchFailed(sourcev1.OCIPullFailedReason, c.pullError(s, source.err))
	}
	if err != nil {
		return s.StorageFailed(err)
	}
	return nil
}

// extract stores an archive of the files in a layer.
func (c *Controller) extract(ctx context.Context, s *scope, stored *fluxmeta.Artifact, blob io.Reader) error {
	scratch, err := s.Scratch()
	if err != nil {
		return s.StorageFailed(err)
	}
	defer func() { _ = scratch.Close() }()
	tree, err := layer.Extract(ctx, blob, scratch, layer.Limits{Bytes: c.MaxSize})
	if !errors.Is(err, layer.ErrTooLarge) {
		// Only at the end of the blob is it known to be the right one. If it is
		// not, that is what is wrong, whatever else may be.
		if _, broken := io.Copy(io.Discard, blob); broken != nil {
			return s.fetchFailed(sourcev1.OCIPullFailedReason, c.pullError(s, broken))
		}
	}
	if err != nil {
		err = fmt.Errorf("failed to extract layer contents from artifact: %w", err)
		return s.fetchFailed(sourcev1.OCILayerOperationFailedReason, err)
	}
	if err := s.ArchiveTree(ctx, stored, tree, s.obj.Spec.Ignore); err != nil {
		return s.StorageFailed(err)
	}
	return nil
}

// failingReader remembers why reading failed, so that it is not taken for a
// failure to write.
type failingReader struct {
	r   io.Reader
	err error
}

// Read passes on what it reads.
func (f *failingReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
