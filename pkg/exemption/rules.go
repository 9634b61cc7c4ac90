// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package exemption leaves fields of applied objects to others: rules say which
// paths of which objects are neither compared nor changed.
package exemption

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Rule exempts paths of the objects that its target selects.
type Rule struct {
	// Paths are JSON pointers (RFC 6901). An index counts in the live object.
	Paths []string
	// Target selects objects; the zero Target selects all.
	Target Target
}

// Target selects objects that meet every field which is set. All but the two
// selectors are regular expressions that have to match in full.
type Target struct {
	Group, Version, Kind, Namespace, Name string
	LabelSelector, AnnotationSelector     string
}

// FieldError is a rule that cannot work.
type FieldError struct {
	// Field is where it stands, such as [0].paths[1].
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Rules are compiled rules. A nil *Rules exempts nothing.
type Rules struct {
	rules   []compiled
	version uint64
}

type compiled struct {
	group, version, kind, namespace, name *regexp.Regexp
	labels, annotations                   labels.Selector
	pointers                              []Pointer
}

// Compile checks rules and makes them ready for use. No rules compile to nil.
// Every error is a *FieldError.
func Compile(rules []Rule) (*Rules, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	hash := fnv.New64a()
	out := &Rules{}
	for i, rule := range rules {
		c, err := compile(rule)
		if err != nil {
			err.Field = fmt.Sprintf("[%d].%s", i, err.Field)
			return nil, err
		}
		out.rules = append(out.rules, *c)
		_, _ = fmt.Fprintf(hash, "%q %q\n", rule.Paths, rule.Target) // never fails
	}
	out.version = max(hash.Sum64(), 1)
	return out, nil
}

func compile(rule Rule) (*compiled, *FieldError) {
	c := &compiled{}
	for i, path := range rule.Paths {
		pointer, err := Parse(path)
		if err != nil {
			return nil, &FieldError{Field: fmt.Sprintf("paths[%d]", i), Err: err}
		}
		c.pointers = append(c.pointers, pointer)
	}
	for _, expression := range []struct {
		field, text string
		to          **regexp.Regexp
	}{
		{"group", rule.Target.Group, &c.group},
		{"version", rule.Target.Version, &c.version},
		{"kind", rule.Target.Kind, &c.kind},
		{"namespace", rule.Target.Namespace, &c.namespace},
		{"name", rule.Target.Name, &c.name},
	} {
		if expression.text == "" {
			continue
		}
		var err error
		if *expression.to, err = anchored(expression.text); err != nil {
			return nil, &FieldError{Field: "target." + expression.field, Err: err}
		}
	}
	for _, selector := range []struct {
		field, text string
		to          *labels.Selector
	}{
		{"labelSelector", rule.Target.LabelSelector, &c.labels},
		{"annotationSelector", rule.Target.AnnotationSelector, &c.annotations},
	} {
		if selector.text == "" {
			continue
		}
		var err error
		if *selector.to, err = labels.Parse(selector.text); err != nil {
			return nil, &FieldError{Field: "target." + selector.field, Err: fmt.Errorf("not a selector: %w", err)}
		}
	}
	return c, nil
}

// anchored compiles an expression so that it has to match in full.
func anchored(text string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(text); err != nil { // by itself: its own parentheses have to match
		return nil, fmt.Errorf("not a regular expression: %w", err)
	}
	return regexp.Compile("^(?:" + text + ")$")
}

// Version identifies the rules that concern an object: equal versions exempt
// the same paths of equal objects. It is 0 if no rule can concern the object.
func (r *Rules) Version(gvk schema.GroupVersionKind, key types.NamespacedName) uint64 {
	if r == nil {
		return 0
	}
	for _, c := range r.rules {
		if c.names(gvk, key) {
			return r.version
		}
	}
	return 0
}

// Pointers returns the paths of obj that are exempt.
func (r *Rules) Pointers(obj *unstructured.Unstructured) []Pointer {
	if r == nil {
		return nil
	}
	var pointers []Pointer
	gvk, key := obj.GroupVersionKind(), types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
	for _, c := range r.rules {
		if c.names(gvk, key) && c.marks(obj.GetLabels(), obj.GetAnnotations()) {
			pointers = append(pointers, c.pointers...)
		}
	}
	return pointers
}

// names reports whether the rule selects by what can never change of an object.
func (c *compiled) names(gvk schema.GroupVersionKind, key types.NamespacedName) bool {
	return matches(c.group, gvk.Group) && matches(c.version, gvk.Version) && matches(c.kind, gvk.Kind) &&
		matches(c.namespace, key.Namespace) && matches(c.name, key.Name)
}

func (c *compiled) marks(own, annotations map[string]string) bool {
	return (c.labels == nil || c.labels.Matches(labels.Set(own))) &&
		(c.annotations == nil || c.annotations.Matches(labels.Set(annotations)))
}

func matches(expression *regexp.Regexp, text string) bool {
	return expression == nil || expression.MatchString(text)
}

// Pointer is a JSON pointer, token by token.
type Pointer []string

// Parse reads a JSON pointer. That of the whole object is refused: a rule is
// for fields.
func Parse(text string) (Pointer, error) {
	switch {
	case text == "":
		return nil, fmt.Errorf("%q is the whole object, and not a field of it", text)
	case text[0] != '/':
		return nil, fmt.Errorf("%q is not a JSON pointer: it has to begin with a slash", text)
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		for at := range len(token) {
			if token[at] == '~' && (at+1 == len(token) || token[at+1] != '0' && token[at+1] != '1') {
				return nil, fmt.Errorf("%q is not a JSON pointer: a tilde is written ~0, and a slash in a name ~1", text)
			}
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

// Of makes a Pointer of field names.
func Of(tokens ...string) Pointer { return tokens }
