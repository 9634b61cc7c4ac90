// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// Kinds knows where objects have the templates of their pods and how many pods
// they make. It can be used by many at a time.
type Kinds struct {
	byKind map[schema.GroupKind]*compiledKind
	// order is that of the built-in kinds and then of what was added.
	order []Kind
}

// Kind says how the pods of the objects of one kind are counted, whatever the
// version. Paths are as of the path of a field, spec.template, with quotes
// around what has dots: metadata.annotations["example.com/a.b"].
type Kind struct {
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind"`
	// Unknown says why pods cannot be told from the object. It then has no
	// PodSets.
	Unknown string `json:"unknown,omitempty"`
	// Suspended are paths of which one that is true, or "true", means that the
	// object has no pods now.
	Suspended []string `json:"suspended,omitempty"`
	// Finished is what a field is when there will be no more pods.
	Finished *Test `json:"finished,omitempty"`
	// FinishedConditions are types of conditions that are True when there will
	// be no more pods.
	FinishedConditions []string `json:"finishedConditions,omitempty"`
	// PodSets are the pods that an object makes.
	PodSets []PodSet `json:"podSets,omitempty"`
}

// PodSet is pods of an object that have the same template.
type PodSet struct {
	// Each is the path of a list or a map of which each item has such pods. All
	// other paths are then relative to the item; those that begin with $. are
	// relative to the object.
	Each string `json:"each,omitempty"`
	// Template is the path of the pod template; empty for the object itself. An
	// item without one has no pods.
	Template *string `json:"template,omitempty"`
	// Otherwise is the path of the template of objects without the first.
	Otherwise string `json:"otherwise,omitempty"`
	// PodSpec is the path of a pod spec instead of a template. The annotations
	// are then those of the object.
	PodSpec string `json:"podSpec,omitempty"`
	// Containers are fields of the pod spec that are containers too.
	Containers []string `json:"containers,omitempty"`
	// Inherits says why pods with one of Containers are not known unless that
	// asks for a device itself.
	Inherits string `json:"inherits,omitempty"`
	// Suspended are as those of the object.
	Suspended []string `json:"suspended,omitempty"`
	// Unless is the path of something that, if it is there and not empty, means
	// that there are no such pods.
	Unless string `json:"unless,omitempty"`
	// Replicas is how many there are; without it, one.
	Replicas *Count `json:"replicas,omitempty"`
	// Times are factors: how many pods one of the replicas has.
	Times []Count `json:"times,omitempty"`
	// Scaled: an autoscaler may set the replicas.
	Scaled bool `json:"scaled,omitempty"`
	// Most is up to how many replicas there may be, if not as many as Replicas.
	Most *Most `json:"most,omitempty"`
	// Unbounded is when there is no bound.
	Unbounded *Test `json:"unbounded,omitempty"`
	// Rollout is how a change of the template is brought about.
	Rollout *Rollout `json:"rollout,omitempty"`
	// Uncounted says why it is not known how many such pods there are.
	Uncounted string `json:"uncounted,omitempty"`
	// UncountedIf is the path of something that makes the pods unknown.
	UncountedIf *Reason `json:"uncountedIf,omitempty"`
}

// Count is a number of an object. What is negative is 0.
type Count struct {
	// Path of the number, and what it is if it is not there.
	Path    string `json:"path"`
	Default int64  `json:"default,omitempty"`
	// Plus is added to it.
	Plus int64 `json:"plus,omitempty"`
	// AtLeast and AtMost are paths of bounds, if those are there.
	AtLeast string `json:"atLeast,omitempty"`
	AtMost  string `json:"atMost,omitempty"`
}

// Most is the path of the largest number of replicas. If it is not there, or
// the largest number that there is, there is no bound.
type Most struct {
	Path string `json:"path"`
	// When it matters; without it, always.
	When *Test `json:"when,omitempty"`
}

// Test compares a field, as text, with some values. A field that is not there
// is empty; a list or an object that is not empty is not.
type Test struct {
	Path  string   `json:"path"`
	In    []string `json:"in,omitempty"`
	NotIn []string `json:"notIn,omitempty"`
}

// Reason is a path and what it means if something is there.
type Reason struct {
	Path    string `json:"path"`
	Because string `json:"because"`
}

// Rollout is how pods are replaced when their template changes.
type Rollout struct {
	// Unless another strategy is chosen, which replaces without surge.
	Unless *Test `json:"unless,omitempty"`
	// Twice: all new pods are there before the first of the old ones goes.
	Twice bool `json:"twice,omitempty"`
	// Surge and Unavailable are numbers or percentages of the replicas; the
	// first is rounded up, the second down.
	Surge       Portion `json:"surge,omitzero"`
	Unavailable Portion `json:"unavailable,omitzero"`
}

// Portion is the path of a number or a percentage, and what it is if it is not
// there.
type Portion struct {
	Path    string `json:"path"`
	Default string `json:"default,omitempty"`
}

//go:embed kinds.yaml
var builtin []byte

// BuiltinKinds returns the kinds that are known without any configuration.
func BuiltinKinds() *Kinds { return builtinKinds() }

var builtinKinds = sync.OnceValue(func() *Kinds {
	kinds := &Kinds{byKind: map[schema.GroupKind]*compiledKind{}}
	if err := kinds.add("kinds.yaml", builtin); err != nil {
		// A test compiles them: with a broken table nothing is counted before
		// it is a pod, which still is.
		return &Kinds{}
	}
	return kinds
})

// maxKinds bounds what users may add.
const maxKinds = 256

// With returns the kinds and those that the data of a ConfigMap declares: each
// value is YAML with a list kinds, whatever its key. Entries replace built-in
// ones, but for those of Kubernetes itself. Errors name the key and the entry.
func (k *Kinds) With(data map[string]string) (*Kinds, error) {
	with := &Kinds{byKind: maps.Clone(k.byKind), order: slices.Clone(k.order)}
	if with.byKind == nil {
		with.byKind = map[schema.GroupKind]*compiledKind{}
	}
	declared := map[schema.GroupKind]string{}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		kinds, err := parseKinds(key, []byte(data[key]))
		if err != nil {
			return nil, err
		}
		for i, kind := range kinds {
			at, gk := entryName(key, i, kind), schema.GroupKind{Group: kind.Group, Kind: kind.Kind}
			if other := declared[gk]; other != "" {
				return nil, fmt.Errorf("%s: %s is for the same kind; versions make no difference", at, other)
			}
			declared[gk] = at
			if slices.Contains([]string{"", "apps", "batch"}, kind.Group) && k.byKind[gk] != nil {
				return nil, fmt.Errorf("%s: this kind of Kubernetes is built in and cannot be replaced", at)
			}
			if len(declared) > maxKinds {
				return nil, fmt.Errorf("%s: more than %d kinds", at, maxKinds)
			}
		}
		if err := with.add(key, []byte(data[key])); err != nil {
			return nil, err
		}
	}
	return with, nil
}

// Table returns how each kind is counted, the built-in ones first.
func (k *Kinds) Table() []Kind { return slices.Clone(k.order) }

// Knows reports whether a kind is one whose pods are counted or declared
// unknown. Of others nothing is known, and they are taken to have no pods of
// their own.
func (k *Kinds) Knows(gk schema.GroupKind) bool { return k.byKind[gk] != nil }

func entryName(key string, i int, kind Kind) string {
	return fmt.Sprintf("%s: kinds[%d] (%s)", key, i, schema.GroupKind{Group: kind.Group, Kind: kind.Kind})
}

func parseKinds(key string, text []byte) ([]Kind, error) {
	var file struct {
		Kinds []json.RawMessage `json:"kinds"`
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("%s: read the kinds: %w", key, err)
	}
	kinds := make([]Kind, len(file.Kinds))
	for i, entry := range file.Kinds {
		if err := yaml.UnmarshalStrict(entry, &kinds[i]); err != nil {
			return nil, fmt.Errorf("%s: kinds[%d]: %w", key, i, err)
		}
	}
	return kinds, nil
}

func (k *Kinds) add(key string, text []byte) error {
	kinds, err := parseKinds(key, text)
	if err != nil {
		return err
	}
	for i, kind := range kinds {
		compiled, err := compileKind(kind)
		if err != nil {
			return fmt.Errorf("%s: %w", entryName(key, i, kind), err)
		}
		gk := schema.GroupKind{Group: kind.Group, Kind: kind.Kind}
		k.order = slices.DeleteFunc(k.order, func(other Kind) bool { return other.Group == kind.Group && other.Kind == kind.Kind })
		k.byKind[gk], k.order = compiled, append(k.order, kind)
	}
	return nil
}

func compileKind(kind Kind) (*compiledKind, error) {
	switch {
	case kind.Kind == "":
		return nil, errors.New("kind is empty")
	case kind.Unknown == "" && len(kind.PodSets) == 0:
		return nil, errors.New("podSets is empty; say where its pod templates are, or why they are not known in unknown")
	case kind.Unknown != "" && len(kind.PodSets) > 0:
		return nil, errors.New("it has both unknown and podSets")
	case len(kind.PodSets) > maxPodSets:
		return nil, fmt.Errorf("podSets has more than %d entries", maxPodSets)
	}
	c := &compiler{}
	compiled := &compiledKind{
		unknown: kind.Unknown, finishedConditions: kind.FinishedConditions,
		suspended: c.paths("suspended", kind.Suspended), finished: c.test("finished", kind.Finished),
	}
	for i, set := range kind.PodSets {
		compiled.podSets = append(compiled.podSets, c.podSet(fmt.Sprintf("podSets[%d]", i), set))
	}
	return compiled, errors.Join(c.faults...)
}

// maxPodSets bounds the entries of one kind.
const maxPodSets = 32
