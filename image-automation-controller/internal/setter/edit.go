// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// edit is one replacement of bytes.
type edit struct {
	start, end int
	text       string
}

// position is where a node begins, both from 1.
type position struct{ line, column int }

// Set returns the content with the values in changes, which is keyed by the index in fields. Fields are those that Find
// and Locate returned for this very content. A value is written in the quotes of the old one. One without quotes gets
// double quotes if it would otherwise not be read as that text: by YAML 1.2, or as 1.10, 007, yes and dates are by YAML
// 1.1. All other bytes stay. Set fails, and nothing is to be written, if the content is not the one that the fields were
// found in, or if reading the result again shows any difference but the wanted ones.
func Set(content []byte, changes map[int]string, fields []Field) ([]byte, error) {
	wanted, err := wishes(changes, fields)
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		return content, nil
	}
	result, err := rewrite(content, wanted)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", fields[0].File, err)
	}
	return result, nil
}

// wish is what is to become of a field.
type wish struct {
	field Field
	value string
}

// wishes returns what has to change, by position.
func wishes(changes map[int]string, fields []Field) (map[position]wish, error) {
	wanted := map[position]wish{}
	for i, value := range changes {
		if i < 0 || i >= len(fields) {
			return nil, fmt.Errorf("set field %d: there are %d fields", i, len(fields))
		}
		f := fields[i]
		if value = f.Written(value); value == f.Value {
			continue
		}
		if err := checkValue(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", f, err)
		}
		at := position{f.Line, f.Column}
		if other, twice := wanted[at]; twice && other.value != value {
			return nil, fmt.Errorf("set %s: two values are wanted for the same field: %q and %q", f, min(value, other.value), max(value, other.value))
		}
		wanted[at] = wish{f, value}
	}
	return wanted, nil
}

// rewrite returns the content with what is wanted, or an error if that would change anything else.
func rewrite(content []byte, wanted map[position]wish) ([]byte, error) {
	before, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("the file %w", err)
	}
	values := map[position]*yaml.Node{}
	for _, node := range before {
		scalars(node, values)
	}
	for at, w := range wanted {
		if n := values[at]; n == nil || n.Value != w.field.Value {
			return nil, fmt.Errorf("line %d: the file no longer holds %q there", at.line, w.field.Value)
		}
	}
	result, targets, err := replace(content, values, wanted)
	if err != nil {
		return nil, err
	}
	after, err := parse(result)
	if err != nil {
		return nil, fmt.Errorf("the result %w", err)
	}
	if err := compareAll(before, after, targets); err != nil {
		return nil, err
	}
	return result, nil
}

// checkValue refuses what could be more than the text of one field.
func checkValue(value string) error {
	if value == "" {
		return errors.New("the value is empty")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the value %q is not one line of printable ASCII", value)
	}
	return nil
}

// scalars collects the values of a tree by position. Keys are not values. Empty values have no text of their own, and may
// be where something else begins.
func scalars(n *yaml.Node, into map[position]*yaml.Node) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Value != "" || n.Style != 0 {
			into[position{n.Line, n.Column}] = n
		}
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			scalars(n.Content[i], into)
		}
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, child := range n.Content {
			scalars(child, into)
		}
	case yaml.AliasNode: // What it stands for is elsewhere.
	}
}

// replace puts the wanted values into the content, and returns them by node.
func replace(content []byte, values map[position]*yaml.Node, wanted map[position]wish) ([]byte, map[*yaml.Node]string, error) {
	lines := lineStarts(content)
	targets := map[*yaml.Node]string{}
	edits := make([]edit, 0, len(wanted))
	for at, w := range wanted {
		n := values[at]
		start, end, err := span(content, lines, n)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", at.line, err)
		}
		targets[n] = w.value
		edits = append(edits, edit{start, end, encode(w.value, n.Style)})
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	var result bytes.Buffer
	result.Grow(len(content) + 128*len(edits))
	last := 0
	for _, e := range edits {
		if e.start < last {
			return nil, nil, errors.New("two fields overlap")
		}
		result.Write(content[last:e.start])
		result.WriteString(e.text)
		last = e.end
	}
	result.Write(content[last:])
	return result.Bytes(), targets, nil
}

// lineStarts returns the offsets at which lines begin, as the parser counts them: it also ends a line at a lone CR, at
// NEL, LS and PS.
func lineStarts(content []byte) []int {
	starts := []int{len(content) - len(bytes.TrimPrefix(content, []byte("\ufeff")))}
	for i := 0; i < len(content); {
		width := lineBreak(content[i:])
		if width == 0 {
			i++
			continue
		}
		i += width
		starts = append(starts, i)
	}
	return starts
}

// lineBreak returns the length of the line break that text begins with, or 0.
func lineBreak(text []byte) int {
	switch text[0] {
	case '\n':
		return 1
	case '\r':
		if len(text) > 1 && text[1] == '\n' {
			return 2
		}
		return 1
	case 0xc2:
		if bytes.HasPrefix(text, []byte("\u0085")) {
			return 2
		}
	case 0xe2:
		if bytes.HasPrefix(text, []byte("\u2028")) || bytes.HasPrefix(text, []byte("\u2029")) {
			return 3
		}
	}
	return 0
}

// span returns where the text of a scalar is, its quotes included, without anchor and tag.
func span(content []byte, lines []int, n *yaml.Node) (int, int, error) {
	if n.Line < 1 || n.Line > len(lines) {
		return 0, 0, errors.New("the value is not where the parser says")
	}
	start := lines[n.Line-1]
	for range n.Column - 1 {
		_, width := utf8.DecodeRune(content[start:])
		start += width
	}
	start = skipProperties(content, start)
	text := content[start:]
	length := 0
	switch style := n.Style &^ yaml.TaggedStyle; {
	case style == yaml.DoubleQuotedStyle:
		length = len(doubleQuoted.Find(text))
	case style == yaml.SingleQuotedStyle:
		length = len(singleQuoted.Find(text))
	case style == 0 && bytes.HasPrefix(text, []byte(n.Value)):
		length = len(n.Value)
	}
	if length == 0 {
		return 0, 0, errors.New("the value " + notInline)
	}
	return start, start + length, nil
}

// notInline is the reason why a scalar of another form is not written.
const notInline = "is spread over several lines; write it in one"

var (
	doubleQuoted = regexp.MustCompile(`^"(?:[^"\\]|\\(?s:.))*"`)
	singleQuoted = regexp.MustCompile(`^'(?:[^']|'')*'`)
	property     = regexp.MustCompile(`^(?:!<[^>\s]*>|[&!][^\s,\[\]{}]*)`)
	// blank is what may stand between a property and the value.
	blank = regexp.MustCompile(`^(?:[ \t\r\n]+(?:#[^\r\n]*)?)*`)
)

// skipProperties skips anchor and tag.
func skipProperties(content []byte, at int) int {
	for {
		length := len(property.Find(content[at:]))
		if length == 0 {
			return at
		}
		at += length
		at += len(blank.Find(content[at:]))
	}
}

// unwritable says why a value cannot be replaced, or nothing if it can.
func unwritable(n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "is not a scalar"
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return "is a block; write it in one line"
	case n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str":
		return "has a tag; a reference is text"
	case n.Value == "" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0:
		return `is missing; write "" or the first value`
	}
	return ""
}

// compareAll checks that two readings of a file are the same but for the targets, which are nodes of the first.
func compareAll(before, after []*yaml.Node, targets map[*yaml.Node]string) error {
	if len(before) != len(after) {
		return errors.New("the result would have another number of documents")
	}
	for i := range before {
		if err := compare(before[i], after[i], targets); err != nil {
			return err
		}
	}
	return nil
}

// compare compares everything but positions.
func compare(a, b *yaml.Node, targets map[*yaml.Node]string) error {
	same := a.Kind == b.Kind && a.Anchor == b.Anchor && len(a.Content) == len(b.Content) &&
		a.HeadComment == b.HeadComment && a.LineComment == b.LineComment && a.FootComment == b.FootComment
	if value, changed := targets[a]; changed {
		same = same && b.Value == value && b.ShortTag() == "!!str"
	} else {
		same = same && a.Value == b.Value && a.Tag == b.Tag && a.Style == b.Style
	}
	if !same {
		return fmt.Errorf("line %d would change in more than the wanted value", a.Line)
	}
	for i := range a.Content {
		if err := compare(a.Content[i], b.Content[i], targets); err != nil {
			return err
		}
	}
	return nil
}
