// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/judge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// errSource ends messages about sources as Flux ends them.
var errSource = errors.New("invalid source configuration")

// compiled is a spec that can work.
type compiled struct {
	generation int64
	template   *message.Template
	// dir is update.path, cleaned; "" is the root.
	dir    string
	images []*image
}

// image is one entry of spec.weir.images.
type image struct {
	*imagev1.Image

	repository oci.Repository
	policy     *policy.Policy
	// rules is nil if nothing is judged.
	rules   *judge.Rules
	exclude []*regexp.Regexp
	targets []imagev1.Target
}

// pinned reports whether what is written has to be what was judged.
func (i *image) pinned() bool {
	return len(i.Gates) > 0 || i.Verify != nil || i.Policy.Digest != nil
}

// validate compiles the spec, once for a generation, and stalls objects that
// no retry can help.
func (c *Controller) validate(_ context.Context, s *scope) error {
	if s.entry.spec != nil && s.entry.spec.generation == s.obj.Generation {
		s.spec = s.entry.spec
		return nil
	}
	spec, err := compile(s.obj)
	if err != nil {
		return err
	}
	if sourceName(s.obj).Namespace != s.obj.Namespace && c.Options.NoCrossNamespaceRefs {
		return reconcile.Stalled(imagev1.AccessDeniedReason, fmt.Errorf(
			"can't access '%s/%s', cross-namespace references have been blocked", sourcev1.GitRepositoryKind, sourceName(s.obj)))
	}
	s.entry.spec, s.spec = spec, spec
	return nil
}

// compile turns a spec into what runs use.
func compile(obj *imagev1.ImageUpdateAutomation) (*compiled, error) {
	if err := checkFlux(&obj.Spec); err != nil {
		return nil, err
	}
	spec := &compiled{generation: obj.Generation}
	var err error
	if spec.dir, err = cleanPath(obj.Spec.Update.Path); err != nil {
		return nil, reconcile.Stalled(imagev1.InvalidSpecReason, fmt.Errorf("spec.update.path: %w", err))
	}
	if _, err := selectorOf(obj); err != nil {
		return nil, reconcile.Stalled(imagev1.InvalidPolicySelectorReason, fmt.Errorf("failed to parse policy selector: %w", err))
	}
	if spec.template, err = message.Compile(obj.Spec.GitSpec.Commit.MessageTemplate); err != nil {
		return nil, templateError(err)
	}
	if obj.Spec.Weir == nil {
		return spec, nil
	}
	for i := range obj.Spec.Weir.Images {
		img, err := compileImage(fmt.Sprintf("spec.weir.images[%d]", i), &obj.Spec.Weir.Images[i])
		if err != nil {
			return nil, err
		}
		spec.images = append(spec.images, img)
	}
	for i, target := range obj.Spec.Weir.Targets {
		if err := spec.addTarget(target); err != nil {
			return nil, reconcile.Stalled(imagev1.InvalidSpecReason, fmt.Errorf("spec.weir.targets[%d].%w", i, err))
		}
	}
	return spec, nil
}

// checkFlux checks what Flux checks, with its reasons and messages.
func checkFlux(spec *imagev1.ImageUpdateAutomationSpec) error {
	switch {
	case spec.Update == nil:
		return reconcile.Stalled(imagev1.InvalidUpdateStrategyReason, errors.New("no update strategy"))
	case spec.Update.Strategy != imagev1.UpdateStrategySetters:
		return reconcile.Stalled(imagev1.InvalidUpdateStrategyReason, fmt.Errorf("unsupported update strategy: '%s'", spec.Update.Strategy))
	case spec.SourceRef.Kind != sourcev1.GitRepositoryKind:
		return reconcile.Stalled(imagev1.InvalidSourceConfigReason, fmt.Errorf("source kind '%s' not supported: %w", spec.SourceRef.Kind, errSource))
	case spec.GitSpec == nil:
		return reconcile.Stalled(imagev1.InvalidSourceConfigReason, fmt.Errorf("source kind '%s' necessitates field .spec.git: %w", sourcev1.GitRepositoryKind, errSource))
	}
	return nil
}

// templateError tells a field that was removed from a template that is broken.
func templateError(err error) error {
	if errors.Is(err, message.ErrRemovedField) {
		return reconcile.Stalled(imagev1.RemovedTemplateFieldReason, err)
	}
	// As Flux calls it, though no retry can help.
	return reconcile.Stalled(imagev1.GitOperationFailedReason, fmt.Errorf("failed to update source: %w", err))
}

// compileImage compiles one entry of spec.weir.images; errors name the field.
func compileImage(field string, spec *imagev1.Image) (*image, error) {
	invalid := func(err error) error { return reconcile.Stalled(imagev1.InvalidSpecReason, err) }
	img := &image{Image: spec}
	var err error
	if img.repository, err = oci.ParseRepository(spec.Image); err != nil {
		return nil, reconcile.Stalled(imagev1.ImageURLInvalidReason, fmt.Errorf("%s.image: %w", field, err))
	}
	for i, expression := range spec.ExclusionList {
		pattern, err := regexp.Compile(expression)
		if err != nil {
			return nil, invalid(fmt.Errorf("%s.exclusionList[%d]: %w", field, i, err))
		}
		img.exclude = append(img.exclude, pattern)
	}
	if img.policy, err = policy.Compile(field, spec.Policy, spec.FilterTags); err != nil {
		return nil, invalid(err)
	}
	if len(spec.Gates) > 0 || spec.Verify != nil || spec.MinAge != nil || spec.Windows != nil {
		if img.rules, err = judge.Compile(field, spec); err != nil {
			return nil, invalid(err)
		}
	}
	if img.pinned() && spec.DigestReflectionPolicy == imagev1.ReflectNever {
		return nil, reconcile.Stalled(imagev1.DigestRequiredReason, fmt.Errorf(
			"%s.digestReflectionPolicy: is Never, and image '%s' is judged by its digest or follows it; what is judged has to be what is written", field, spec.Name))
	}
	return img, nil
}

// addTarget gives a target to its image.
func (s *compiled) addTarget(target imagev1.Target) error {
	i := slices.IndexFunc(s.images, func(img *image) bool { return img.Name == target.Image })
	if i < 0 {
		return fmt.Errorf("image: spec.weir.images has no entry '%s'", target.Image)
	}
	file, err := cleanPath(target.File)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if file == "" {
		return errors.New("file: is a directory")
	}
	target.File = file
	if err := setter.CheckTarget(target); err != nil {
		return err
	}
	if target.Part == "" {
		target.Part = imagev1.PartImage
	}
	s.images[i].targets = append(s.images[i].targets, target)
	return nil
}

// cleanPath returns a path below the root without "./" and slashes at its
// ends.
func cleanPath(name string) (string, error) {
	cleaned := path.Clean("/" + name)
	if relative := path.Clean(name); relative == ".." || strings.HasPrefix(relative, "../") {
		return "", fmt.Errorf("'%s' leads out of the directory", name)
	}
	return strings.TrimPrefix(cleaned, "/"), nil
}
