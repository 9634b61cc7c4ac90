// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// step is one step of a path: into a mapping by key, or into a list by index.
type step struct {
	key     string
	index   int
	isIndex bool
}

// bare tells whether a key can stand in a path without quotes.
func bare(key string) bool {
	return key != "" && strings.IndexFunc(key, notBare) < 0
}

func notBare(r rune) bool {
	return strings.ContainsRune(`.[]"'`, r) || r == unicode.ReplacementChar || r == ' ' || !unicode.IsPrint(r)
}

// formatPath writes a path so that parsePath reads the same.
func formatPath(path []step) string {
	var b strings.Builder
	for _, s := range path {
		switch {
		case s.isIndex:
			fmt.Fprintf(&b, "[%d]", s.index)
		case !bare(s.key):
			b.WriteString("[" + strconv.Quote(s.key) + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.key)
		}
	}
	return b.String()
}

// maxIndex bounds the index of a list.
const maxIndex = 1 << 20

// parsePath reads a path: names with dots between them, indexes and quoted names in brackets.
func parsePath(path string) ([]step, error) {
	if path == "" {
		return nil, errors.New("is empty")
	}
	var steps []step
	for rest := path; rest != ""; {
		if rest[0] == '[' {
			s, after, err := bracket(rest)
			if err != nil {
				return nil, fmt.Errorf("at character %d: %w", len(path)-len(rest)+1, err)
			}
			steps, rest = append(steps, s), after
			continue
		}
		if len(steps) > 0 {
			if rest[0] != '.' {
				return nil, fmt.Errorf("at character %d: after a bracket comes a dot, another bracket or the end", len(path)-len(rest)+1)
			}
			rest = rest[1:]
		}
		end := strings.IndexFunc(rest, notBare)
		if end < 0 {
			end = len(rest)
		}
		if end == 0 || (end < len(rest) && rest[end] != '.' && rest[end] != '[') {
			return nil, fmt.Errorf("at character %d: a name is missing, or has to stand in quotes and brackets", len(path)-len(rest)+end+1)
		}
		steps, rest = append(steps, step{key: rest[:end]}), rest[end:]
	}
	return steps, nil
}

// bracket reads [index], ["name"] or ['name'] and returns what is behind it. In double quotes \" and the other escapes of
// Go and JSON stand for characters; single quotes have none.
func bracket(text string) (step, string, error) {
	inside := text[1:]
	if inside == "" {
		return step{}, "", errors.New("the bracket is not closed")
	}
	switch inside[0] {
	case '"':
		quoted, err := strconv.QuotedPrefix(inside)
		if err != nil {
			return step{}, "", errors.New("the quotes are not closed, or hold an unknown escape")
		}
		key, err := strconv.Unquote(quoted)
		if err != nil {
			return step{}, "", errors.New("the quotes hold an unknown escape")
		}
		return closed(step{key: key}, inside[len(quoted):])
	case '\'':
		key, after, found := strings.Cut(inside[1:], "'")
		if !found {
			return step{}, "", errors.New("the quotes are not closed")
		}
		return closed(step{key: key}, after)
	}
	end := strings.IndexFunc(inside, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return step{}, "", errors.New("the bracket is not closed")
	}
	index, err := strconv.Atoi(inside[:end])
	if err != nil || index > maxIndex {
		return step{}, "", fmt.Errorf("in brackets stands an index from 0 to %d or a name in quotes", maxIndex)
	}
	return closed(step{index: index, isIndex: true}, inside[end:])
}

func closed(s step, rest string) (step, string, error) {
	after, found := strings.CutPrefix(rest, "]")
	if !found {
		return step{}, "", errors.New("the bracket is not closed")
	}
	return s, after, nil
}
