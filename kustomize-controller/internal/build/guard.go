// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxExpanded is how many YAML nodes a file may have once its aliases are replaced by what they stand for. A node takes
// about 200 bytes.
const maxExpanded = 250_000

var errAliasLoop = errors.New("a YAML anchor contains an alias of itself")

// guardAliases refuses YAML whose aliases would exhaust memory or the stack when kustomize expands them; a stack that
// overflows ends the process, and nothing can recover it. Text that is not YAML passes, since it may be the data of a
// generated ConfigMap.
func guardAliases(text []byte) error {
	if bytes.IndexByte(text, '&') < 0 || bytes.IndexByte(text, '*') < 0 {
		return nil
	}
	for _, doc := range split(text) {
		var root kyaml.Node
		// kustomize parses each document by itself, and no more than its first one if YAML sees several there.
		if err := kyaml.NewDecoder(strings.NewReader(doc.text)).Decode(&root); err != nil {
			continue // Not YAML, or empty. Whoever needs YAML here reports the fault.
		}
		count := aliasCount{anchors: map[*kyaml.Node]int{}}
		if _, err := count.nodes(&root); err != nil {
			return err
		}
	}
	return nil
}

// maxKeys is how many keys one map of a file may have. kustomize takes a time that grows with their square: seconds for
// these, and hours for some more.
const maxKeys = 10_000

var errWide = fmt.Errorf("it has a map with more than %d keys", maxKeys)

// guardYAML is guardAliases for text that is certainly read as YAML, and refuses what kustomize would be busy with for too
// long. It parses the text only if that may be so.
func guardYAML(text []byte) error {
	if err := guardAliases(text); err != nil {
		return err
	}
	if separators(text) < maxKeys {
		return nil
	}
	for _, doc := range split(text) {
		var root kyaml.Node
		if separators([]byte(doc.text)) < maxKeys || kyaml.NewDecoder(strings.NewReader(doc.text)).Decode(&root) != nil {
			continue
		}
		if isWide(&root) {
			return errWide
		}
	}
	return nil
}

// separators is how many keys text has at most: each is followed by a line break, a comma or the end.
func separators(text []byte) int {
	return bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte(","))
}

func isWide(node *kyaml.Node) bool {
	return node.Kind == kyaml.MappingNode && len(node.Content)/2 > maxKeys || slices.ContainsFunc(node.Content, isWide)
}

// aliasCount counts the nodes that a document has when its aliases are expanded.
type aliasCount struct {
	// anchors holds the counts of nodes that are known, and -1 for those that are being counted.
	anchors map[*kyaml.Node]int
}

func (c aliasCount) nodes(node *kyaml.Node) (int, error) {
	if node.Kind == kyaml.AliasNode {
		return c.nodes(node.Alias)
	}
	if known, ok := c.anchors[node]; ok {
		if known < 0 {
			return 0, errAliasLoop
		}
		return known, nil
	}
	if node.Anchor != "" {
		c.anchors[node] = -1
	}
	total := 1
	for _, child := range node.Content {
		n, err := c.nodes(child)
		if err != nil {
			return 0, err
		}
		if total += n; total > maxExpanded {
			return 0, fmt.Errorf("its YAML aliases expand to more than %d nodes", maxExpanded)
		}
	}
	if node.Anchor != "" {
		c.anchors[node] = total
	}
	return total, nil
}
