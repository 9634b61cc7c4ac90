// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// Token is in every file that has a marker.
const Token = `"$imagepolicy"`

// reference is the grammar of what a marker refers to.
var reference = regexp.MustCompile(`^([a-z0-9][-a-z0-9.]*:[a-z0-9][-a-z0-9.]*(?:/[a-z0-9][-a-z0-9]*)?)(?::(tag|name|digest))?$`)

// Find returns the marked fields of a file in the order in which they stand, and the markers that cannot be followed. A
// marker is a JSON object with the key $imagepolicy and nothing but texts. It is the comment that ends the line of a
// scalar, or, if there is none, the comment above it, where YAML counts that one as the scalar's own: above an item of a
// list, and between a key and a value on a line of its own. The error says why the file cannot be read at all.
func Find(file string, content []byte) ([]Field, []Problem, error) {
	if !bytes.Contains(content, []byte(Token)) {
		return nil, nil, nil
	}
	nodes, err := parse(content)
	if err != nil {
		return nil, nil, err
	}
	f := finder{file: file}
	twins := map[ObjectID]int{}
	for _, d := range documents(nodes) {
		// Objects are compared as they are shown: without apiVersion.
		same := ObjectID{Kind: d.id.Kind, Namespace: d.id.Namespace, Name: d.id.Name}
		f.id, f.twin, f.path = d.id, twins[same], f.path[:0]
		twins[same]++
		f.visit(d.root)
	}
	if f.markers == 0 {
		f.problem(0, "has a marker that is not the comment of a scalar")
	}
	return f.fields, f.problems, nil
}

type finder struct {
	file     string
	id       ObjectID
	twin     int
	path     []step
	markers  int
	fields   []Field
	problems []Problem
}

func (f *finder) problem(line int, reason string) {
	f.problems = append(f.problems, Problem{File: f.file, Line: line, Reason: reason})
}

// visit goes through the values. Aliases are not followed: what they stand for is visited where it stands.
func (f *finder) visit(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			f.descend(step{key: n.Content[i].Value}, n.Content[i+1])
			if marker(n.Content[i]) != "" {
				f.markers++
				f.problem(n.Content[i].Line, "the marker is the comment of a key; it belongs behind the value, on its line")
			}
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			f.descend(step{index: i, isIndex: true}, item)
		}
	case yaml.ScalarNode:
		f.scalar(n)
		return
	case yaml.DocumentNode, yaml.AliasNode:
	}
	if marker(n) == "" {
		return
	}
	f.markers++
	if n.Kind == yaml.AliasNode {
		f.problem(n.Line, "the marked value is an alias; mark the value that has the anchor")
		return
	}
	f.problem(n.Line, "the marked value is not a scalar; in a list or mapping in one line each marked value needs a line of its own")
}

func (f *finder) descend(s step, n *yaml.Node) {
	f.path = append(f.path, s)
	f.visit(n)
	f.path = f.path[:len(f.path)-1]
}

func (f *finder) scalar(n *yaml.Node) {
	text := marker(n)
	if text == "" {
		return
	}
	f.markers++
	match := reference.FindStringSubmatch(text)
	if match == nil {
		f.problem(n.Line, "the marker refers to nothing of the form <namespace>:<policy>[:tag|:name|:digest]"+
			" or <namespace>:<automation>/<image>[:tag|:name|:digest]")
		return
	}
	if reason := unwritable(n); reason != "" {
		f.problem(n.Line, "the marked value "+reason)
		return
	}
	part := imagev1.PartImage
	if match[2] != "" {
		part = imagev1.Part(match[2])
	}
	f.fields = append(f.fields, Field{
		File: f.file, Line: n.Line, Column: n.Column,
		Object: f.id.String(), Twin: f.twin, ID: f.id, Path: formatPath(f.path),
		Ref: match[1], Part: part, Value: n.Value,
	})
}

// marker returns what the marker of a node refers to. Only the first comment of a node counts.
func marker(n *yaml.Node) string {
	comment := n.LineComment
	if comment == "" {
		comment = n.HeadComment
	}
	if !strings.Contains(comment, Token) {
		return ""
	}
	var object map[string]string
	if err := json.Unmarshal([]byte(strings.TrimLeft(comment, "#")), &object); err != nil {
		return ""
	}
	return object["$imagepolicy"]
}
