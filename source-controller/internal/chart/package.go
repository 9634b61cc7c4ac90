// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"path"

	"helm.sh/helm/v3/pkg/chart"
)

// Repositories returns the repository of a URL for dependencies. Its caller
// closes what it got.
type Repositories func(ctx context.Context, url string) (Repository, error)

// Package returns a chart that is a directory or an archive in a tree, with the
// charts that it needs and does not have. The paths of values files are those of
// the tree. Errors are of type *Error.
func (c *Charts) Package(ctx context.Context, tree Tree, repositories Repositories, request Request) (*Result, error) {
	if path.IsAbs(request.Chart) || request.Chart == "" {
		return nil, failf(Reference, "the path '%s' of the chart is not relative to the root of the source", shorten(request.Chart))
	}
	p := &packager{charts: c, tree: tree, repositories: repositories, request: &request, at: treePath(request.Chart)}
	var err error
	if p.outline, err = tree.outline(ctx, p.at, c.options.Limits); err != nil {
		return nil, treeFailed(Reference, err, request.Chart)
	}
	if p.outline.archive != nil {
		return p.fromArchive(ctx)
	}
	if _, found := p.outline.chart[chartFile]; !found {
		return nil, failf(Reference, "no chart found at path '%s': there is no Chart.yaml", shorten(request.Chart))
	}
	return p.fromDirectory(ctx)
}

// packager packages one chart.
type packager struct {
	charts       *Charts
	tree         Tree
	repositories Repositories
	request      *Request
	// at is the path of the chart in the tree.
	at      string
	outline *outline
}

// begin reads what a chart says of itself and returns what it will be.
func (p *packager) begin(content files, packaged bool) (*chart.Metadata, *Result, error) {
	metadata, err := content.metadata()
	if err != nil {
		return nil, nil, failf(Reference, "the chart at '%s' is not valid: %w", shorten(p.request.Chart), err)
	}
	version, err := versioned(metadata.Version, p.request.Metadata)
	if err != nil {
		return nil, nil, err
	}
	return metadata, &Result{Name: metadata.Name, Version: version, Packaged: packaged}, nil
}

// fromArchive takes a chart that is packaged already.
func (p *packager) fromArchive(ctx context.Context) (*Result, error) {
	content, err := p.charts.options.Limits.budget().unpack(p.outline.archive, everything, 0)
	if err != nil {
		return nil, failf(Reference, "the file '%s' is no chart: %w", shorten(p.request.Chart), err)
	}
	metadata, result, err := p.begin(content, p.request.Metadata != "" || len(p.request.Merges()) > 0)
	switch {
	case err != nil:
		return nil, err
	case p.request.reusable(result):
		return p.request.reuse(result), nil
	}
	if err := p.request.found(result); err != nil {
		return nil, err
	}
	if !result.Packaged {
		result.Archive = p.outline.archive
		return result, nil
	}
	others := p.valuesFiles()
	if err := p.tree.read(ctx, p.outline, nil, others, p.charts.options.Limits); err != nil {
		return nil, treeFailed(Package, err, p.request.Chart)
	}
	return p.finish(metadata, result, content, others)
}

// fromDirectory takes a chart that is a directory.
func (p *packager) fromDirectory(ctx context.Context) (*Result, error) {
	metadata, result, err := p.begin(p.outline.chart, true)
	switch {
	case err != nil:
		return nil, err
	case p.request.reusable(result):
		return p.request.reuse(result), nil
	}
	if err := p.request.found(result); err != nil {
		return nil, err
	}
	needed, err := p.outline.chart.requirements(metadata)
	if err != nil {
		return nil, failf(DependencyBuild, "%w", err)
	}
	content, others := files{}, p.valuesFiles()
	dirs := map[string]files{p.at: content}
	for _, dependency := range needed {
		if dir, local := p.localPath(dependency); local && dir != p.at {
			dirs[dir] = files{}
		}
	}
	if err := p.tree.read(ctx, p.outline, dirs, others, p.charts.options.Limits); err != nil {
		return nil, treeFailed(Package, err, p.request.Chart)
	}
	if result.Dependencies, err = p.addMissing(ctx, content, needed, dirs); err != nil {
		return nil, err
	}
	return p.finish(metadata, result, content, others)
}

// valuesFiles are the files of values, to be read.
func (p *packager) valuesFiles() files {
	wanted := files{}
	for _, name := range p.request.Merges() {
		wanted[treePath(name)] = nil
	}
	return wanted
}

func (p *packager) finish(metadata *chart.Metadata, result *Result, content, others files) (*Result, error) {
	err := p.request.values(result, content, func(name string) ([]byte, bool) {
		text := others[treePath(name)]
		return text, text != nil
	})
	if err != nil {
		return nil, err
	}
	return result, result.pack(metadata.Name, content)
}
