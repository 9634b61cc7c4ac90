// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package ignore decides which files of a repository go into its artifact.
package ignore

import (
	"io"
	"path"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

// File is the name of the files that hold patterns, in any directory.
const File = sourceignore.IgnoreFile

// Patterns collects what is to be left out. Patterns of a deeper directory win
// over those of one above, and those of Spec over all.
type Patterns struct {
	files []patternFile
	spec  []gitignore.Pattern
}

type patternFile struct {
	dir      []string
	patterns []gitignore.Pattern
}

// AddFile reads an ignore file; its patterns count below its directory. name
// is the path of the file in the repository.
func (p *Patterns) AddFile(name string, content io.Reader) {
	dir := split(path.Dir(name))
	p.files = append(p.files, patternFile{dir: dir, patterns: sourceignore.ReadPatterns(content, dir)})
}

// Spec reads the patterns of an object's spec.
func (p *Patterns) Spec(text string) {
	p.spec = sourceignore.ReadPatterns(strings.NewReader(text), nil)
}

// Matcher returns what tells whether a path is left out. Files of version
// control always are. Where there is not one pattern, media, archives and
// files of CI systems are left out too.
func (p *Patterns) Matcher() func(name string, isDir bool) bool {
	slices.SortStableFunc(p.files, func(a, b patternFile) int { return slices.Compare(a.dir, b.dir) })
	var patterns []gitignore.Pattern
	for _, file := range p.files {
		patterns = append(patterns, file.patterns...)
	}
	patterns = append(patterns, p.spec...)

	matcher := sourceignore.NewDefaultMatcher(nil, nil)
	if len(patterns) > 0 {
		matcher = sourceignore.NewMatcher(append(sourceignore.VCSPatterns(nil), patterns...))
	}
	return func(name string, isDir bool) bool { return matcher.Match(split(name), isDir) }
}

func split(name string) []string {
	if name == "." {
		return nil
	}
	return strings.Split(name, "/")
}
