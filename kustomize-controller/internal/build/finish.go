// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/substitute"
)

// finish does what comes after kustomize: it checks the objects, replaces variables and sets common metadata. The entries
// stay as they are.
func (b *Builder) finish(ctx context.Context, entries []entry, request *Request) (*Result, error) {
	spec := &request.Kustomization.Spec
	variables, err := b.variables(spec, request.Variables)
	if err != nil {
		return nil, err
	}
	result := &Result{
		Objects: make([]*unstructured.Unstructured, len(entries)),
		Origins: make([]string, len(entries)),
	}
	var faults []error
	for i := range entries {
		e := &entries[i]
		content, err := finishOne(ctx, e, i, request, variables)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		result.Objects[i] = &unstructured.Unstructured{Object: content}
		result.Origins[i] = e.origin
	}
	if variables != nil && len(faults) == 0 {
		faults = repeated(result)
	}
	if len(faults) > 0 {
		return nil, joinErrors(faults)
	}
	return result, nil
}

// variables returns what to replace, or nil if nothing is to be.
func (b *Builder) variables(spec *kustomizev1.KustomizationSpec, values map[string]string) (*substitute.Variables, error) {
	if spec.PostBuild == nil {
		return nil, nil //nolint:nilnil // No variables and no error: there is nothing to substitute.
	}
	if len(values) == 0 && spec.PostBuild.SubstituteStrategy != kustomizev1.SubstituteStrategyAlways {
		return nil, nil //nolint:nilnil // As above.
	}
	variables, err := substitute.New(values, b.options.LenientSubstitution)
	if err != nil {
		return nil, fmt.Errorf("spec.postBuild: %w", err)
	}
	return variables, nil
}

// finishOne returns the finished content of an entry.
func finishOne(ctx context.Context, e *entry, index int, request *Request, variables *substitute.Variables) (
	map[string]any, error,
) {
	id := identify(e.content)
	fail := func(err error) error {
		name := nameOf(index, id.kind, id.name)
		if id.kind != "" && id.name != "" {
			name = id.String()
		}
		if e.origin != "" {
			name += " in " + e.origin
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := complete(id); err != nil {
		return nil, fail(err)
	}
	content, secret, err := reveal(ctx, e, request)
	if err != nil {
		return nil, fail(err)
	}
	if variables != nil && (e.dollar || secret) && !substitute.Skips(content) {
		if content, err = variables.Apply(content); err != nil {
			return nil, fail(withhold(err, secret))
		}
		if err := complete(identify(content)); err != nil {
			return nil, fail(fmt.Errorf("with the variables replaced, %w", err))
		}
	} else if !secret {
		content = runtime.DeepCopyJSON(content)
	}
	if err := checkMetadata(content); err != nil {
		return nil, fail(err)
	}
	if common := request.Kustomization.Spec.CommonMetadata; common != nil {
		setMetadata(content, "labels", common.Labels)
		setMetadata(content, "annotations", common.Annotations)
	}
	return content, nil
}

// complete checks that an object has what an API server needs to know where it belongs.
func complete(id identity) error {
	switch {
	case id.version == "":
		return errors.New("it has no apiVersion")
	case id.kind == "":
		return errors.New("it has no kind")
	case id.name == "":
		return errors.New("it has no metadata.name, or one that is not a string")
	}
	return nil
}

// checkMetadata finds labels and annotations that are numbers or booleans, which an API server refuses with an error that
// does not say which one.
func checkMetadata(content map[string]any) error {
	metadata, _ := content["metadata"].(map[string]any)
	for _, field := range []string{"labels", "annotations"} {
		values, ok := metadata[field].(map[string]any)
		if !ok {
			if metadata[field] != nil {
				return fmt.Errorf("metadata.%s is not a map", field)
			}
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if _, ok := values[key].(string); !ok && values[key] != nil {
				return fmt.Errorf("metadata.%s: the value of %q is not a string; put it in quotes", field, key)
			}
		}
	}
	return nil
}

// setMetadata sets labels or annotations.
func setMetadata(content map[string]any, field string, values map[string]string) {
	if len(values) == 0 {
		return
	}
	metadata, ok := content["metadata"].(map[string]any)
	if !ok {
		return
	}
	current, ok := metadata[field].(map[string]any)
	if !ok {
		current = make(map[string]any, len(values))
		metadata[field] = current
	}
	for key, value := range values {
		current[key] = value
	}
}

// repeated finds objects that have become the same by their variables. kustomize has seen to it that they were not before.
func repeated(result *Result) []error {
	var faults []error
	seen := make(map[identity]string, len(result.Objects))
	for i, object := range result.Objects {
		id := identify(object.Object)
		where := ""
		if result.Origins[i] != "" {
			where = " in " + result.Origins[i]
		}
		if first, ok := seen[id]; ok {
			faults = append(faults, fmt.Errorf("with the variables replaced, %s%s is the same object as the one%s", id, where, first))
			continue
		}
		seen[id] = where
	}
	return faults
}
