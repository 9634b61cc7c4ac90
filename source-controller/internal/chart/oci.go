// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/weir-gitops/weir/pkg/oci"
)

// ociScheme begins the URLs of registries.
const ociScheme = "oci://"

// contentTypes are the media types of the archive in a registry; the second is
// what early versions of Helm wrote.
func contentTypes() []string {
	return []string{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"}
}

// IsOCI reports whether a URL is one of a registry.
func IsOCI(url string) bool { return strings.HasPrefix(url, ociScheme) }

// OCIRepository is a part of a registry: the charts below one path of it.
type OCIRepository struct {
	charts *Charts
	parent string
	access func(context.Context, oci.Repository) (oci.Access, error)
}

// OCI returns the charts below a URL of the form oci://host/path. Access says
// with what a repository is read, each time.
func (c *Charts) OCI(url string, access func(context.Context, oci.Repository) (oci.Access, error)) (*OCIRepository, error) {
	parent := strings.TrimRight(strings.TrimPrefix(url, ociScheme), "/")
	if !IsOCI(url) || parent == "" || strings.ContainsAny(parent, "?#@") {
		return nil, fmt.Errorf("%w: it is not of the form oci://host/path", ErrURL)
	}
	return &OCIRepository{charts: c, parent: parent, access: access}, nil
}

// Close does nothing: connections are shared.
func (r *OCIRepository) Close() {}

// Find looks up which tag is meant, and what it stands for. An exact version
// needs no list of tags.
func (r *OCIRepository) Find(ctx context.Context, name, version string) (Entry, error) {
	repo, access, err := r.open(ctx, name)
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Name: name, Version: version}
	if _, err := parseVersion(version); err != nil {
		tags, _, _, err := r.charts.options.Registry.Tags(ctx, repo, access, nil)
		if err != nil {
			return Entry{}, registryError(err)
		}
		entries := make([]Entry, 0, len(tags))
		for _, tag := range tags {
			entries = append(entries, Entry{Name: name, Version: strings.ReplaceAll(tag, "_", "+")})
		}
		if entry, err = pick(entries, name, version); err != nil {
			return Entry{}, &Error{Reason: Pull, Err: err}
		}
	}
	entry.Digest, err = r.charts.options.Registry.Digest(ctx, repo, access, strings.ReplaceAll(entry.Version, "+", "_"))
	if err != nil {
		return Entry{}, registryError(err)
	}
	return entry, nil
}

// Download fetches the layer that holds the chart.
func (r *OCIRepository) Download(ctx context.Context, entry Entry) ([]byte, error) {
	repo, access, err := r.open(ctx, entry.Name)
	if err != nil {
		return nil, err
	}
	content, err := r.charts.options.Registry.Read(ctx, repo, access, entry.Digest)
	if err != nil {
		return nil, registryError(err)
	}
	for _, mediaType := range contentTypes() {
		for _, layer := range content.Layers {
			if layer.MediaType == mediaType {
				return r.layer(ctx, repo, access, layer)
			}
		}
	}
	return nil, failf(Pull, "%s@%s is no Helm chart: it has no layer of the type %s", repo, entry.Digest, contentTypes()[0])
}

func (r *OCIRepository) layer(ctx context.Context, repo oci.Repository, access oci.Access, layer oci.Descriptor) ([]byte, error) {
	limit := r.charts.options.Limits.Chart
	blob, err := r.charts.options.Registry.Open(ctx, repo, access, layer.Digest, limit)
	if errors.Is(err, oci.ErrTooLarge) {
		return nil, failf(Pull, "%s: the chart has more than %d bytes, the limit of --helm-chart-max-size", repo, limit)
	}
	if err != nil {
		return nil, registryError(err)
	}
	archive, err := io.ReadAll(blob)
	if err = errors.Join(err, blob.Close()); err != nil {
		return nil, registryError(err)
	}
	return archive, nil
}

// open names the repository of a chart and reads what it is accessed with.
func (r *OCIRepository) open(ctx context.Context, name string) (oci.Repository, oci.Access, error) {
	repo, err := oci.ParseRepository(r.parent + "/" + strings.Trim(name, "/"))
	if err != nil {
		return oci.Repository{}, oci.Access{}, failf(Reference, "'%s/%s' is not the name of a repository", r.parent, shorten(name))
	}
	access, err := r.access(ctx, repo)
	if err != nil {
		return oci.Repository{}, oci.Access{}, registryError(err)
	}
	return repo, access, nil
}

// registryError gives an error of a registry its reason.
func registryError(err error) error {
	if errors.Is(err, oci.ErrAuthentication) {
		err = Denied(err)
	}
	return &Error{Reason: Pull, Err: err}
}
