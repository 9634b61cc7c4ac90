// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"slices"
	"strings"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// stage is a group of objects that are written side by side. A stage begins
// when the one before it is written, and after definitions also in effect.
type stage int

const (
	// stageDefinitions are the kinds that others are declared in or with.
	stageDefinitions stage = iota
	// stageClasses are kinds that end in Class, which others name.
	stageClasses
	// stageEarly are the kinds of Config.Early, and roles: a binding is
	// refused to those who may not bind what is not there.
	stageEarly
	// stageSetup is what workloads find when they start: accounts, roles,
	// quotas, configuration.
	stageSetup
	// stageWorkloads is everything else.
	stageWorkloads
	// stageCuts are quotas that take room away: what gives it up goes first.
	stageCuts
	// stageWebhooks come last: they would stand in the way of the rest.
	stageWebhooks
)

var stages = []stage{stageDefinitions, stageClasses, stageEarly, stageSetup, stageWorkloads, stageCuts, stageWebhooks}

var definitions = []schema.GroupKind{
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
	{Kind: "Namespace"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
}

var setup = []schema.GroupKind{
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	{Kind: "ResourceQuota"},
	{Kind: "ServiceAccount"},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
	{Kind: "ConfigMap"},
	{Kind: "Secret"},
	{Kind: "Service"},
	{Kind: "LimitRange"},
}

func stageOf(gk schema.GroupKind) stage {
	switch {
	case slices.Contains(definitions, gk):
		return stageDefinitions
	case strings.HasSuffix(gk.Kind, "Class"):
		return stageClasses
	case gk == schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "Role"}:
		return stageEarly
	case slices.Contains(setup, gk):
		return stageSetup
	case strings.HasSuffix(gk.Kind, "WebhookConfiguration"):
		return stageWebhooks
	}
	return stageWorkloads
}

// stageOf returns the stage of a kind on this engine, which may be told to write
// some kinds earlier than others.
func (e *Engine) stageOf(gk schema.GroupKind) stage {
	if s := stageOf(gk); s < stageEarly || !slices.Contains(e.config.Early, gk) {
		return s
	}
	return stageEarly
}

// sortByStage orders objects by stage, and as Flux does within one.
func sortByStage(desired []*Desired) {
	slices.SortStableFunc(desired, func(a, b *Desired) int {
		if a.stage != b.stage {
			return int(a.stage - b.stage)
		}
		pair := ssa.SortableUnstructureds{a.Object, b.Object}
		switch {
		case pair.Less(0, 1):
			return -1
		case pair.Less(1, 0):
			return 1
		}
		return 0
	})
}
