// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package tree makes trees of the GPUQuotas of a cluster and says which of them
// a namespace draws on. It decides and reads nothing: give it the quotas.
package tree

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// Forest is all quotas of a cluster at one time. It does not change and may be
// shared.
type Forest struct {
	quotas   map[string]*Quota
	roots    []string
	excluded map[string]bool
	index    index
	// sources are what the Forest was made of.
	sources map[string]*quotav1.GPUQuota
	// dependents are the quotas whose specs name another as their parent.
	dependents map[string][]string
}

// Quota is one quota as it holds, which is not always as its spec says.
type Quota struct {
	Name string
	// UID is empty for a quota that was only recalled from a ledger.
	UID        types.UID
	Generation int64
	Created    time.Time
	// Spec is the last valid one.
	Spec quotav1.GPUQuotaSpec
	// Hard is what the limits of Spec come to. A class that is absent is not
	// limited; one with 0 allows none.
	Hard gpu.Amounts
	// Parent is the name of the parent, and empty for a root.
	Parent string
	// Root is the name of the root, maybe that of the quota itself.
	Root string
	// Children are the names of the quotas right below, sorted.
	Children []string
	// Devices are the classes of the tree, and Catalogue is how they count; only
	// roots have them.
	Devices   []quotav1.Device
	Catalogue *gpu.Catalogue
	// Problem is why the quota does not hold as its spec says; nil if it does.
	Problem *Problem

	selector *selector
}

// Problem is why a quota does not hold as it is written.
type Problem struct {
	// Reason is one of InvalidSpec, ParentNotFound, Cycle and TooDeep.
	Reason string
	// Message says what is wrong and what holds instead.
	Message string
}

// New makes the Forest of the given quotas, of which there may be any number
// in any order. Where they make no valid trees, what held in previous holds on;
// that may be nil. Namespaces that are excluded draw on no quota.
func New(previous *Forest, quotas []quotav1.GPUQuota, excluded ...string) *Forest {
	f := &Forest{
		quotas: make(map[string]*Quota, len(quotas)), sources: make(map[string]*quotav1.GPUQuota, len(quotas)), excluded: map[string]bool{}, dependents: map[string][]string{},
	}
	for _, name := range excluded {
		f.excluded[name] = true
	}
	for i := range quotas {
		f.sources[quotas[i].Name] = &quotas[i]
		if ref := quotas[i].Spec.ParentRef; ref != nil && ref.Name != quotas[i].Name {
			f.dependents[ref.Name] = append(f.dependents[ref.Name], quotas[i].Name)
		}
		if q := compile(&quotas[i], previous.before(&quotas[i])); q != nil {
			f.quotas[q.Name] = q
		}
	}
	for _, names := range f.dependents {
		slices.Sort(names)
	}
	f.connect(previous)
	f.index = newIndex(f.byAge())
	return f
}

// Recalled is a quota as a ledger has it.
type Recalled struct {
	Name, Parent string
	// Devices are those of its tree.
	Devices []quotav1.Device
}

// Recall makes of what ledgers say a Forest that is good for one thing: to be
// the previous one of the first that a process makes, so that trees which held
// before it started hold on.
func Recall(quotas []Recalled) *Forest {
	f := &Forest{quotas: make(map[string]*Quota, len(quotas))}
	for _, r := range quotas {
		f.quotas[r.Name] = &Quota{Name: r.Name, Parent: r.Parent, Devices: r.Devices}
	}
	// The ledgers were read one after the other: together they may say anything.
	for _, name := range slices.Sorted(maps.Keys(f.quotas)) {
		q := f.quotas[name]
		if top := f.quotas[f.climb(name)]; f.quotas[q.Parent] == nil || f.quotas[top.Parent] != nil {
			q.Parent = ""
		}
	}
	for _, q := range f.quotas {
		q.Root = f.climb(q.Name)
	}
	return f
}

// With is the Forest that would be, if the given quotas were created or
// replaced and others removed. A quota without a creation time counts as the
// youngest.
func (f *Forest) With(changed []quotav1.GPUQuota, removed ...string) *Forest {
	sources := maps.Clone(f.sources)
	for _, name := range removed {
		delete(sources, name)
	}
	for i := range changed {
		q := changed[i].DeepCopy()
		if old := f.sources[q.Name]; old != nil {
			q.UID, q.CreationTimestamp = old.UID, old.CreationTimestamp
		}
		sources[q.Name] = q
	}
	quotas := make([]quotav1.GPUQuota, 0, len(sources))
	for _, q := range sources {
		quotas = append(quotas, *q)
	}
	return New(f, quotas, slices.Collect(maps.Keys(f.excluded))...)
}

// Quota returns a quota, or nil. A quota whose spec was never valid is not in
// the Forest; Problem knows it.
func (f *Forest) Quota(name string) *Quota { return f.quotas[name] }

// Problem returns why a quota does not hold as its spec says, or nil.
func (f *Forest) Problem(name string) *Problem {
	if q := f.quotas[name]; q != nil {
		return q.Problem
	}
	if source := f.sources[name]; source != nil {
		if _, err := parse(source); err != nil {
			return invalid(err, "it is not enforced until then")
		}
	}
	return nil
}

// Roots returns the names of all roots, sorted.
func (f *Forest) Roots() []string { return f.roots }

// Catalogue returns how the tree of a root counts, or nil if there is no such
// root.
func (f *Forest) Catalogue(root string) *gpu.Catalogue {
	if q := f.quotas[root]; q != nil {
		return q.Catalogue
	}
	return nil
}

// Path returns the quota and its ancestors up to the root. It is nil for a
// quota that does not exist.
func (f *Forest) Path(quota string) []string {
	var path []string
	for q := f.quotas[quota]; q != nil && len(path) < quotav1.MaxDepth; q = f.quotas[q.Parent] {
		path = append(path, q.Name)
	}
	return path
}

// Members returns all quotas of a tree by the name of its root, parents before
// children and otherwise sorted by name.
func (f *Forest) Members(root string) []*Quota {
	q := f.quotas[root]
	if q == nil || q.Parent != "" {
		return nil
	}
	members := []*Quota{q}
	for i := 0; i < len(members); i++ {
		for _, child := range members[i].Children {
			members = append(members, f.quotas[child])
		}
	}
	return members
}

// Size is how many quotas there are.
func (f *Forest) Size() int { return len(f.quotas) }

// Dependents returns the names of the quotas whose specs name a quota as their
// parent, whether that holds or not, sorted.
func (f *Forest) Dependents(quota string) []string { return f.dependents[quota] }

// Excluded reports whether a namespace draws on no quota because it is a
// system's.
func (f *Forest) Excluded(namespace string) bool { return f.excluded[namespace] }

// byAge returns all quotas, the oldest first.
func (f *Forest) byAge() []*Quota {
	quotas := make([]*Quota, 0, len(f.quotas))
	for _, q := range f.quotas {
		quotas = append(quotas, q)
	}
	slices.SortFunc(quotas, func(a, b *Quota) int {
		// One that does not exist yet will be the youngest.
		if a.Created.IsZero() != b.Created.IsZero() {
			if a.Created.IsZero() {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	return quotas
}

// before returns what the Forest has of the same quota, or nil. What was
// recalled from a ledger has no UID.
func (f *Forest) before(quota *quotav1.GPUQuota) *Quota {
	if f == nil {
		return nil
	}
	q := f.quotas[quota.Name]
	if q == nil || q.UID != "" && q.UID != quota.UID {
		return nil
	}
	return q
}
