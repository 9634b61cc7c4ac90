// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package markdown takes the repository's pages apart, for the tests that hold
// them to what the code says.
package markdown

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Page is a Markdown file.
type Page struct {
	// Path from the root of the repository.
	Path string
	// Prose is the text without its code blocks.
	Prose    string
	Sections []Section
	Blocks   []Block
}

// Section is a heading with what follows it, code blocks included, up to the
// next heading of any level. What comes before the first heading has level 0.
type Section struct {
	Level   int
	Heading string
	Text    string
}

// Block is a fenced code block.
type Block struct {
	// Language after the fence, such as "yaml"; empty if there is none.
	Language string
	// Mark is what follows the language, which readers do not see.
	Mark string
	// Section is the heading that the block stands under.
	Section string
	Text    string
}

var heading = regexp.MustCompile(`^(#+) +(.*)$`)

// Read takes the file at path below root apart. A code block that does not end
// is an error.
func Read(root, path string) (*Page, error) {
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	p := &Page{Path: path}
	var prose, text strings.Builder
	current := Section{}
	var open *Block
	for line := range strings.Lines(string(data)) {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		match := heading.FindStringSubmatch(strings.TrimRight(line, "\n"))
		switch {
		case isFence && open == nil:
			language, mark, _ := strings.Cut(fence, " ")
			open = &Block{Language: language, Mark: mark, Section: current.Heading}
		case isFence:
			p.Blocks = append(p.Blocks, *open)
			open = nil
		case open != nil:
			open.Text += line
			text.WriteString(line)
		case match != nil:
			current.Text = text.String()
			p.Sections = append(p.Sections, current)
			text.Reset()
			current = Section{Level: len(match[1]), Heading: match[2]}
		default:
			prose.WriteString(line)
			text.WriteString(line)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: a code block does not end", path)
	}
	current.Text = text.String()
	p.Sections, p.Prose = append(p.Sections, current), prose.String()
	return p, nil
}

// ReadAll reads every Markdown file below root that is the project's own, in
// the order of their paths.
func ReadAll(root string) ([]*Page, error) {
	var all []*Page
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || entry.Name() == "bin"):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".md":
			return nil
		}
		path, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		p, err := Read(root, path)
		all = append(all, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the pages below %s: %w", root, err)
	}
	return all, nil
}

var span = regexp.MustCompile("`[^`\n]+`")

// Code returns what stands in code spans of a text, one a line.
func Code(text string) string {
	return strings.Join(span.FindAllString(text, -1), "\n")
}

// WithoutCode returns a text without its code spans.
func WithoutCode(text string) string {
	return span.ReplaceAllString(text, "")
}

// Names reports whether a text has a word, on its own or as a part of a path
// of fields. A word may have hyphens in it and before it.
func Names(text, word string) bool {
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && r != '-'
	}), word)
}

// About returns what the page says of a name: the sections of level 3 and
// deeper whose heading has it, and the rows of tables whose first cell has it
// as code.
func (p *Page) About(name string) string {
	var found strings.Builder
	for _, s := range p.Sections {
		if s.Level >= 3 && Names(s.Heading, name) {
			found.WriteString(s.Heading + "\n" + s.Text)
		}
		for line := range strings.Lines(s.Text) {
			row, isRow := strings.CutPrefix(line, "|")
			first, _, _ := strings.Cut(row, "|")
			if isRow && Names(Code(first), name) {
				found.WriteString(line)
			}
		}
	}
	return found.String()
}

// HasAnchor reports whether a heading of the page has the anchor, as GitHub
// makes them.
func (p *Page) HasAnchor(anchor string) bool {
	for _, s := range p.Sections {
		slug := strings.ReplaceAll(punctuation.ReplaceAllString(strings.ToLower(s.Heading), ""), " ", "-")
		if s.Heading != "" && slug == anchor {
			return true
		}
	}
	return false
}

var punctuation = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
