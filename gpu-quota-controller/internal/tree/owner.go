// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// selector says which namespaces a quota selects.
type selector struct {
	names  []string
	labels labels.Selector
	// key and values are a requirement that every selected namespace meets;
	// without values any value meets it.
	key    string
	values []string
}

// newSelector compiles the selector of a spec. It is nil for a quota that
// selects nothing, as one that is only there to be a parent.
func newSelector(spec *quotav1.GPUQuotaSpec) (*selector, error) {
	switch {
	case spec.NamespaceSelector != nil && len(spec.Namespaces) > 0:
		return nil, errors.New("spec.namespaces: name the namespaces or select them by label, not both")
	case spec.NamespaceSelector == nil && len(spec.Namespaces) == 0:
		return nil, nil
	case spec.NamespaceSelector == nil:
		return &selector{names: spec.Namespaces}, nil
	}
	compiled, err := metav1.LabelSelectorAsSelector(spec.NamespaceSelector)
	if err != nil {
		return nil, fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	s := &selector{labels: compiled}
	requirements, _ := compiled.Requirements()
	for i := range requirements {
		switch requirements[i].Operator() {
		case selection.In, selection.Equals, selection.DoubleEquals:
			s.key, s.values = requirements[i].Key(), requirements[i].ValuesUnsorted()
		case selection.Exists:
			if s.key == "" {
				s.key = requirements[i].Key()
			}
		default:
		}
	}
	if s.key == "" {
		return nil, errors.New("spec.namespaceSelector: at least one requirement must be an equality, In or Exists")
	}
	return s, nil
}

// namespace is the labels of a namespace. The label with its name is there
// before the API server has set it.
type namespace struct {
	name   string
	labels map[string]string
}

var _ labels.Labels = namespace{}

// Has implements labels.Labels.
func (n namespace) Has(key string) bool {
	_, ok := n.Lookup(key)
	return ok
}

// Get implements labels.Labels.
func (n namespace) Get(key string) string {
	value, _ := n.Lookup(key)
	return value
}

// Lookup implements labels.Labels.
func (n namespace) Lookup(key string) (string, bool) {
	if key == labelMetadataName {
		return n.name, true
	}
	value, ok := n.labels[key]
	return value, ok
}

// labelMetadataName is the label with which the API server marks every
// namespace.
const labelMetadataName = "kubernetes.io/metadata.name"

type pair struct{ key, value string }

// index finds the quotas that may select a namespace without a look at all of
// them. Quotas are known by their rank in age.
type index struct {
	ranked []*Quota
	byName map[string][]int
	byPair map[pair][]int
	byKey  map[string][]int
}

// newIndex takes the quotas ordered by age.
func newIndex(ranked []*Quota) index {
	ix := index{ranked: ranked, byName: map[string][]int{}, byPair: map[pair][]int{}, byKey: map[string][]int{}}
	for rank, q := range ranked {
		s := q.selector
		switch {
		case s == nil:
		case s.labels == nil:
			for _, name := range s.names {
				ix.byName[name] = append(ix.byName[name], rank)
			}
		case len(s.values) == 0:
			ix.byKey[s.key] = append(ix.byKey[s.key], rank)
		default:
			for _, value := range s.values {
				ix.byPair[pair{s.key, value}] = append(ix.byPair[pair{s.key, value}], rank)
			}
		}
	}
	return ix
}

// matches appends the ranks of the quotas that select a namespace to ranks,
// the oldest first.
func (ix index) matches(ns namespace, ranks []int) []int {
	ranks = append(ranks, ix.byName[ns.name]...)
	consider := func(candidates []int) {
		for _, rank := range candidates {
			if ix.ranked[rank].selector.labels.Matches(ns) {
				ranks = append(ranks, rank)
			}
		}
	}
	label := func(key, value string) {
		consider(ix.byPair[pair{key, value}])
		consider(ix.byKey[key])
	}
	label(labelMetadataName, ns.name)
	for key, value := range ns.labels {
		if key != labelMetadataName {
			label(key, value)
		}
	}
	slices.Sort(ranks)
	return ranks
}

// Owner returns the quota that the pods of a namespace draw on, and the root of
// its tree: of the quotas that select the namespace the oldest, by creation
// time and then by name. ok is false if none does, or if the namespace is
// excluded.
func (f *Forest) Owner(name string, nsLabels map[string]string) (quota, root string, ok bool) {
	if f.excluded[name] {
		return "", "", false
	}
	var space [8]int
	ranks := f.index.matches(namespace{name, nsLabels}, space[:0])
	if len(ranks) == 0 {
		return "", "", false
	}
	owner := f.index.ranked[ranks[0]]
	return owner.Name, owner.Root, true
}

// Namespace is what a namespace is selected by.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// Overlap is a namespace that a quota selects and an older one owns.
type Overlap struct {
	Namespace, Owner string
}

// Assignment says who owns each of some namespaces.
type Assignment struct {
	// Owner is the name of the quota by namespace; those without one are
	// absent.
	Owner map[string]string
	// Count is how many namespaces a quota owns.
	Count map[string]int
	// Overlaps are what a quota selects and does not own, in the order of the
	// namespaces.
	Overlaps map[string][]Overlap
}

// Assign finds the owners of namespaces.
func (f *Forest) Assign(namespaces []Namespace) Assignment {
	a := Assignment{Owner: make(map[string]string, len(namespaces)), Count: map[string]int{}, Overlaps: map[string][]Overlap{}}
	var ranks []int
	for _, ns := range namespaces {
		if f.excluded[ns.Name] {
			continue
		}
		ranks = f.index.matches(namespace{ns.Name, ns.Labels}, ranks[:0])
		for i, rank := range ranks {
			name, owner := f.index.ranked[rank].Name, f.index.ranked[ranks[0]].Name
			if i == 0 {
				a.Owner[ns.Name] = owner
				a.Count[owner]++
				continue
			}
			a.Overlaps[name] = append(a.Overlaps[name], Overlap{Namespace: ns.Name, Owner: owner})
		}
	}
	return a
}
