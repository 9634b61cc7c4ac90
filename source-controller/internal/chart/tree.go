// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
)

// Tree opens the tar.gz of an artifact, each time from its start.
type Tree func() (io.ReadCloser, error)

// treeError says that a tree cannot be read, whatever is in it.
type treeError struct{ err error }

func (e *treeError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *treeError) Unwrap() error { return e.err }

// treeFailed gives an error of a Tree its reason: the given one if what is in
// the tree is at fault.
func treeFailed(reason Reason, err error, at string) error {
	if _, unreadable := errors.AsType[*treeError](err); unreadable {
		reason = Pull
	}
	return failf(reason, "the chart at '%s': %w", shorten(at), err)
}

// scan calls visit for the regular files of a tree that are wanted, with their
// paths in it. There is nothing else to charts: links are not followed, so none
// leads out.
func (t Tree) scan(ctx context.Context, wanted func(name string) bool, visit func(name string, size int64, content io.Reader) error) error {
	packed, err := t()
	if err != nil {
		return &treeError{fmt.Errorf("open the artifact of the source: %w", err)}
	}
	defer func() { _ = packed.Close() }()
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return &treeError{fmt.Errorf("read the artifact of the source: %w", err)}
	}
	archive := tar.NewReader(zip)
	for {
		if err := ctx.Err(); err != nil {
			return &treeError{err}
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &treeError{fmt.Errorf("read the artifact of the source: %w", err)}
		}
		name := path.Clean(header.Name)
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || !wanted(name) {
			continue
		}
		if err := visit(name, header.Size, archive); err != nil {
			return err
		}
	}
}

// outline is what has to be known of a tree before the files of a chart in it
// can be read.
type outline struct {
	// chart holds what describes the chart, or is empty.
	chart files
	// archive is the file at the path itself, if there is one.
	archive []byte
	// rules are those of the directories that have a .helmignore.
	rules map[string]rules
}

// outline reads what describes the chart at a path.
func (t Tree) outline(ctx context.Context, at string, limits Limits) (*outline, error) {
	o := &outline{chart: files{}, rules: map[string]rules{}}
	b := limits.budget()
	err := t.scan(ctx, func(name string) bool {
		inChart, found := below(at, name)
		return name == at || path.Base(name) == ignoreFile || found && (describing(inChart) || inChart == "Chart.lock" || inChart == "requirements.lock")
	}, func(name string, size int64, content io.Reader) error {
		if name == at {
			archive, err := readArchive(content, size, limits.Chart)
			o.archive = archive
			return err
		}
		text, err := b.readFile(content, name, size)
		if err != nil {
			return err
		}
		if path.Base(name) == ignoreFile {
			parsed, err := parseRules(text)
			if err == nil {
				o.rules[path.Dir(name)] = parsed
			} else if path.Dir(name) == dirOf(at) {
				return err
			}
			return nil
		}
		inChart, _ := below(at, name)
		o.chart[inChart] = text
		return nil
	})
	return o, err
}

// read returns the files of the directories that are charts, by directory, and
// those of the other paths. What a .helmignore leaves out is not read.
func (t Tree) read(ctx context.Context, o *outline, dirs map[string]files, others files, limits Limits) error {
	b := limits.budget()
	usual, err := parseRules(nil)
	if err != nil {
		return err
	}
	part := func(dir, name string) (string, bool) {
		inChart, found := below(dir, name)
		if !found {
			return "", false
		}
		own, known := o.rules[dirOf(dir)]
		if !known {
			own = usual
		}
		return inChart, !own.ignored(inChart)
	}
	return t.scan(ctx, func(name string) bool {
		_, wanted := others[name]
		for dir := range dirs {
			_, found := part(dir, name)
			wanted = wanted || found
		}
		return wanted
	}, func(name string, size int64, in io.Reader) error {
		content, err := b.readFile(in, name, size)
		if err != nil {
			return err
		}
		if _, wanted := others[name]; wanted {
			others[name] = content
		}
		for dir, chart := range dirs {
			inChart, found := part(dir, name)
			if !found {
				continue
			}
			chart[inChart] = content
			if err := b.inspectNested(inChart, content, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// below returns the path of a file in a directory, "" being the root.
func below(dir, name string) (string, bool) {
	if dir == "" {
		return name, true
	}
	return strings.CutPrefix(name, dir+"/")
}

// dirOf is how path.Dir calls a directory.
func dirOf(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

// within the tree: the path that elements lead to, which cannot lead out of its
// root. The root is "".
func treePath(elements ...string) string {
	return strings.TrimPrefix(path.Join(append([]string{"/"}, elements...)...), "/")
}
