// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package postrender

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/filters/imagetag"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// renderer is a post-renderer of the spec.
type renderer struct {
	patches []kustomize.Patch
	images  []kustomize.Image
}

// imageFields are where kustomize looks for images by default.
func imageFields() []kustomize.FieldSpec {
	var fields []kustomize.FieldSpec
	for _, pod := range []string{"spec", "spec/template/spec"} {
		for _, field := range []string{"containers[]/image", "initContainers[]/image", "volumes[]/image/reference"} {
			fields = append(fields, kustomize.FieldSpec{Path: pod + "/" + field, CreateIfNotPresent: true})
		}
	}
	return append(fields, kustomize.FieldSpec{Path: "spec/jobTemplate/spec/template/spec/volumes[]/image/reference", CreateIfNotPresent: true})
}

func newRenderer(spec *helmv2.Kustomize) (renderer, error) {
	var r renderer
	for i, p := range spec.Patches {
		if err := readable([]byte(p.Patch)); err != nil {
			return renderer{}, fmt.Errorf("patches[%d]: %w", i, err)
		}
		whole := kustomize.Patch{Patch: p.Patch}
		if t := p.Target; t != nil {
			whole.Target = &kustomize.Selector{
				ResId:         resid.ResId{Gvk: resid.Gvk{Group: t.Group, Version: t.Version, Kind: t.Kind}, Name: t.Name, Namespace: t.Namespace},
				LabelSelector: t.LabelSelector, AnnotationSelector: t.AnnotationSelector,
			}
		}
		if _, err := readPatch(whole); err != nil {
			return renderer{}, fmt.Errorf("patches[%d]: %w", i, err)
		}
		r.patches = append(r.patches, whole)
	}
	for _, image := range spec.Images {
		r.images = append(r.images, kustomize.Image{Name: image.Name, NewName: image.NewName, NewTag: image.NewTag, Digest: image.Digest})
	}
	return r, nil
}

// placeAnnotation holds the number of the document that an object is from while
// kustomize is at work. Helm 4 has an annotation of that name there, so that
// patches find the map of annotations, even where a chart has none.
const placeAnnotation = "postrenderer.helm.sh/postrender-filename"

// apply does what kustomize does with a kustomization of these patches and
// images.
func (r renderer) apply(objects resmap.ResMap) (resmap.ResMap, error) {
	before, err := objects.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("write objects: %w", withoutContent(err))
	}
	for i, whole := range r.patches {
		p, err := readPatch(whole)
		if err == nil {
			err = p.apply(objects)
		}
		if err != nil {
			return nil, fmt.Errorf("patches[%d]: %w", i, withoutContent(err))
		}
		objects.DropEmpties()
	}
	for i, image := range r.images {
		err := errors.Join(objects.ApplyFilter(imagetag.LegacyFilter{ImageTag: image}),
			objects.ApplyFilter(imagetag.Filter{ImageTag: image, FsSlice: imageFields()}))
		if err != nil {
			return nil, fmt.Errorf("images[%d]: %w", i, withoutContent(err))
		}
	}
	if slices.ContainsFunc(objects.Resources(), renamed) {
		return r.build(before)
	}
	return objects, clean(objects)
}

// renamed reports whether a patch gave an object another name. Objects that
// refer to it have to follow, and what does that is internal to kustomize.
func renamed(object *resource.Resource) bool { return !object.OrgId().Equals(object.CurId()) }

// build is apply by way of a whole kustomization.
func (r renderer) build(objects []byte) (resmap.ResMap, error) {
	const input = "objects.yaml"
	config, err := yaml.Marshal(kustomize.Kustomization{
		TypeMeta:  kustomize.TypeMeta{APIVersion: kustomize.KustomizationVersion, Kind: kustomize.KustomizationKind},
		Resources: []string{input}, Patches: r.patches, Images: r.images,
	})
	if err != nil {
		return nil, fmt.Errorf("encode a kustomization: %w", err)
	}
	files := filesys.MakeFsInMemory()
	if err := errors.Join(files.WriteFile(konfig.DefaultKustomizationFileName(), config), files.WriteFile(input, objects)); err != nil {
		return nil, fmt.Errorf("write a kustomization: %w", err)
	}
	built, err := krusty.MakeKustomizer(&krusty.Options{
		LoadRestrictions: kustomize.LoadRestrictionsRootOnly, PluginConfig: kustomize.DisabledPluginConfig(),
	}).Run(files, ".")
	if err != nil {
		return nil, withoutContent(err)
	}
	return built, nil
}

// place records on objects which document they are from.
func place(objects resmap.ResMap, from map[*resource.Resource]int) error {
	for _, object := range objects.Resources() {
		if err := object.PipeE(kyaml.SetAnnotation(placeAnnotation, strconv.Itoa(from[object]))); err != nil {
			return fmt.Errorf("%s: metadata.annotations is not a map of texts", name(object))
		}
	}
	return nil
}

// placed takes the record back. It is known no more if a patch has replaced all
// annotations: then the object keeps the place of the one before it.
func placed(objects resmap.ResMap) (from map[*resource.Resource]int, err error) {
	from, last := map[*resource.Resource]int{}, 0
	for _, object := range objects.Resources() {
		if number, err := strconv.Atoi(object.GetAnnotations(placeAnnotation)[placeAnnotation]); err == nil {
			last = number
		}
		from[object] = last
		err = errors.Join(err, object.PipeE(kyaml.ClearAnnotation(placeAnnotation)), kyaml.ClearEmptyAnnotations(&object.RNode))
	}
	return from, err
}

// clean removes what kustomize removes in the end: objects that are there for
// itself, and annotations that it uses.
func clean(objects resmap.ResMap) error {
	for _, object := range slices.Clone(objects.Resources()) {
		local, ok := object.GetAnnotations()[konfig.IgnoredByKustomizeAnnotation]
		if !ok || local == "false" {
			continue
		}
		if err := objects.Remove(object.CurId()); err != nil {
			return fmt.Errorf("%s: %w", name(object), err)
		}
	}
	objects.RemoveBuildAnnotations()
	return errors.Join(objects.RemoveOriginAnnotations(), objects.RemoveTransformerAnnotations())
}

// withoutContent leaves out what kustomize quotes of objects.
func withoutContent(err error) error {
	text, _, _ := strings.Cut(err.Error(), "node contents:")
	return errors.New(strings.TrimSuffix(strings.TrimSpace(text), ":"))
}
