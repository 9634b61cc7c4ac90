// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/values"
	"github.com/weir-gitops/weir/pkg/watch"
)

// follow has the HelmRelease woken when a Secret or ConfigMap changes that it
// refers to. What was read of them last counts until they are read again.
func (c *Controller) follow(_ context.Context, s *scope) error {
	c.followRead(s, s.memory.reads)
	return nil
}

// followRead is follow, with what was read.
func (c *Controller) followRead(s *scope, reads []values.Read) {
	s.memory.reads = reads
	if c.References == nil {
		return
	}
	refs := referencesOf(s.obj)
	for _, read := range reads {
		for i := range refs {
			if refs[i].Kind == read.Kind && refs[i].Name == read.Name {
				refs[i].Version = read.Version
			}
		}
	}
	s.basis = basisText(c.References.Follow(s.owner(), refs))
}

// basisText says what changes will not be heard of, "" if all are.
func basisText(basis watch.Basis) string {
	switch basis {
	case watch.Labelled:
		return "of the Secrets and ConfigMaps that the spec refers to, only those with the label " + watch.DefaultConfigsLabel +
			" are watched, since this controller may not watch all of that namespace; others are read at every interval"
	case watch.Interval:
		return "the Secrets and ConfigMaps that the spec refers to are read at every interval and not watched, since this controller may not"
	case watch.Watched:
	}
	return ""
}

// referencesOf lists the Secrets and ConfigMaps that a spec refers to, each once.
func referencesOf(obj *helmv2.HelmRelease) []watch.Reference {
	var refs []watch.Reference
	seen := map[watch.Reference]bool{}
	add := func(kind, name string) {
		ref := watch.Reference{Kind: kind, Namespace: obj.Namespace, Name: name}
		if !seen[ref] {
			seen[ref] = true
			refs = append(refs, ref)
		}
	}
	for _, from := range obj.Spec.ValuesFrom {
		add(from.Kind, from.Name)
	}
	if k := obj.Spec.KubeConfig; k != nil {
		if k.SecretRef != nil {
			add("Secret", k.SecretRef.Name)
		}
		if k.ConfigMapRef != nil {
			add("ConfigMap", k.ConfigMapRef.Name)
		}
	}
	return refs
}
