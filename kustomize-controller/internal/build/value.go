// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// errUncertain is why a value is left to kustomize: what the shorter way would make of it is not known to be the same.
var errUncertain = errors.New("not certain")

// fromNode returns what node holds as the values that the API server's clients use: maps with string keys, slices,
// strings, booleans, int64, float64 and nil. It is the way by which everything goes that kustomize has changed.
func fromNode(node *kyaml.RNode) (map[string]any, error) {
	data, err := node.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if bytes.Equal(data, []byte("null")) {
		return nil, errors.New("the object is empty")
	}
	var content map[string]any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	return content, nil
}

// fromFreshNode is fromNode for a node that has just been read from a file, and does not write YAML and JSON to get there.
// If it cannot tell that the result is the same, it fails with errUncertain.
func fromFreshNode(node *kyaml.RNode) (map[string]any, error) {
	if hasFlowNull(node.YNode(), false) {
		return nil, errUncertain
	}
	content, err := node.Map()
	if err != nil {
		return nil, errUncertain
	}
	normal, err := normalise(content)
	if err != nil {
		return nil, err
	}
	object, ok := normal.(map[string]any)
	if !ok {
		return nil, errUncertain
	}
	return object, nil
}

// hasFlowNull finds a value that is left out between the braces of a map: it is null, and an empty string once kustomize
// has written the object and read it again.
func hasFlowNull(node *kyaml.Node, inFlow bool) bool {
	if node.Kind == kyaml.ScalarNode {
		return inFlow && node.Value == "" && node.ShortTag() == kyaml.NodeTagNull
	}
	inFlow = inFlow || node.Style&kyaml.FlowStyle != 0
	return slices.ContainsFunc(node.Content, func(below *kyaml.Node) bool { return hasFlowNull(below, inFlow) })
}

// normalise turns the types of the YAML decoder into those that JSON is decoded to. It changes maps and slices in place.
func normalise(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, int64:
		return v, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, errUncertain
		}
		return v, nil
	case int:
		return int64(v), nil
	case uint64:
		// Greater than any int64, or the decoder would have made it an int.
		return float64(v), nil
	case float64:
		return normaliseFloat(v)
	case time.Time:
		// A date that is not quoted. JSON has no dates, and kustomize writes them in this form.
		text, err := v.MarshalText()
		if err != nil {
			return nil, errUncertain
		}
		return string(text), nil
	case []any:
		for i := range v {
			item, err := normalise(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = item
		}
		return v, nil
	case map[string]any:
		return normaliseMap(v)
	}
	return nil, errUncertain
}

func normaliseMap(m map[string]any) (any, error) {
	for key := range m {
		if !utf8.ValidString(key) {
			return nil, errUncertain
		}
		item, err := normalise(m[key])
		if err != nil {
			return nil, err
		}
		m[key] = item
	}
	return m, nil
}

// normaliseFloat returns what a number becomes when it is written as JSON and read again: a whole one becomes an integer.
func normaliseFloat(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errUncertain
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e21 {
		if i, err := strconv.ParseInt(strconv.FormatFloat(f, 'f', -1, 64), 10, 64); err == nil {
			return i, nil
		}
	}
	return f, nil
}

// hasDollar tells whether any string in value, a key or a value, could be the place of a variable.
func hasDollar(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.IndexByte(v, '$') >= 0
	case []any:
		return slices.ContainsFunc(v, hasDollar)
	case map[string]any:
		for key, item := range v {
			if strings.IndexByte(key, '$') >= 0 || hasDollar(item) {
				return true
			}
		}
	}
	return false
}

// weigh returns about how many bytes value takes in memory.
func weigh(value any) int64 {
	const word = 16
	switch v := value.(type) {
	case string:
		return word + int64(len(v))
	case []any:
		total := int64(3 * word)
		for _, item := range v {
			total += word + weigh(item)
		}
		return total
	case map[string]any:
		// A map takes room for eight entries even when it has one.
		total := int64(4*word + max(len(v), 8)*3*word)
		for key, item := range v {
			total += int64(len(key)) + weigh(item)
		}
		return total
	}
	return word
}

// identity is what two objects of one build must not share.
type identity struct {
	group, version, kind, namespace, name string
}

// withoutPlace returns the identity without version and namespace.
func (id identity) withoutPlace() identity {
	id.version, id.namespace = "", ""
	return id
}

// String names the object for people: kind, namespace and name.
func (id identity) String() string {
	if id.namespace == "" {
		return fmt.Sprintf("%s %s", id.kind, id.name)
	}
	return fmt.Sprintf("%s %s/%s", id.kind, id.namespace, id.name)
}

// identify returns the identity of an object; what it lacks, or has as something else than a string, is empty.
func identify(content map[string]any) identity {
	apiVersion, _ := content["apiVersion"].(string)
	kind, _ := content["kind"].(string)
	metadata, _ := content["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	return identity{group: group, version: version, kind: kind, namespace: namespace, name: name}
}
