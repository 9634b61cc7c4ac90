// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
)

// Pull returns a chart from a repository: as it is, or with other values and
// metadata. Errors are of type *Error.
func (c *Charts) Pull(ctx context.Context, repository Repository, request Request) (*Result, error) {
	if err := validName(request.Chart); err != nil {
		return nil, err
	}
	entry, err := repository.Find(ctx, request.Chart, request.Version)
	if err != nil {
		return nil, err
	}
	version, err := versioned(entry.Version, request.Metadata)
	if err != nil {
		return nil, err
	}
	result := &Result{
		Name: entry.Name, Version: version, Origin: entry.Digest,
		Packaged: len(request.Merges()) > 0 || request.Metadata != "",
	}
	if request.reusable(result) {
		return request.reuse(result), nil
	}
	if err := request.found(result); err != nil {
		return nil, err
	}
	archive, err := repository.Download(ctx, entry)
	if err != nil {
		return nil, err
	}
	keep := describing
	if result.Packaged {
		keep = everything
	}
	content, err := c.options.Limits.budget().unpack(archive, keep, 0)
	if err != nil {
		return nil, failf(Pull, "the archive of version '%s' is no chart: %w", shorten(entry.Version), err)
	}
	metadata, err := content.metadata()
	if err != nil {
		return nil, failf(Pull, "the archive of version '%s' is no valid chart: %w", shorten(entry.Version), err)
	}
	result.Mismatch = differs(entry.Digest, archive)
	if !result.Packaged {
		result.Archive = archive
		return result, nil
	}
	if err := request.values(result, content, content.read); err != nil {
		return nil, err
	}
	return result, result.pack(metadata.Name, content)
}

// differs reports whether the index gives a digest for an archive that is not
// its own. That of a registry is of something else, and checked there.
func differs(digest string, archive []byte) bool {
	want, err := hex.DecodeString(digest)
	sum := sha256.Sum256(archive)
	return err == nil && len(want) == len(sum) && !bytes.Equal(want, sum[:])
}

// validName refuses what cannot be the name of a chart in a repository.
func validName(name string) error {
	if name == "" {
		return failf(Reference, "no name set for remote chart reference")
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-/.", c) {
			return failf(Reference, "invalid chart name '%s': a name has only lower case letters, numbers, dashes, slashes and periods", shorten(name))
		}
	}
	return nil
}

// read returns a file of the chart.
func (f files) read(name string) ([]byte, bool) {
	content, found := f[path.Clean(name)]
	return content, found
}

// values replaces the values of a chart by the merged ones, if there are any.
func (r *Request) values(result *Result, content files, read func(string) ([]byte, bool)) error {
	paths := r.Merges()
	if len(paths) == 0 {
		return nil
	}
	merged, used, err := mergeValues(paths, read, r.IgnoreMissing)
	if err != nil {
		return err
	}
	content[valuesFile] = merged
	result.ValuesFiles = used
	return nil
}

// pack makes the archive of a result, of a chart that Helm can load.
func (r *Result) pack(name string, content files) error {
	if err := content.setVersion(r.Version); err != nil {
		return &Error{Reason: Package, Err: err}
	}
	if err := content.loads(); err != nil {
		return failf(Package, "Helm cannot load the chart: %w", err)
	}
	archive, err := pack(name, content)
	if err != nil {
		return &Error{Reason: Package, Err: err}
	}
	r.Archive = archive
	return nil
}
