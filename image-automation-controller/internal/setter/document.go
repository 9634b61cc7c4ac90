// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document is one document of a file, or one item of a file that is a List.
type document struct {
	id   ObjectID
	root *yaml.Node
}

// maxReason bounds what a parser says of a file.
const maxReason = 200

// parse reads all documents of a file. The nodes are those of yaml.v3; aliases are not followed.
func parse(content []byte) ([]*yaml.Node, error) {
	if !utf8.Valid(content) {
		return nil, errors.New("is not UTF-8")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var nodes []*yaml.Node
	for {
		node := new(yaml.Node)
		err := decoder.Decode(node)
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		if err != nil {
			return nil, unreadable(content, err)
		}
		nodes = append(nodes, node)
	}
}

// unreadable says why a file is no YAML.
func unreadable(content []byte, err error) error {
	reason := strings.ToValidUTF8(err.Error(), "?")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	if bytes.Contains(content, []byte("{{")) {
		return fmt.Errorf("is a template and not YAML (%s): mark its values file instead", reason)
	}
	return fmt.Errorf("is not YAML: %s", reason)
}

// documents takes apart what parse returned: empty documents are left out, and a List that is alone in its file counts as
// its items, as it does for Flux.
func documents(nodes []*yaml.Node) []document {
	var all []document
	for _, node := range nodes {
		if len(node.Content) == 0 || isNull(node.Content[0]) {
			continue
		}
		all = append(all, document{identify(node.Content[0]), node.Content[0]})
	}
	if len(all) != 1 || (all[0].id.Kind != "List" && all[0].id.Kind != "ResourceList") {
		return all
	}
	items := lookup(all[0].root, "items")
	if items == nil || items.Kind != yaml.SequenceNode {
		return all
	}
	all = nil
	for _, item := range items.Content {
		all = append(all, document{identify(item), item})
	}
	return all
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// identify reads which object a document is.
func identify(root *yaml.Node) ObjectID {
	metadata := lookup(root, "metadata")
	return ObjectID{
		APIVersion: scalar(lookup(root, "apiVersion")),
		Kind:       scalar(lookup(root, "kind")),
		Namespace:  scalar(lookup(metadata, "namespace")),
		Name:       scalar(lookup(metadata, "name")),
	}
}

// lookup returns the value of the first key of that name, or nil.
func lookup(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return ""
	}
	return n.Value
}
