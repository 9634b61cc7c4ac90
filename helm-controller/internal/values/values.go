// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package values merges the values of a HelmRelease from where they are kept.
package values

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// Masked takes the place of a value that came from a Secret.
const Masked = "**********"

// MaxSize is how many bytes of values may be read for one HelmRelease.
const MaxSize = 8 << 20

const secretKind = "Secret"

// Reader returns the data of a ConfigMap or Secret in the namespace of the
// HelmRelease, and a version that is another one whenever the object is. An
// object that does not exist is an error that apierrors.IsNotFound knows.
type Reader func(ctx context.Context, kind, name string) (data map[string][]byte, version string, err error)

// Setter puts a value at a path of values as "helm --set path=value" does, or
// as "helm --set-string" if text is set. It may change values at any depth.
// Its errors may hold parts of the value, and are not shown.
type Setter func(values map[string]any, assignment string, text bool) error

// Read is an object that was read.
type Read struct {
	Kind, Name string
	// Version as the Reader gave it, empty if the object does not exist.
	Version string
}

// Merge returns the values of obj: those of its references in their order, and
// over them those of its spec. What is read is read once. A missing object or
// key is an error unless the reference is optional. Errors name object and key,
// and never what is in it. On error, reads are those up to there.
func Merge(ctx context.Context, read Reader, set Setter, obj *helmv2.HelmRelease) (map[string]any, []Read, error) {
	m := merger{read: read, set: set, obj: obj}
	merged, err := m.merge(ctx)
	return merged, m.reads, err
}

// Mask returns what Merge does, with every value that came from a Secret
// replaced by Masked, for people who may read a HelmRelease and no Secrets.
func Mask(ctx context.Context, read Reader, set Setter, obj *helmv2.HelmRelease) (map[string]any, error) {
	m := merger{read: read, set: set, obj: obj, mask: true}
	return m.merge(ctx)
}

// merger merges once.
type merger struct {
	read Reader
	set  Setter
	obj  *helmv2.HelmRelease
	mask bool

	reads []Read
	data  map[Read]map[string][]byte
	size  int
}

// merge goes through the references. Maps are shared between what is merged
// and the values of the spec wherever these are the only ones, as Flux has it:
// that is why a value at a path below a map of the spec stays, and one in its
// place does not. The digest of the values depends on it.
func (m *merger) merge(ctx context.Context) (map[string]any, error) {
	var own map[string]any
	if m.obj.Spec.Values != nil {
		if err := yaml.Unmarshal(m.obj.Spec.Values.Raw, &own); err != nil {
			return nil, fmt.Errorf("could not read spec.values: it is not a map%s", line(err))
		}
	}
	merged := map[string]any{}
	for _, ref := range m.obj.Spec.ValuesFrom {
		data, err := m.get(ctx, ref)
		switch {
		case err != nil:
			return nil, err
		case data == nil:
		case ref.TargetPath != "":
			merged = Overlay(merged, own)
			if err := m.assign(merged, ref, string(data)); err != nil {
				return nil, err
			}
		default:
			document, err := m.document(ref, data)
			if err != nil {
				return nil, err
			}
			merged = Overlay(merged, document)
		}
	}
	return Overlay(merged, own), nil
}

// get returns what the key of a reference holds, and nil if the reference is
// optional and there is nothing.
func (m *merger) get(ctx context.Context, ref helmv2.ValuesReference) ([]byte, error) {
	object := Read{Kind: ref.Kind, Name: ref.Name}
	content, known := m.data[object]
	if !known {
		var version string
		var err error
		if content, version, err = m.read(ctx, ref.Kind, ref.Name); err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read %s %s/%s for values: %w", ref.Kind, m.obj.Namespace, ref.Name, err)
		} else if err != nil {
			content, version = nil, ""
		} else if content == nil {
			content = map[string][]byte{}
		}
		if m.data == nil {
			m.data = map[Read]map[string][]byte{}
		}
		m.data[object] = content
		m.reads = append(m.reads, Read{Kind: ref.Kind, Name: ref.Name, Version: version})
	}
	value, ok := content[ref.GetKey()]
	switch {
	case ok:
		if m.size += len(value); m.size > MaxSize {
			return nil, m.wrong(ref, fmt.Sprintf("the values are larger than %d MiB in all", MaxSize>>20))
		}
		return append([]byte{}, value...), nil
	case ref.Optional:
		return nil, nil
	case content == nil:
		return nil, m.wrong(ref, "resource not found")
	}
	return nil, m.wrong(ref, "key not found")
}

func (m *merger) document(ref helmv2.ValuesReference, data []byte) (map[string]any, error) {
	var document map[string]any
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, m.wrong(ref, "its content is not a YAML map"+line(err))
	}
	if m.mask && ref.Kind == secretKind {
		maskAll(document)
	}
	return document, nil
}

// assign puts what a key holds at the path of its reference. Quotes around the
// whole make it a text, as does literal, which means every character.
func (m *merger) assign(merged map[string]any, ref helmv2.ValuesReference, value string) error {
	text := ref.Literal
	switch {
	case m.mask && ref.Kind == secretKind:
		value, text = Masked, true
	case text:
		value = verbatim.Replace(value)
	case quoted(value, "'"), quoted(value, `"`):
		value, text = strings.Trim(value, `'"`), true
	}
	if err := m.set(merged, ref.TargetPath+"="+value, text); err != nil {
		return m.wrong(ref, fmt.Sprintf("its content cannot be set at %s: one of them is not in the notation of helm --set, or a value of another type is there", ref.TargetPath))
	}
	return nil
}

// verbatim takes the meaning from characters that have one.
var verbatim = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`)

func quoted(value, quote string) bool {
	return strings.HasPrefix(value, quote) && strings.HasSuffix(value, quote)
}

func (m *merger) wrong(ref helmv2.ValuesReference, what string) error {
	return fmt.Errorf("could not resolve %s chart values reference '%s/%s' with key '%s': %w", ref.Kind, m.obj.Namespace, ref.Name, ref.GetKey(), errors.New(what))
}

// Overlay returns the values below with those above merged into them. Neither
// is changed. Maps that only one of them has are shared with the result.
func Overlay(below, above map[string]any) map[string]any {
	merged := maps.Clone(below)
	if merged == nil {
		merged = make(map[string]any, len(above))
	}
	for key, value := range above {
		inner, isMap := value.(map[string]any)
		if under, ok := merged[key].(map[string]any); ok && isMap {
			value = Overlay(under, inner)
		}
		merged[key] = value
	}
	return merged
}

// maskAll replaces every value that is neither a map nor a list.
func maskAll(values map[string]any) {
	for key, value := range values {
		values[key] = masked(value)
	}
}

func masked(value any) any {
	switch v := value.(type) {
	case map[string]any:
		maskAll(v)
		return v
	case []any:
		for i := range v {
			v[i] = masked(v[i])
		}
		return v
	}
	return Masked
}

// lineOf finds the line in errors of the YAML library, which may quote content.
var lineOf = regexp.MustCompile(`\bline \d+`)

func line(err error) string {
	if found := lineOf.FindString(err.Error()); found != "" {
		return " (" + found + ")"
	}
	return ""
}
