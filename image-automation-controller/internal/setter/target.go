// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// CheckTarget says what is wrong with a target whatever the file holds. The error begins with the field of the target.
func CheckTarget(t imagev1.Target) error {
	if err := checkFile(t.File); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if _, err := parsePath(t.Path); err != nil {
		return fmt.Errorf("path: %q %w", t.Path, err)
	}
	if t.RepositoryPath != "" {
		if _, err := parsePath(t.RepositoryPath); err != nil {
			return fmt.Errorf("repositoryPath: %q %w", t.RepositoryPath, err)
		}
	}
	if t.Object != "" {
		if kind, name, found := strings.Cut(t.Object, "/"); !found || kind == "" || name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("object: %q is not of the form <kind>/<name>", t.Object)
		}
	}
	if (t.Part == imagev1.PartTag || t.Part == imagev1.PartDigest) && t.RepositoryPath == "" {
		return fmt.Errorf("repositoryPath: is required for part %s", t.Part)
	}
	return nil
}

// checkFile refuses a path that is not plainly below the directory that it is relative to.
func checkFile(file string) error {
	switch {
	case file == "" || strings.ContainsFunc(file, unicode.IsControl):
		return fmt.Errorf("%q is no path", file)
	case path.IsAbs(file):
		return fmt.Errorf("%q must be relative to update.path", file)
	}
	for name := range strings.SplitSeq(file, "/") {
		if name == ".." {
			return fmt.Errorf("%q must not leave update.path", file)
		}
	}
	return nil
}

// Locate finds the field of a target in the content of its file. The error names file and path, and says what is there
// instead.
func Locate(content []byte, t imagev1.Target) (Field, error) {
	if err := CheckTarget(t); err != nil {
		return Field{}, err
	}
	nodes, err := parse(content)
	if err != nil {
		return Field{}, fmt.Errorf("%s: the file %w", t.File, err)
	}
	d, err := pick(nodes, t.Object)
	if err != nil {
		return Field{}, fmt.Errorf("%s: %w", t.File, err)
	}
	n, err := d.at(t.Path, false)
	if err != nil {
		return Field{}, fmt.Errorf("%s: %w", t.File, err)
	}
	if reason := unwritable(n); reason != "" {
		return Field{}, fmt.Errorf("%s: %s %s", t.File, t.Path, reason)
	}
	f := Field{
		File: t.File, Line: n.Line, Column: n.Column, Object: d.id.String(), ID: d.id, Path: t.Path,
		Image: t.Image, Part: t.Part, Value: n.Value,
	}
	if f.Part == "" {
		f.Part = imagev1.PartImage
	}
	if t.RepositoryPath == "" {
		return f, nil
	}
	repository, err := d.at(t.RepositoryPath, true)
	if err != nil {
		return Field{}, fmt.Errorf("%s: %w", t.File, err)
	}
	if f.Repository = scalar(repository); f.Repository == "" {
		return Field{}, fmt.Errorf("%s: %s names no repository: it is %s", t.File, t.RepositoryPath, describe(repository))
	}
	return f, nil
}

// pick returns the document with the object <kind>/<name>, or the only one.
func pick(nodes []*yaml.Node, object string) (document, error) {
	if object == "" {
		var all []document
		for _, node := range nodes {
			if len(node.Content) > 0 && !isNull(node.Content[0]) {
				all = append(all, document{identify(node.Content[0]), node.Content[0]})
			}
		}
		switch len(all) {
		case 0:
			return document{}, errors.New("the file is empty")
		case 1:
			return all[0], nil
		}
		return document{}, fmt.Errorf("the file holds %d documents: name one with object, <kind>/<name>; there are %s", len(all), names(all))
	}
	all := documents(nodes)
	var found []document
	for _, d := range all {
		if d.id.Kind+"/"+d.id.Name == object {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return document{}, fmt.Errorf("there is no object %s; there are %s", object, names(all))
	case 1:
		return found[0], nil
	}
	return document{}, fmt.Errorf("there are %d objects %s: %s", len(found), object, names(found))
}

// maxNames bounds how many names a message lists.
const maxNames = 5

// names lists objects for messages.
func names(all []document) string {
	list := make([]string, 0, len(all))
	for _, d := range all {
		name := d.id.String()
		if name == "" {
			name = "one that is no object"
		}
		list = append(list, name)
	}
	return enumerate(list)
}

// enumerate lists the first names, and how many there are beyond them.
func enumerate(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	more := len(list) - maxNames
	shown := make([]string, 0, maxNames)
	for _, name := range list[:min(len(list), maxNames)] {
		shown = append(shown, legible(name))
	}
	text := strings.Join(shown, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// maxName bounds a name of a file in a message.
const maxName = 100

// legible returns a name that a file holds as it can stand in a message.
func legible(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	if !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return name
	}
	return strconv.Quote(name)
}

// at returns the node at a path. For reading, aliases are followed; for writing they are refused, because what they
// stand for stands elsewhere too.
func (d document) at(text string, read bool) (*yaml.Node, error) {
	steps, err := parsePath(text)
	if err != nil {
		return nil, fmt.Errorf("%q %w", text, err)
	}
	n := d.root
	for i, s := range steps {
		if n, err = child(n, s, read); err != nil {
			if i == 0 {
				return nil, fmt.Errorf("%s: the document %w", text, err)
			}
			return nil, fmt.Errorf("%s: %s %w", text, formatPath(steps[:i]), err)
		}
	}
	if n.Kind == yaml.AliasNode {
		if !read {
			return nil, fmt.Errorf("%s is an alias of &%s: a change would show at other places too; point at the field that has the anchor", text, legible(n.Value))
		}
		n = n.Alias
	}
	return n, nil
}

// child takes one step. The error continues a sentence about n.
func child(n *yaml.Node, s step, read bool) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode {
		if !read {
			return nil, fmt.Errorf("is an alias of &%s: a change would show at other places too; point at the field that has the anchor", legible(n.Value))
		}
		n = n.Alias
	}
	switch {
	case s.isIndex && n.Kind != yaml.SequenceNode:
		return nil, fmt.Errorf("is %s, not a list", describe(n))
	case s.isIndex && s.index >= len(n.Content):
		return nil, fmt.Errorf("has %d items, the first is [0]", len(n.Content))
	case s.isIndex:
		return n.Content[s.index], nil
	case n.Kind != yaml.MappingNode:
		return nil, fmt.Errorf("is %s, not a mapping", describe(n))
	}
	return member(n, s.key)
}

// member returns the value of a key that stands in the mapping itself, and once.
func member(n *yaml.Node, key string) (*yaml.Node, error) {
	var found *yaml.Node
	var keys []string
	merged := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			continue
		}
		if k.ShortTag() == "!!merge" {
			merged = true
			continue
		}
		keys = append(keys, k.Value)
		if k.Value != key {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("has the key %s twice", legible(key))
		}
		found = n.Content[i+1]
	}
	switch {
	case found != nil:
		return found, nil
	case merged:
		return nil, fmt.Errorf("has no key %s of its own; it may get one by a merge key (<<), where a change would show at other places too", legible(key))
	}
	return nil, fmt.Errorf("has no key %s; it has %s", legible(key), enumerate(keys))
}

// describe names the kind of a node for messages.
func describe(n *yaml.Node) string {
	switch {
	case n == nil || isNull(n):
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	}
	return "a scalar"
}
