// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrepository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/opencontainers/go-digest"

	"github.com/weir-gitops/weir/pkg/redact"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
	"github.com/weir-gitops/weir/source-controller/internal/credential"
)

const (
	// etagKey is the key of an artifact's metadata for the ETag that the
	// server gave with the index.
	etagKey = "weir.dev/etag"
	// maxETag is how long an ETag may be to be kept.
	maxETag = 256
)

// scope is what the phases of one reconcile share.
type scope struct {
	*artifact.Source

	obj *sourcev1.HelmRepository
	// repository, filled by connect, is where the index is.
	repository *chart.HTTPRepository
	// etag, filled by download, is that of the present index.
	etag string
}

// validate stalls objects that no retry can help.
func (c *Controller) validate(_ context.Context, s *scope) error {
	if chart.IsOCI(s.obj.Spec.URL) {
		err := errors.New("invalid Helm repository URL: 'oci' URL scheme cannot be used with 'default' HelmRepository type; set spec.type to 'oci'")
		return s.Stall(sourcev1.FetchFailedCondition, sourcev1.URLInvalidReason, err)
	}
	return nil
}

// connect reads the credentials and fills repository.
func (c *Controller) connect(ctx context.Context, s *scope) error {
	source, err := credential.HTTP(ctx, &c.Keeper, s.obj)
	if err != nil {
		return s.Fail(sourcev1.FetchFailedCondition, sourcev1.AuthenticationFailedReason, err)
	}
	s.repository, err = c.Charts.HTTP(source)
	switch {
	case errors.Is(err, chart.ErrURL):
		return s.Stall(sourcev1.FetchFailedCondition, sourcev1.URLInvalidReason, err)
	case err != nil:
		err = fmt.Errorf("failed to configure authentication options: %w", err)
		return s.Fail(sourcev1.FetchFailedCondition, sourcev1.AuthenticationFailedReason, err)
	}
	return nil
}

// fetch stores the index unless the stored one is that of the server.
func (c *Controller) fetch(ctx context.Context, s *scope) error {
	defer s.repository.Close()
	index, err := s.Scratch()
	if err != nil {
		return s.StorageFailed(err)
	}
	defer func() { _ = index.Close() }()
	revision, err := s.download(ctx, index)
	if err != nil {
		err = fmt.Errorf("failed to fetch Helm repository index: %w", err)
		return s.Fail(sourcev1.FetchFailedCondition, fluxmeta.FailedReason, err)
	}
	if s.Artifact().HasRevision(revision.String()) {
		s.UpToDate()
	} else if err := c.store(ctx, s, index, revision); err != nil {
		return err
	}
	s.remember()
	return s.Done(s.outcome())
}

// download writes the index to a file, unless it is still the stored one, and
// returns its revision.
func (s *scope) download(ctx context.Context, index *os.File) (digest.Digest, error) {
	limited, cancel := context.WithTimeout(ctx, s.obj.GetTimeout())
	defer cancel()
	known := s.knownETag()
	digester := digest.Canonical.Digester()
	etag, fresh, err := s.repository.FetchIndex(limited, io.MultiWriter(index, digester.Hash()), known)
	if err != nil {
		return "", err
	}
	if s.etag = etag; !fresh {
		return digest.Digest(s.Artifact().Revision), nil
	}
	return digester.Digest(), nil
}

// knownETag is that of the stored index, if it was fetched with this spec.
func (s *scope) knownETag() string {
	if s.Artifact() == nil || s.obj.Status.ObservedGeneration != s.obj.Generation {
		return ""
	}
	return s.Artifact().Metadata[etagKey]
}

// remember keeps the ETag with the artifact.
func (s *scope) remember() {
	a := s.Artifact()
	switch {
	case s.etag == "" || len(s.etag) > maxETag:
		delete(a.Metadata, etagKey)
	case a.Metadata == nil:
		a.Metadata = map[string]string{etagKey: s.etag}
	default:
		a.Metadata[etagKey] = s.etag
	}
}

// store stores an index that can be read.
func (c *Controller) store(ctx context.Context, s *scope, index *os.File, revision digest.Digest) error {
	release, err := s.Slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := c.Charts.CheckIndex(index); err != nil {
		err = fmt.Errorf("failed to load Helm repository from index YAML at %s: %w", redact.String(s.obj.Spec.URL), err)
		return s.Fail(sourcev1.FetchFailedCondition, sourcev1.IndexationFailedReason, err)
	}
	if err := s.Outdated(ctx, fmt.Sprintf("new index revision '%s'", revision)); err != nil {
		return err
	}
	stored := s.New(revision.String(), "index-"+revision.Encoded()+".yaml")
	err = s.File(ctx, stored, func(w io.Writer) error {
		if _, err := index.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.Copy(w, index)
		return err
	})
	if err != nil {
		return s.StorageFailed(err)
	}
	s.Stored(ctx, stored)
	return nil
}

// outcome words what is stored.
func (s *scope) outcome() artifact.Outcome {
	a := s.Artifact()
	size := "unknown size"
	if a.Size != nil {
		size = "size " + humanSize(float64(*a.Size))
	}
	return artifact.Outcome{
		Message: "stored artifact: revision '" + a.Revision + "'",
		Event:   fmt.Sprintf("stored fetched index of %s from '%s'", size, redact.String(s.obj.Spec.URL)),
	}
}

// humanSize writes a number of bytes in four digits.
func humanSize(size float64) string {
	units := []string{"B", "kB", "MB", "GB"}
	unit := 0
	for size >= 1000 && unit < len(units)-1 {
		size /= 1000
		unit++
	}
	return fmt.Sprintf("%.4g%s", size, units[unit])
}
