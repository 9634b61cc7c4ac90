// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"fmt"
	"io/fs"

	"helm.sh/helm/v3/pkg/ignore"
)

const ignoreFile = ignore.HelmIgnore

// rules say which files of a directory are no part of the chart. They are used
// by one goroutine.
type rules struct{ *ignore.Rules }

// parseRules reads a .helmignore, which may be nil.
func parseRules(content []byte) (rules, error) {
	parsed, err := ignore.Parse(bytes.NewReader(content))
	if err != nil {
		return rules{}, fmt.Errorf("%s: %w", ignoreFile, err)
	}
	parsed.AddDefaults()
	return rules{parsed}, nil
}

// ignored reports whether a file, or a directory that it is in, is left out.
func (r rules) ignored(file string) bool {
	for i, c := range file {
		if c == '/' && r.Ignore(file[:i], info{dir: true}) {
			return true
		}
	}
	return r.Ignore(file, info{})
}

// info is what the rules ask of a file: only whether it is a directory.
type info struct {
	fs.FileInfo

	dir bool
}

// IsDir implements fs.FileInfo.
func (i info) IsDir() bool { return i.dir }
