// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package postrender

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"sigs.k8s.io/kustomize/api/filters/patchjson6902"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/kio/kioutil"
	"sigs.k8s.io/yaml"
)

// patch is one of a post-renderer: strategic merges, or operations as of RFC
// 6902. Merging changes it, so it is read anew for each run.
type patch struct {
	merges     []*resource.Resource
	operations string
	target     *kustomize.Selector
}

// readPatch tells which of the two kinds a patch is, as kustomize does.
func readPatch(from kustomize.Patch) (patch, error) {
	text := strings.TrimSpace(from.Patch)
	if text == "" {
		return patch{}, errors.New("it is empty")
	}
	merges, noMerge := provider.NewDefaultDepProvider().GetResourceFactory().SliceFromBytes([]byte(text))
	var operations []map[string]json.RawMessage
	noOperations := yaml.Unmarshal([]byte(text), &operations)
	switch {
	case noMerge == nil && len(merges) > 0 && noOperations == nil && len(operations) > 0:
		return patch{}, errors.New("it is a strategic merge and JSON operations at once")
	case noMerge == nil && len(merges) > 1 && from.Target != nil:
		return patch{}, errors.New("it is several strategic merges, which may not have a target")
	case noMerge == nil && len(merges) > 0:
		return patch{merges: merges, target: from.Target}, nil
	case noOperations != nil || len(operations) == 0:
		return patch{}, errors.New("it is neither a strategic merge nor JSON operations")
	case from.Target == nil:
		return patch{}, errors.New("it is JSON operations, which need a target")
	}
	return patch{operations: text, target: from.Target}, nil
}

// apply changes the objects that the patch is for.
func (p patch) apply(objects resmap.ResMap) error {
	if p.target == nil {
		return p.mergeByName(objects)
	}
	selected, err := objects.Select(*p.target)
	if err != nil {
		return fmt.Errorf("find its target: %w", err)
	}
	if len(p.merges) > 0 {
		return objects.ApplySmPatch(resource.MakeIdSet(selected), p.merges[0])
	}
	for _, object := range selected {
		if err := p.operate(object); err != nil {
			return fmt.Errorf("%s: %w", name(object), err)
		}
	}
	return nil
}

// mergeByName merges into the objects that have the name of the patch.
func (p patch) mergeByName(objects resmap.ResMap) error {
	for _, merge := range p.merges {
		object, err := objects.GetById(merge.OrgId())
		if err != nil {
			return fmt.Errorf("there is no %s, or more than one", name(merge))
		}
		if err := object.ApplySmPatch(merge); err != nil {
			return fmt.Errorf("%s: %w", name(object), err)
		}
	}
	return nil
}

// operate leaves kustomize's own annotations where they are: they tell how the
// object was called before.
func (p patch) operate(object *resource.Resource) error {
	object.StorePreviousId()
	own := kioutil.GetInternalAnnotations(&object.RNode)
	if err := object.ApplyFilter(patchjson6902.Filter{Patch: p.operations}); err != nil {
		return err
	}
	annotations := object.GetAnnotations()
	maps.Copy(annotations, own)
	return object.SetAnnotations(annotations)
}
