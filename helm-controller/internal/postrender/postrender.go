// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package postrender changes what a chart has rendered, before it is released.
package postrender

import (
	"fmt"
	"maps"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
)

// Hook is an object that a chart has rendered as a hook.
type Hook struct {
	// Name of the object and Path of its template, for messages.
	Name, Path string
	// Manifest is the object, as YAML.
	Manifest string
}

// Chain changes objects: one kustomize post-renderer of the spec after the
// other, then common metadata, and the labels of the origin last, so that they
// win. It may be used by several at once.
type Chain struct {
	strategy  helmv2.PostRenderStrategy
	renderers []renderer
	common    meta.CommonMetadata
	origin    map[string]string
}

// New returns the chain of obj. An error is a fault of the spec.
func New(obj *helmv2.HelmRelease) (*Chain, error) {
	c := &Chain{strategy: obj.GetPostRenderStrategy(), origin: map[string]string{
		helmv2.OwnerNameLabel: obj.Name, helmv2.OwnerNamespaceLabel: obj.Namespace,
	}}
	switch c.strategy {
	case helmv2.PostRenderStrategyNoHooks, helmv2.PostRenderStrategyCombined, helmv2.PostRenderStrategySeparate:
	default:
		return nil, fmt.Errorf("spec.postRenderStrategy %q is none of nohooks, combined and separate", c.strategy)
	}
	if common := obj.Spec.CommonMetadata; common != nil {
		c.common = meta.CommonMetadata{Labels: maps.Clone(common.Labels), Annotations: maps.Clone(common.Annotations)}
	}
	for i, spec := range obj.Spec.PostRenderers {
		if spec.Kustomize == nil {
			continue
		}
		r, err := newRenderer(spec.Kustomize)
		if err != nil {
			return nil, fmt.Errorf("spec.postRenderers[%d].kustomize: %w", i, err)
		}
		c.renderers = append(c.renderers, r)
	}
	return c, nil
}

// Run returns the objects as they are to be released: manifest is a stream of
// YAML documents. The documents stay in their order, and each keeps the line
// "# Source: …" that it begins with. Hooks stay in their order too; one that a
// patch deletes is gone. Under the strategy nohooks they are returned as they
// are. A document that a patch has made a hook, or that is none any more, is
// returned where it was: look at its annotation helm.sh/hook.
//
// Errors name the object, and never what is in it beyond names of fields.
func (c *Chain) Run(manifest []byte, hooks []Hook) ([]byte, []Hook, error) {
	return c.run(manifest, hooks)
}
