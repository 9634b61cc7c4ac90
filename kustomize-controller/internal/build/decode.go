// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/kio"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// decoder reads files with Kubernetes objects by kustomize's own parser, so that a value means the same whichever way a
// build goes.
type decoder struct {
	factory *resource.Factory
}

func newDecoder() decoder {
	return decoder{factory: provider.NewDepProvider().GetResourceFactory()}
}

// decode returns the objects in the file name, lists taken apart. Its errors name file, line and cause.
func (d decoder) decode(name string, data []byte) (nodes []*kyaml.RNode, err error) {
	// The parser panics on some invalid input.
	defer func() {
		if r := recover(); r != nil {
			nodes, err = nil, fmt.Errorf("decode %s: the YAML parser panicked: %v", name, r)
		}
	}()
	if err := guardYAML(data); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	nodes, err = d.factory.RNodesFromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %s", name, explain(data, err))
	}
	return nodes, nil
}

// lineNumber finds the place that the YAML parser reports. It counts lines from the start of the document.
var lineNumber = regexp.MustCompile(`\bline (\d+)`)

// explain turns the parser's error about data into one that says where in the file the fault is.
func explain(data []byte, err error) string {
	for _, doc := range split(data) {
		nodes, docErr := kio.FromBytes([]byte(doc.text))
		if docErr != nil {
			return doc.absolute(tidyYAMLError(docErr))
		}
		for _, node := range nodes {
			if fault := incomplete(node); fault != "" {
				return fmt.Sprintf("line %d: %s", doc.before+max(node.YNode().Line, 1), fault)
			}
		}
	}
	return tidyYAMLError(err)
}

// incomplete says what node lacks to be a Kubernetes object, and "" if that is nothing.
func incomplete(node *kyaml.RNode) string {
	if node.IsNilOrEmpty() {
		return ""
	}
	if node.YNode().Kind != kyaml.MappingNode {
		return "this is not a Kubernetes object, which has apiVersion, kind and metadata.name"
	}
	meta, err := node.GetValidatedMetadata()
	switch {
	case err == nil:
		return ""
	case meta.Kind == "":
		return "the object has no kind"
	case meta.Name == "":
		return fmt.Sprintf("the %s has no metadata.name", meta.Kind)
	}
	return tidyYAMLError(err)
}

func tidyYAMLError(err error) string {
	text := strings.TrimPrefix(err.Error(), "MalformedYAMLError: ")
	return strings.TrimPrefix(text, "yaml: ")
}

// document is one part of a file with several.
type document struct {
	text string
	// before is the number of lines of the file before the document.
	before int
}

// absolute changes the line in an error about the document to the line in the file.
func (d document) absolute(text string) string {
	return lineNumber.ReplaceAllStringFunc(text, func(match string) string {
		n, err := strconv.Atoi(strings.TrimPrefix(match, "line "))
		if err != nil {
			return match
		}
		return fmt.Sprintf("line %d", d.before+n)
	})
}

// cuts is where kustomize cuts a file into documents, before YAML is parsed.
var cuts = regexp.MustCompile(`\n---.*\n`)

// split cuts a file into documents, as kustomize does.
func split(data []byte) []document {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	var docs []document
	start, before := 0, 0
	for _, cut := range append(cuts.FindAllStringIndex(text, -1), []int{len(text), len(text)}) {
		docs = append(docs, document{text: text[start:cut[0]], before: before})
		before += strings.Count(text[start:cut[1]], "\n")
		start = cut[1]
	}
	return docs
}
