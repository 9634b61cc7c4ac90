// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package postrender

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/filters/annotations"
	"sigs.k8s.io/kustomize/api/filters/labels"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// document is one of those that a chart has rendered. A list of objects becomes
// several in its place.
type document struct {
	// label says where it is from, in errors.
	label string
	// source is the comment that Helm puts in front of it, if any.
	source string
	text   []byte
}

func (c *Chain) run(manifest []byte, hooks []Hook) ([]byte, []Hook, error) {
	objects := split(manifest)
	hooked := make([]document, len(hooks))
	for i, h := range hooks {
		hooked[i] = document{label: "hook " + h.Path, text: []byte(h.Manifest)}
	}
	var err error
	switch c.strategy {
	case helmv2.PostRenderStrategyNoHooks:
		err = c.change(objects)
	case helmv2.PostRenderStrategySeparate:
		err = errors.Join(c.change(objects), c.change(hooked))
	default:
		both := append(append([]document{}, objects...), hooked...)
		err = c.change(both)
		copy(objects, both)
		copy(hooked, both[len(objects):])
	}
	if err != nil {
		return nil, nil, err
	}
	return join(objects), hooksOf(hooks, hooked), nil
}

// hooksOf returns the hooks with the objects that they have become.
func hooksOf(hooks []Hook, hooked []document) []Hook {
	changed := make([]Hook, 0, len(hooks))
	for i, h := range hooks {
		if len(bytes.TrimSpace(hooked[i].text)) == 0 {
			continue
		}
		h.Manifest = string(hooked[i].text)
		changed = append(changed, h)
	}
	return changed
}

// separator is what Helm takes for the end of a document.
var separator = regexp.MustCompile(`(?:^|\s*\n)---\s*`)

const sourcePrefix = "# Source: "

// split returns the documents of a manifest.
func split(manifest []byte) []document {
	var documents []document
	for _, text := range separator.Split(string(manifest), -1) {
		if strings.TrimSpace(text) == "" {
			continue
		}
		d := document{label: "template", text: []byte(text)}
		if first, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(first, sourcePrefix) {
			d.source, d.label = first, strings.TrimPrefix(first, sourcePrefix)
		}
		documents = append(documents, d)
	}
	return documents
}

// join is the opposite of split. Documents without an object are left out.
func join(documents []document) []byte {
	var b bytes.Buffer
	for _, d := range documents {
		if len(bytes.TrimSpace(d.text)) == 0 {
			continue
		}
		for object := range bytes.SplitSeq(bytes.TrimSuffix(d.text, []byte("\n")), []byte("\n---\n")) {
			b.WriteString("---\n")
			if d.source != "" {
				b.WriteString(d.source + "\n")
			}
			b.Write(append(bytes.Clone(object), '\n'))
		}
	}
	return b.Bytes()
}

// change runs the chain over documents, and puts what they become in their
// place.
func (c *Chain) change(documents []document) (err error) {
	// kustomize panics on some objects that it did not expect.
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("kustomize cannot cope with the objects or the patches")
		}
	}()
	for i, r := range c.renderers {
		objects, from, err := read(documents)
		if err != nil {
			return err
		}
		if err := place(objects, from); err != nil {
			return err
		}
		if objects, err = r.apply(objects); err != nil {
			return fmt.Errorf("spec.postRenderers[%d].kustomize: %w", i, err)
		}
		if from, err = placed(objects); err != nil {
			return fmt.Errorf("spec.postRenderers[%d].kustomize: %w", i, withoutContent(err))
		}
		if err := write(documents, objects, from); err != nil {
			return err
		}
	}
	objects, from, err := read(documents)
	if err != nil {
		return err
	}
	if err := c.mark(objects); err != nil {
		return err
	}
	return write(documents, objects, from)
}

// mark puts common metadata and the labels of the origin on objects.
func (c *Chain) mark(objects resmap.ResMap) error {
	own := map[string]string{}
	maps.Copy(own, c.common.Labels)
	maps.Copy(own, c.origin)
	if err := objects.ApplyFilter(labels.Filter{Labels: own, FsSlice: metadataField("labels")}); err != nil {
		return fmt.Errorf("set labels: %w", withoutContent(err))
	}
	if err := objects.ApplyFilter(annotations.Filter{Annotations: c.common.Annotations, FsSlice: metadataField("annotations")}); err != nil {
		return fmt.Errorf("set annotations: %w", withoutContent(err))
	}
	return nil
}

func metadataField(field string) []kustomize.FieldSpec {
	return []kustomize.FieldSpec{{Path: "metadata/" + field, CreateIfNotPresent: true}}
}

// write puts objects to the documents that they are from.
func write(documents []document, objects resmap.ResMap, from map[*resource.Resource]int) error {
	for i := range documents {
		documents[i].text = nil
	}
	for _, object := range objects.Resources() {
		text, err := object.AsYAML()
		if err != nil {
			return fmt.Errorf("write %s: %w", name(object), withoutContent(err))
		}
		into := &documents[from[object]]
		if len(into.text) > 0 {
			into.text = append(into.text, "---\n"...)
		}
		into.text = append(into.text, text...)
	}
	return nil
}

// read returns the objects of documents, and which document each is from.
func read(documents []document) (resmap.ResMap, map[*resource.Resource]int, error) {
	// kustomize keeps its schema in globals: it parses it when it needs it
	// first, under a lock, and reads it without one. From here on it is parsed,
	// and nothing changes it: that takes a kustomization with a schema of its
	// own, of which there is none in this process.
	openapi.Schema()
	objects, from := resmap.New(), map[*resource.Resource]int{}
	factory := provider.NewDefaultDepProvider().GetResourceFactory()
	for i, d := range documents {
		if err := readable(d.text); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", d.label, err)
		}
		read, err := factory.SliceFromBytes(d.text)
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", d.label, plain(err))
		}
		for _, object := range read {
			if err := objects.Append(object); err != nil {
				return nil, nil, fmt.Errorf("%s: %s is there twice", d.label, name(object))
			}
			from[object] = i
		}
	}
	return objects, from, nil
}

// readable refuses YAML with aliases that would take all memory, or the stack:
// kustomize follows them wherever they lead.
func readable(text []byte) error {
	if !bytes.ContainsRune(text, '&') || !bytes.ContainsRune(text, '*') {
		return nil
	}
	for _, document := range separator.Split(string(text), -1) {
		if _, err := yaml.YAMLToJSON([]byte(document)); err != nil {
			return plain(err)
		}
	}
	return nil
}

// plain leaves of an error of the YAML library what holds no content.
func plain(err error) error {
	if line := lineOf.FindString(err.Error()); line != "" {
		return fmt.Errorf("it is not a Kubernetes object in YAML (%s)", line)
	}
	return errors.New("it is not a Kubernetes object in YAML")
}

var lineOf = regexp.MustCompile(`\bline \d+`)

// name of an object in errors.
func name(object *resource.Resource) string {
	id := object.CurId()
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return fmt.Sprintf("%s %s/%s", id.Kind, id.Namespace, id.Name)
}
