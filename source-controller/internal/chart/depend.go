// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v3/pkg/chart"
)

// NormalizeURL gives the URLs of repositories that mean the same one the same
// text: those of registries end without a slash, and others with one.
func NormalizeURL(repository string) (string, error) {
	u, err := url.Parse(repository)
	if err != nil {
		return "", errors.New("the URL of the repository is not valid")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	if !IsOCI(repository) {
		u.Path += "/"
		if u.RawPath != "" {
			u.RawPath += "/"
		}
	}
	return u.String(), nil
}

// localPath returns the directory in the tree that a dependency names, if it is
// one there.
func (p *packager) localPath(d *chart.Dependency) (dir string, local bool) {
	if d.Repository == "" {
		return treePath(p.at, "charts", d.Name), true
	}
	if !strings.HasPrefix(d.Repository, "file://") {
		return "", false
	}
	relative := strings.TrimPrefix(d.Repository, "file://")
	return treePath(p.at, relative), true
}

// addMissing adds the charts that are needed and not there, and returns how
// many those were. Each keeps its own name; Helm gives out aliases itself.
func (p *packager) addMissing(ctx context.Context, content files, needed []*chart.Dependency, dirs map[string]files) (int, error) {
	present, err := content.subcharts(p.charts.options.Limits)
	if err != nil {
		return 0, &Error{Reason: DependencyBuild, Err: err}
	}
	open := map[string]Repository{}
	defer func() {
		for _, repository := range open {
			repository.Close()
		}
	}()
	b := p.charts.options.Limits.budget()
	count := 0
	for _, d := range needed {
		if present[d.Name] || d.Alias != "" && present[d.Alias] {
			continue
		}
		if dir, local := p.localPath(d); local {
			err = p.addLocal(content, d, dirs[dir])
		} else {
			err = p.addRemote(ctx, content, d, open, b)
		}
		if err != nil {
			kind := "remote"
			if _, local := p.localPath(d); local {
				kind = "local"
			}
			return 0, within(DependencyBuild, err, "failed to add %s dependency '%s'", kind, shorten(d.Name))
		}
		count++
	}
	return count, nil
}

// subcharts returns the names of the charts inside of a chart.
func (f files) subcharts(limits Limits) (map[string]bool, error) {
	names := map[string]bool{}
	for name, content := range f {
		inner, found := strings.CutPrefix(name, chartsDir)
		if !found || strings.HasPrefix(inner, "_") || strings.HasPrefix(inner, ".") {
			continue
		}
		sub := files{}
		switch dir, file, nested := strings.Cut(inner, "/"); {
		case nested && file == chartFile:
			sub[chartFile] = content
		case !nested && path.Ext(dir) == ".tgz":
			var err error
			if sub, err = limits.budget().unpack(content, describing, 0); err != nil {
				return nil, fmt.Errorf("the sub-chart '%s': %w", shorten(dir), err)
			}
		default:
			continue
		}
		metadata, err := sub.metadata()
		if err != nil {
			return nil, fmt.Errorf("the sub-chart '%s': %w", shorten(inner), err)
		}
		names[metadata.Name] = true
	}
	return names, nil
}

// addLocal adds a chart of the same tree.
func (p *packager) addLocal(content files, d *chart.Dependency, local files) error {
	dir, _ := p.localPath(d)
	if len(local) == 0 {
		return fmt.Errorf("no chart found at '/%s' (reference '%s')", shorten(dir), shorten(d.Repository))
	}
	metadata, err := local.metadata()
	if err != nil {
		return fmt.Errorf("the chart at '/%s' is not valid: %w", shorten(dir), err)
	}
	constraint, err := semver.NewConstraint(d.Version)
	if err != nil {
		return fmt.Errorf("'%s' is not a range of versions: %w", shorten(d.Version), err)
	}
	version, err := semver.NewVersion(metadata.Version)
	if err != nil {
		return fmt.Errorf("the version '%s' of the chart at '/%s' is no semantic version", shorten(metadata.Version), shorten(dir))
	}
	if !constraint.Check(version) {
		return fmt.Errorf("the chart at '/%s' has the version '%s', which is not in '%s'", shorten(dir), metadata.Version, shorten(d.Version))
	}
	for name, text := range local {
		content[chartsDir+metadata.Name+"/"+name] = text
	}
	return nil
}

// addRemote adds a chart of a repository.
func (p *packager) addRemote(ctx context.Context, content files, d *chart.Dependency, open map[string]Repository, b *budget) error {
	repository, err := p.repository(ctx, d.Repository, open)
	if err != nil {
		return err
	}
	entry, err := repository.Find(ctx, d.Name, d.Version)
	if err != nil {
		return err
	}
	archive, err := repository.Download(ctx, entry)
	if err != nil {
		return err
	}
	inner, err := b.unpack(archive, describing, 1)
	if err != nil {
		return fmt.Errorf("the archive of version '%s' is no chart: %w", shorten(entry.Version), err)
	}
	metadata, err := inner.metadata()
	if err != nil {
		return fmt.Errorf("the archive of version '%s' is no valid chart: %w", shorten(entry.Version), err)
	}
	content[chartsDir+metadata.Name+"-"+metadata.Version+".tgz"] = archive
	return nil
}

// repository returns the repository of a URL, the same one for all
// dependencies.
func (p *packager) repository(ctx context.Context, address string, open map[string]Repository) (Repository, error) {
	normal, err := NormalizeURL(address)
	switch {
	case strings.HasPrefix(address, "@"), strings.HasPrefix(address, "alias:"):
		return nil, fmt.Errorf("the repository '%s' is the alias of one, which is known to the helm CLI of a user only: use its URL", shorten(address))
	case err != nil:
		return nil, err
	case !IsOCI(normal) && !strings.HasPrefix(normal, "https://") && !strings.HasPrefix(normal, "http://"):
		return nil, fmt.Errorf("the URL '%s' of the repository begins with none of https://, http:// and oci://", shorten(address))
	}
	if repository, found := open[normal]; found {
		return repository, nil
	}
	repository, err := p.repositories(ctx, normal)
	if err != nil {
		return nil, fmt.Errorf("failed to get chart repository for URL '%s': %w", shorten(normal), err)
	}
	open[normal] = repository
	return repository, nil
}
