// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp/syntax"
	"slices"

	"github.com/getsops/sops/v3"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
)

// Limits of a file besides its size. SOPS takes time with the square of the first, compiles the expressions of a file anew
// for each field on the way to each value, and cannot be interrupted; what people encrypt is far below all of them.
const (
	maxValues       = 20_000
	maxDepth        = 100
	maxKeys         = 100
	maxMetadata     = 10_000
	maxExpression   = 1024
	maxInstructions = 2000
)

// guard refuses input that SOPS would exhaust the stack, the memory or the processor with before it has read it. SOPS itself
// writes none of that.
func guard(data []byte, in format.Format) error {
	switch in {
	case format.JSON:
		// encoding/json bounds the depth here, and not in the reader of tokens that SOPS uses.
		if !json.Valid(data) {
			return errors.New("it is not valid JSON")
		}
	case format.YAML:
		return guardYAML(data)
	case format.Dotenv:
		if bytes.Count(data, []byte("\nsops_")) > maxMetadata {
			return fmt.Errorf("it has more than %d lines of SOPS' own", maxMetadata)
		}
	case format.INI, format.Binary:
	}
	return nil
}

func guardYAML(data []byte) error {
	decoder := kyaml.NewDecoder(bytes.NewReader(data))
	for {
		var document kyaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("it is not valid YAML")
		}
		if hasAlias(&document) {
			return errors.New("it has YAML aliases, which SOPS does not write; encrypt it anew")
		}
		if metadataOf(&document) > 1 {
			return errors.New("it has SOPS' metadata twice; encrypt it anew")
		}
	}
}

func hasAlias(node *kyaml.Node) bool {
	return node.Kind == kyaml.AliasNode || slices.ContainsFunc(node.Content, hasAlias)
}

// metadataOf counts the entries for SOPS' metadata in a document.
func metadataOf(document *kyaml.Node) (n int) {
	if len(document.Content) == 0 || document.Content[0].Kind != kyaml.MappingNode {
		return 0
	}
	for i := 0; i < len(document.Content[0].Content); i += 2 {
		if document.Content[0].Content[i].Value == "sops" {
			n++
		}
	}
	return n
}

// guardTree refuses a file that would take SOPS long to decrypt or to write.
func guardTree(tree *sops.Tree) error {
	if n := tree.Metadata.MasterKeyCount(); n > maxKeys {
		return fmt.Errorf("it is encrypted for %d keys, and may be for %d", n, maxKeys)
	}
	for _, expression := range []string{
		tree.Metadata.EncryptedRegex, tree.Metadata.UnencryptedRegex,
		tree.Metadata.EncryptedCommentRegex, tree.Metadata.UnencryptedCommentRegex,
	} {
		if !simple(expression) {
			return errors.New("a regular expression in its metadata is not valid or too large")
		}
	}
	values := 0
	for _, branch := range tree.Branches {
		if err := count(branch, 0, &values); err != nil {
			return err
		}
	}
	return nil
}

// simple tells whether a regular expression is quickly compiled.
func simple(expression string) bool {
	if len(expression) > maxExpression {
		return false
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return false
	}
	program, err := syntax.Compile(parsed.Simplify())
	return err == nil && len(program.Inst) <= maxInstructions
}

// count adds the values below one to n.
func count(value any, depth int, n *int) error {
	if *n++; *n > maxValues {
		return fmt.Errorf("it has more than %d values", maxValues)
	}
	if depth > maxDepth {
		return fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	switch v := value.(type) {
	case sops.TreeBranch:
		for _, item := range v {
			if err := count(item.Value, depth+1, n); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := count(item, depth+1, n); err != nil {
				return err
			}
		}
	}
	return nil
}
