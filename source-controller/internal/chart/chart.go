// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package chart finds, fetches and packages Helm charts. It is the only package
// of source-controller that knows Helm's library.
//
// Charts come from three places: a repository with an index, a registry, and a
// directory or an archive inside the artifact of another source. Whatever is
// read is bounded, charts are never written to a disk while they are built, and
// the same input makes the same bytes.
package chart

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/oci"
)

// Limits bound what is read, in bytes.
type Limits struct {
	// Index is how large the index of a repository may be.
	Index int64
	// Chart is how large the archive of a chart may be. What is in it may be
	// ten times as large.
	Chart int64
	// File is how large one file of a chart may be.
	File int64
}

// unpacked is how many bytes the files of one chart may have, its sub-charts
// among them.
func (l Limits) unpacked() int64 { return 10 * l.Chart }

// Options are the settings of Charts.
type Options struct {
	// Dialer connects to repositories.
	Dialer *dial.Dialer
	// Registry reads registries.
	Registry *oci.Client
	Limits   Limits
	// Cache keeps what was read of indexes; nil keeps nothing.
	Cache *Cache
}

// Charts finds, fetches and packages charts. It is safe for concurrent use.
type Charts struct{ options Options }

// New returns Charts.
func New(o Options) *Charts { return &Charts{options: o} }

// Entry is one version of a chart in a repository.
type Entry struct {
	Name, Version string
	// Digest stands for the content: that of the archive in an index, which
	// may be missing, or that of the manifest in a registry.
	Digest string
	// urls are where the archive is, absolute or relative to the repository.
	urls []string
	// created orders versions that are equal.
	created time.Time
}

// Repository is where charts are looked up and downloaded. Errors of both
// methods are of type *Error.
type Repository interface {
	// Find returns the version of a chart that is meant by an exact version, a
	// range, or "" and "*" for the latest stable one.
	Find(ctx context.Context, name, version string) (Entry, error)
	// Download returns the archive.
	Download(ctx context.Context, entry Entry) ([]byte, error)
	// Close ends connections and removes what was downloaded.
	Close()
}

// timed bounds how long each call to a repository may take.
type timed struct {
	Repository

	timeout time.Duration
}

// WithTimeout returns a repository each of whose calls may take that long.
func WithTimeout(r Repository, timeout time.Duration) Repository {
	return &timed{Repository: r, timeout: timeout}
}

// Find is that of Repository.
func (t *timed) Find(ctx context.Context, name, version string) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.Repository.Find(ctx, name, version)
}

// Download is that of Repository.
func (t *timed) Download(ctx context.Context, entry Entry) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.Repository.Download(ctx, entry)
}

// Request says which chart is wanted, and how.
type Request struct {
	// Chart is the name of a chart in a repository, or the path of one in an
	// artifact.
	Chart string
	// Version is an exact version or a range; it counts in repositories only.
	Version string
	// Metadata is added to the version.
	Metadata string
	// ValuesFiles, merged in their order, replace the chart's own values. With
	// IgnoreMissing, those that do not exist are left out.
	ValuesFiles   []string
	IgnoreMissing bool
	// Stored is what there is from an earlier time, or nil.
	Stored *Stored
	// Found, if not nil, is told the name and version of a chart that is about
	// to be fetched or packaged.
	Found func(name, version string) error
}

// Stored describes the chart of an earlier time.
type Stored struct {
	Name, Version, Origin string
	// ValuesFiles are those that were merged, if that is known.
	ValuesFiles []string
	// Changed: it may have been made from another request than this one.
	Changed bool
}

// Result is a chart.
type Result struct {
	Name, Version string
	// Archive is the chart as a .tgz, and nil if the stored one is right.
	Archive []byte
	// Origin is the digest that the repository gives for the chart, if any.
	Origin string
	// Mismatch: the archive is not the one that the index of the repository
	// gives the digest of. Helm and Flux do not look, and there are indexes
	// that were not written again after a chart was.
	Mismatch bool
	// Packaged: the archive was made here and not only fetched.
	Packaged bool
	// ValuesFiles are those that were merged.
	ValuesFiles []string
	// Dependencies is how many charts were added.
	Dependencies int
}

// Summary says what was done, as Flux does.
func (r *Result) Summary() string {
	action := "pulled"
	if r.Packaged {
		action = "packaged"
	}
	text := fmt.Sprintf("%s '%s' chart with version '%s'", action, r.Name, r.Version)
	if len(r.ValuesFiles) > 0 {
		text += fmt.Sprintf(" and merged values files %v", r.ValuesFiles)
	}
	return text
}

// Merges are the files that have to be merged: the chart's own values alone
// need no work.
func (r *Request) Merges() []string {
	if len(r.ValuesFiles) == 1 && path.Clean(r.ValuesFiles[0]) == valuesFile {
		return nil
	}
	return r.ValuesFiles
}

// reusable reports whether the stored chart is the wanted one. A version stands
// for its content, unless the repository says that the content is another one.
func (r *Request) reusable(want *Result) bool {
	s := r.Stored
	if s == nil || s.Name != want.Name || s.Version != want.Version {
		return false
	}
	known := want.Origin != "" && s.Origin != ""
	switch {
	case known && want.Origin != s.Origin:
		return false
	case !s.Changed:
		return true
	default:
		return known && !want.Packaged
	}
}

// reuse makes the stored chart the result.
func (r *Request) reuse(result *Result) *Result {
	result.ValuesFiles = r.Merges()
	if r.Stored.ValuesFiles != nil {
		result.ValuesFiles = r.Stored.ValuesFiles
	}
	return result
}

// found tells who waits for it that there is something to do.
func (r *Request) found(want *Result) error {
	if r.Found == nil {
		return nil
	}
	return r.Found(want.Name, want.Version)
}

// versioned adds metadata to a version. Without metadata it stays as it is.
func versioned(version, metadata string) (string, error) {
	if metadata == "" {
		return version, nil
	}
	parsed, err := semver.NewVersion(version)
	if err != nil {
		return "", failf(MetadataPatch, "the version '%s' of the chart is no semantic version", shorten(version))
	}
	with, err := parsed.SetMetadata(metadata)
	if err != nil {
		return "", failf(MetadataPatch, "'%s' cannot be added to the version '%s': %v", metadata, version, err)
	}
	return with.String(), nil
}

// FileName is what the archive of a chart is stored as.
func (r *Result) FileName() string {
	return fmt.Sprintf("%s-%s.tgz", path.Base(r.Name), strings.ReplaceAll(r.Version, "/", "-"))
}

// shorten keeps texts of others from filling an error.
func shorten(s string) string {
	const limit = 120
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}
