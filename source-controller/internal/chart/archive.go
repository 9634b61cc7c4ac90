// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"
)

// Names of files in a chart.
const (
	chartFile        = "Chart.yaml"
	requirementsFile = "requirements.yaml"
	valuesFile       = "values.yaml"
	chartsDir        = "charts/"
)

const (
	// maxFiles is how many files a chart may have, its sub-charts among them.
	maxFiles = 50_000
	// maxDepth is how deep archives may be inside of archives.
	maxDepth = 10
)

// drive finds names that mean another disk on Windows.
var drive = regexp.MustCompile(`^[a-zA-Z]:`)

// files are those of a chart by their path in it.
type files map[string][]byte

// budget is what may still be read of a chart and of all that is inside of it.
type budget struct {
	limits       Limits
	bytes, count int64
}

func (l Limits) budget() *budget { return &budget{limits: l, bytes: l.unpacked(), count: maxFiles} }

// take accounts for one file and says why it is too much, if so.
func (b *budget) take(name string, size int64) error {
	b.bytes -= size
	b.count--
	switch {
	case size > b.limits.File:
		return fmt.Errorf("the file '%s' has more than %d bytes, the limit of --helm-chart-file-max-size", shorten(name), b.limits.File)
	case b.bytes < 0:
		return fmt.Errorf("the files of the chart have more than %d bytes, which is ten times the limit of --helm-chart-max-size", b.limits.unpacked())
	case b.count < 0:
		return fmt.Errorf("the chart has more than %d files", maxFiles)
	}
	return nil
}

// describing reports whether a file says what a chart is.
func describing(name string) bool { return name == chartFile || name == requirementsFile }

func everything(string) bool { return true }

// unpack reads the archive of a chart to its end and returns the files to keep.
// Archives of sub-charts stay archives, but count as what is in them.
func (b *budget) unpack(archive []byte, keep func(name string) bool, depth int) (files, error) {
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, errors.New("it is not compressed by gzip")
	}
	// Headers are not files, and may be any number of bytes for each of them.
	in := tar.NewReader(io.LimitReader(zip, 2*b.limits.unpacked()+1<<20))
	out, count := files{}, 0
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("the archive is corrupt or cut off")
		}
		if header.Typeflag != tar.TypeReg {
			continue // A link has nothing to point to here, and directories are implied.
		}
		name, err := inside(header.Name)
		if err != nil {
			return nil, err
		}
		count++
		content, err := b.readFile(in, name, header.Size)
		if err == nil {
			err = b.inspectNested(name, content, depth)
		}
		if err != nil {
			return nil, err
		}
		if keep(name) {
			out[name] = content
		}
	}
	if count == 0 {
		return nil, errors.New("there are no files in it")
	}
	return out, nil
}

// inspectNested reads an archive inside of a chart, if it is one that Helm
// would unpack, to know what it comes to.
func (b *budget) inspectNested(name string, content []byte, depth int) error {
	file, found := strings.CutPrefix(name, chartsDir)
	if !found || strings.Contains(file, "/") || path.Ext(file) != ".tgz" || strings.HasPrefix(file, "_") || strings.HasPrefix(file, ".") {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("the archives of its sub-charts are more than %d deep", maxDepth)
	}
	if _, err := b.unpack(content, describing, depth+1); err != nil {
		return fmt.Errorf("its sub-chart '%s': %w", shorten(file), err)
	}
	return nil
}

// readFile reads one file that is announced with a size.
func (b *budget) readFile(in io.Reader, name string, size int64) ([]byte, error) {
	if err := b.take(name, size); err != nil {
		return nil, err
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(in, content); err != nil {
		return nil, errors.New("the archive is corrupt or cut off")
	}
	return bytes.TrimPrefix(content, []byte("\ufeff")), nil
}

// inside returns the path in a chart of the name of an entry, whose first
// element is that of the chart.
func inside(name string) (string, error) {
	slashed := strings.ReplaceAll(name, `\`, "/")
	first, rest, found := strings.Cut(slashed, "/")
	if first == chartFile && !found {
		return "", errors.New("the file Chart.yaml is not in a directory of its own")
	}
	clean := path.Clean(rest)
	if rest == "" || clean == "." || path.IsAbs(rest) || clean == ".." || strings.HasPrefix(clean, "../") || drive.MatchString(clean) {
		return "", fmt.Errorf("the entry '%s' leads out of the chart", shorten(name))
	}
	return clean, nil
}

// pack returns the archive of a chart of a name. The same files make the same
// bytes.
func pack(name string, content files) ([]byte, error) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(content)), func(n string) bool { return n == chartFile })
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, file := range append([]string{chartFile}, names...) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name + "/" + file, Mode: 0o644, Size: int64(len(content[file]))}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", shorten(file), err)
		}
		if _, err := archive.Write(content[file]); err != nil {
			return nil, fmt.Errorf("pack %s: %w", shorten(file), err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return out.Bytes(), nil
}

// metadata reads what a chart says of itself.
func (f files) metadata() (*chart.Metadata, error) {
	content, found := f[chartFile]
	if !found {
		return nil, errors.New("there is no Chart.yaml in it")
	}
	m := &chart.Metadata{}
	if err := yaml.Unmarshal(content, m); err != nil {
		return nil, fmt.Errorf("cannot load 'Chart.yaml': %w", err)
	}
	if m.APIVersion == "" {
		m.APIVersion = chart.APIVersionV1
	}
	if content, found := f[requirementsFile]; found {
		if err := yaml.Unmarshal(content, m); err != nil {
			return nil, fmt.Errorf("cannot load 'requirements.yaml': %w", err)
		}
	}
	for _, dependency := range m.Dependencies {
		if dependency == nil {
			return nil, errors.New("an entry of its dependencies is empty")
		}
	}
	return m, m.Validate()
}

// requirements are the charts that a chart needs: those of its lock if there is
// one.
func (f files) requirements(m *chart.Metadata) ([]*chart.Dependency, error) {
	lock := &chart.Lock{}
	for _, name := range []string{"Chart.lock", "requirements.lock"} {
		content, found := f[name]
		if !found {
			continue
		}
		if err := yaml.Unmarshal(content, lock); err != nil {
			return nil, fmt.Errorf("cannot load '%s': %w", name, err)
		}
		return slices.DeleteFunc(lock.Dependencies, func(d *chart.Dependency) bool { return d == nil }), nil
	}
	return m.Dependencies, nil
}

// setVersion changes the version in Chart.yaml, and nothing else that it says.
func (f files) setVersion(version string) error {
	fields := map[string]any{}
	if err := yaml.Unmarshal(f[chartFile], &fields); err != nil {
		return fmt.Errorf("cannot load 'Chart.yaml': %w", err)
	}
	if fields["version"] == version {
		return nil
	}
	fields["version"] = version
	content, err := yaml.Marshal(fields)
	f[chartFile] = content
	return err
}

// loads reports why Helm cannot load a chart, if so.
func (f files) loads() error {
	buffered := make([]*loader.BufferedFile, 0, len(f))
	for _, name := range slices.Sorted(maps.Keys(f)) {
		buffered = append(buffered, &loader.BufferedFile{Name: name, Data: f[name]})
	}
	_, err := loader.LoadFiles(buffered)
	return err
}
