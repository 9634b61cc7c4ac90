// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
)

const (
	// originKey is the key of an artifact's metadata for the digest that the
	// repository gives for the chart.
	originKey = "weir.dev/chart-origin"
	// newChartReason says that there is another chart than the stored one.
	newChartReason = "NewChart"
	// digestMismatchReason is that of the event about a chart that is not the
	// one that the index describes.
	digestMismatchReason = "ChartDigestMismatch"
	// shortHash is how much of a commit goes into a version: versions become
	// labels, which are short.
	shortHash = 12
)

// build stores the chart unless it is there.
func (c *Controller) build(ctx context.Context, s *scope) error {
	repo, fromHelm := s.source.(*sourcev1.HelmRepository)
	if s.settled && s.Artifact() != nil && !isRegistry(s.source) {
		// The same source makes the same chart.
		done := conditions.Get(s.obj, sourcev1.ArtifactInStorageCondition)
		return s.Done(artifact.Outcome{Reason: done.Reason, Message: done.Message, EventReason: done.Reason, Event: done.Message})
	}
	var result *chart.Result
	var err error
	if fromHelm {
		result, err = c.pull(ctx, s, repo)
	} else {
		result, err = c.pack(ctx, s)
	}
	if err != nil {
		return c.failed(s, err)
	}
	if result.Archive == nil {
		s.UpToDate()
		conditions.Delete(s.obj, sourcev1.BuildFailedCondition)
	} else if err := s.store(ctx, result); err != nil {
		return err
	} else if result.Mismatch {
		c.mismatched(s, result)
	}
	return s.Done(outcome(result))
}

// request says which chart the spec asks for.
func (s *scope) request(ctx context.Context) chart.Request {
	spec, status := &s.obj.Spec, &s.obj.Status
	r := chart.Request{
		Chart: spec.Chart, Version: spec.Version, ValuesFiles: spec.ValuesFiles, IgnoreMissing: spec.IgnoreMissingValuesFiles,
		Found: func(name, version string) error { return s.outdated(ctx, name, version) },
	}
	if a := s.Artifact(); a != nil {
		r.Stored = &chart.Stored{
			Name: status.ObservedChartName, Version: a.Revision, Origin: a.Metadata[originKey], ValuesFiles: status.ObservedValuesFiles,
			Changed: status.ObservedGeneration != s.obj.Generation,
		}
	}
	var metadata []string
	if spec.ReconcileStrategy == sourcev1.ReconcileStrategyRevision && spec.SourceRef.Kind == sourcev1.GitRepositoryKind {
		metadata = append(metadata, commitOf(revisionOf(s.source)))
	}
	if len(r.Merges()) > 0 {
		// Who reads the artifact sees by its version that the values are others.
		metadata = append(metadata, strconv.FormatInt(s.obj.Generation, 10))
	}
	r.Metadata = strings.Join(metadata, ".")
	return r
}

// commitOf shortens the hash at the end of the revision of a Git artifact, such
// as main@sha1:….
func commitOf(revision string) string {
	hash := revision[strings.LastIndexAny(revision, ":/@")+1:]
	return hash[:min(len(hash), shortHash)]
}

// outdated shows that a chart is about to be fetched or packaged.
func (s *scope) outdated(ctx context.Context, name, version string) error {
	message := fmt.Sprintf("new '%s' chart with version '%s'", name, version)
	if s.Artifact() != nil {
		conditions.MarkTrue(s.obj, sourcev1.ArtifactOutdatedCondition, newChartReason, "%s", message)
	}
	return s.Progress(ctx, "building artifact: "+message)
}

// pack packages a chart from the artifact of a source.
func (c *Controller) pack(ctx context.Context, s *scope) (*chart.Result, error) {
	release, err := c.Packing.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	ref := s.obj.Spec.SourceRef
	open := func() (io.ReadCloser, error) {
		return c.open(ref.Kind, s.obj.Namespace, ref.Name, s.source.GetArtifact())
	}
	return c.Charts.Package(ctx, open, c.dependencies(s.obj.Namespace), s.request(ctx))
}

// store makes the archive of a result the artifact.
func (s *scope) store(ctx context.Context, result *chart.Result) error {
	stored := s.New(result.Version, result.FileName())
	err := s.File(ctx, stored, func(w io.Writer) error {
		_, err := w.Write(result.Archive)
		return err
	})
	if err != nil {
		return s.StorageFailed(err)
	}
	if result.Origin != "" {
		stored.Metadata = map[string]string{originKey: result.Origin}
	}
	s.Stored(ctx, stored)
	status := &s.obj.Status
	status.ObservedChartName, status.ObservedValuesFiles = result.Name, nil
	if s.obj.Spec.IgnoreMissingValuesFiles {
		status.ObservedValuesFiles = result.ValuesFiles
	}
	return nil
}

// mismatched tells that what was fetched is not what the index describes.
func (c *Controller) mismatched(s *scope, result *chart.Result) {
	c.Events.Eventf(s.obj, nil, corev1.EventTypeWarning, digestMismatchReason, "Reconcile",
		"the archive of '%s' chart with version '%s' does not have the digest '%s' that the index gives for it", result.Name, result.Version, result.Origin)
}

// outcome words what is stored.
func outcome(result *chart.Result) artifact.Outcome {
	reason := sourcev1.ChartPullSucceededReason
	if result.Packaged {
		reason = sourcev1.ChartPackageSucceededReason
	}
	return artifact.Outcome{Reason: reason, Message: result.Summary(), EventReason: reason, Event: result.Summary()}
}

// failed records why there is no chart.
func (c *Controller) failed(s *scope, err error) error {
	failure, ok := errors.AsType[*chart.Error](err)
	switch {
	case !ok:
		return err
	case errors.Is(err, errGone):
		return c.wait(s)
	case failure.Fetching() && errors.Is(err, errProvider):
		return s.Stall(sourcev1.FetchFailedCondition, artifact.UnsupportedFieldReason, failure.Err)
	case failure.Fetching() && errors.Is(err, chart.ErrURL):
		return s.Stall(sourcev1.FetchFailedCondition, sourcev1.URLInvalidReason, failure.Err)
	case failure.Fetching() && errors.Is(err, chart.ErrAuthentication):
		err = fmt.Errorf("failed to authenticate with the Helm repository: %w", failure.Err)
		return s.Fail(sourcev1.FetchFailedCondition, sourcev1.AuthenticationFailedReason, err)
	}
	condition, other := sourcev1.BuildFailedCondition, sourcev1.FetchFailedCondition
	if failure.Fetching() {
		condition, other = other, condition
	}
	conditions.Delete(s.obj, other)
	if failure.Persistent() && (failure.Fetching() || !isRegistry(s.source)) {
		return s.Stall(condition, string(failure.Reason), err)
	}
	// A registry does not tell of a new version, which may be a better one.
	return s.Fail(condition, string(failure.Reason), err)
}

// errGone says that an artifact which a status names is not on the disk. It
// comes back when its object is reconciled.
var errGone = errors.New("the artifact is not in storage")

// owns reports whether an artifact can be that of an object. A status may have
// been written by others, so the path has to be one of the object's own.
func owns(kind, namespace, name string, a *fluxmeta.Artifact) bool {
	return a != nil && path.Dir(path.Clean(a.Path)) == path.Join(strings.ToLower(kind), namespace, name)
}

// open opens the stored artifact of an object.
func (c *Controller) open(kind, namespace, name string, a *fluxmeta.Artifact) (io.ReadSeekCloser, error) {
	if !owns(kind, namespace, name, a) {
		return nil, errGone
	}
	file, err := c.Storage.Open(path.Clean(a.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	return file, err
}
