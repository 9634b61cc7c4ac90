// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

const ignoreFile = ".helmignore"

// rules say which files of a directory are no part of the chart, as Helm reads
// a .helmignore.
type rules []rule

type rule struct {
	pattern string
	// not: everything is left out that the pattern does not match.
	not bool
	// dir: the pattern is about directories.
	dir bool
	// whole: the pattern is matched with the path and not with the last name.
	whole bool
}

// parseRules reads a .helmignore, which may be nil.
func parseRules(content []byte) (rules, error) {
	out := rules{{pattern: "templates/.?*", whole: true}}
	for line := range strings.SplitSeq(string(bytes.TrimPrefix(content, []byte("\ufeff"))), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r := rule{pattern: line}
		if _, err := path.Match(line, "abc"); err != nil || strings.Contains(line, "**") {
			return nil, fmt.Errorf("%s: the pattern '%s' is not one that Helm knows", ignoreFile, shorten(line))
		}
		r.pattern, r.not = strings.CutPrefix(r.pattern, "!")
		r.pattern, r.dir = strings.CutSuffix(r.pattern, "/")
		r.whole = strings.Contains(r.pattern, "/")
		r.pattern = strings.TrimPrefix(r.pattern, "/")
		out = append(out, r)
	}
	return out, nil
}

// ignored reports whether a file, or a directory that it is in, is left out.
func (r rules) ignored(file string) bool {
	for i, c := range file {
		if c == '/' && r.match(file[:i], true) {
			return true
		}
	}
	return r.match(file, false)
}

func (r rules) match(name string, isDir bool) bool {
	for _, rule := range r {
		text := name
		if !rule.whole {
			text = path.Base(name)
		}
		matched, err := path.Match(rule.pattern, text)
		matched = matched && err == nil && (isDir || !rule.dir)
		if matched != rule.not {
			return true
		}
	}
	return false
}
