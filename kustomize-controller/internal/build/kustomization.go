// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// findKustomization returns the name of the kustomization file in dir, and "" if there is none.
func findKustomization(tree *overlay.Tree, dir string) (string, error) {
	found := ""
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		isDir, err := tree.Stat(path.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist) || isDir:
			continue
		case err != nil:
			return "", fmt.Errorf("%s: %w", path.Join(dir, name), err)
		case found != "":
			return "", fmt.Errorf("%s has both %s and %s; keep one of them", describe(dir), found, name)
		}
		found = name
	}
	return found, nil
}

// readRoot decodes the kustomization file that a Kustomization starts at. Unknown fields are dropped, as Flux does.
func readRoot(name string, data []byte) (types.Kustomization, error) {
	k := types.Kustomization{TypeMeta: types.TypeMeta{
		APIVersion: types.KustomizationVersion,
		Kind:       types.KustomizationKind,
	}}
	if err := yaml.Unmarshal(data, &k); err != nil {
		return k, fmt.Errorf("decode %s: %s", name, tidyConfigError(err))
	}
	if len(k.Resources) == 0 {
		// kustomize takes a file without anything in it for a mistake. Flux sets this then, whatever else is in the file,
		// and so the annotation is on objects that have come from Flux.
		k.BuildMetadata = []string{types.OriginAnnotations}
	}
	return k, nil
}

// readNested decodes a kustomization file that another one refers to.
func readNested(name string, data []byte) (types.Kustomization, error) {
	var k types.Kustomization
	if err := k.Unmarshal(data); err != nil {
		return k, fmt.Errorf("decode %s: %s", name, tidyConfigError(err))
	}
	k.FixKustomization()
	if faults := k.EnforceFields(); len(faults) > 0 {
		return k, fmt.Errorf("decode %s: %s", name, strings.Join(faults, ", "))
	}
	return k, nil
}

func tidyConfigError(err error) string {
	text := err.Error()
	for _, noise := range []string{"invalid Kustomization: ", "error converting YAML to JSON: ", "error unmarshaling JSON: ",
		"while decoding JSON: ", "json: ", "yaml: "} {
		text = strings.TrimPrefix(text, noise)
	}
	return text
}

// generate makes the kustomization for a directory that has none: every YAML file in it and below, and those directories
// that have a kustomization file of their own.
func generate(tree *overlay.Tree, dir string) (types.Kustomization, error) {
	k := types.Kustomization{TypeMeta: types.TypeMeta{
		APIVersion: types.KustomizationVersion,
		Kind:       types.KustomizationKind,
	}}
	err := tree.Walk(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read %s: %w", describe(name), err)
		}
		if name == dir {
			return nil
		}
		relative := "./" + strings.TrimPrefix(name, strings.TrimPrefix(dir+"/", "./"))
		if entry.IsDir() {
			if !hasKustomization(tree, name) {
				return nil
			}
			k.Resources = append(k.Resources, relative)
			return fs.SkipDir
		}
		if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" {
			k.Resources = append(k.Resources, relative)
		}
		return nil
	})
	if len(k.Resources) == 0 {
		// An empty directory is not a mistake, and for kustomize this is not an empty file.
		k.Namespace = "_placeholder"
	}
	return k, err
}

func hasKustomization(tree *overlay.Tree, dir string) bool {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if isDir, err := tree.Stat(path.Join(dir, name)); err == nil && !isDir {
			return true
		}
	}
	return false
}

// onlyResources tells whether a kustomization does nothing but list resources and set a namespace.
func onlyResources(k *types.Kustomization) bool {
	rest := *k
	rest.TypeMeta, rest.MetaData, rest.Resources, rest.Namespace = types.TypeMeta{}, nil, nil, ""
	return reflect.DeepEqual(rest, types.Kustomization{}) &&
		k.Kind == types.KustomizationKind && k.APIVersion == types.KustomizationVersion && len(k.Resources) > 0
}

// changesNothingButNamespace tells whether a spec asks no more of kustomize than to set a namespace.
func changesNothingButNamespace(spec *kustomizev1.KustomizationSpec) bool {
	return spec.NamePrefix == "" && spec.NameSuffix == "" && len(spec.Patches) == 0 && len(spec.Components) == 0 &&
		len(spec.Images) == 0 && len(spec.BuildMetadata) == 0
}

// merge returns k with what the spec sets. exists tells whether there is anything at a path relative to that of k.
func merge(k types.Kustomization, spec *kustomizev1.KustomizationSpec, exists func(string) bool) (types.Kustomization, error) {
	if spec.TargetNamespace != "" {
		k.Namespace = spec.TargetNamespace
	}
	if spec.NamePrefix != "" {
		k.NamePrefix = spec.NamePrefix
	}
	if spec.NameSuffix != "" {
		k.NameSuffix = spec.NameSuffix
	}
	// k shares its slices with a cached plan: clipped, they are copied by the first append.
	k.Patches = slices.Clip(k.Patches)
	for _, p := range spec.Patches {
		k.Patches = append(k.Patches, types.Patch{Patch: p.Patch, Target: selector(p.Target)})
	}
	k.Components = slices.Clip(k.Components)
	for _, component := range spec.Components {
		if isRepository(component) || isMachinePath(component) {
			return k, fmt.Errorf("spec.components: %q has to be a path relative to spec.path", display(component))
		}
		if spec.IgnoreMissingComponents && !exists(component) {
			continue
		}
		k.Components = append(k.Components, component)
	}
	k.Images = mergeImages(k.Images, spec.Images)
	if len(spec.BuildMetadata) > 0 {
		k.BuildMetadata = make([]string, len(spec.BuildMetadata))
		for i, option := range spec.BuildMetadata {
			k.BuildMetadata[i] = string(option)
		}
	}
	return k, nil
}

// mergeImages lays those of a spec over those of a file, field by field. Tag and digest are one field here: they are two
// ways to say which version is meant, and the older one must not survive beside the newer one.
func mergeImages(images []types.Image, over []meta.Image) []types.Image {
	merged := append([]types.Image(nil), images...)
	for _, image := range over {
		at := -1
		for i := range merged {
			if merged[i].Name == image.Name {
				at = i
				break
			}
		}
		if at < 0 {
			merged = append(merged, types.Image{Name: image.Name})
			at = len(merged) - 1
		}
		if image.NewName != "" {
			merged[at].NewName = image.NewName
		}
		if image.NewTag != "" || image.Digest != "" {
			merged[at].NewTag, merged[at].Digest = image.NewTag, image.Digest
		}
	}
	return merged
}

func selector(s *meta.Selector) *types.Selector {
	if s == nil {
		return nil
	}
	out := &types.Selector{LabelSelector: s.LabelSelector, AnnotationSelector: s.AnnotationSelector}
	out.Group, out.Version, out.Kind = s.Group, s.Version, s.Kind
	out.Namespace, out.Name = s.Namespace, s.Name
	return out
}

// describe names a directory or file of the artifact for people.
func describe(name string) string {
	if name == "." {
		return "the root of the source"
	}
	return name
}
