// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"maps"
	"slices"
	"strings"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// charger says what pods are charged for in one tree. Pods that ask for the
// same on nodes that are the same to the classes are calculated once.
type charger struct {
	catalogue *gpu.Catalogue
	node      func(name string) map[string]string
	// labels are the keys that make nodes different, sorted.
	labels []string

	kinds map[string]string // by node
	memo  map[charged]gpu.Amounts
}

// charged is what decides over a charge.
type charged struct {
	shape *gpu.Shape
	// node is what of a node matters; empty without one that is known.
	node string
}

func newCharger(root *tree.Quota, node func(string) map[string]string) *charger {
	labels := map[string]bool{}
	for _, device := range root.Devices {
		for label := range device.Match.NodeLabels {
			labels[label] = true
		}
	}
	return &charger{catalogue: root.Catalogue, node: node, labels: slices.Sorted(maps.Keys(labels)), kinds: map[string]string{}, memo: map[charged]gpu.Amounts{}}
}

// key returns what decides over the charge of a pod.
func (c *charger) key(pod *holdings.Pod) charged {
	return charged{pod.Shape, c.kind(pod.Node)}
}

// kind returns what of a node matters to the classes.
func (c *charger) kind(node string) string {
	if node == "" {
		return ""
	}
	kind, ok := c.kinds[node]
	if !ok {
		if labels := c.node(node); labels != nil {
			parts := []string{"bound"}
			for _, key := range c.labels {
				value, has := labels[key]
				if has {
					value = "=" + value
				}
				parts = append(parts, value)
			}
			kind = strings.Join(parts, "\n")
		}
		c.kinds[node] = kind
	}
	return kind
}

// charge returns what a pod is charged for by class.
func (c *charger) charge(pod *holdings.Pod) gpu.Amounts {
	key := c.key(pod)
	amounts, ok := c.memo[key]
	if !ok {
		amounts = c.catalogue.Charge(*pod.Shape, c.labelsOf(pod, key))
		c.memo[key] = amounts
	}
	return amounts
}

func (c *charger) labelsOf(pod *holdings.Pod, key charged) map[string]string {
	if key.node == "" {
		return nil
	}
	return c.node(pod.Node)
}

// replacement returns what a pod is charged for that takes the place of
// another: as much as that one, and until it is bound as much as that one
// before it was.
func (c *charger) replacement(pod *holdings.Pod) gpu.Amounts {
	return c.charge(pod).Max(c.catalogue.Charge(*pod.Shape, nil))
}

// found is what a tally says of the quotas of a tree.
type found struct {
	// used is by quota, of its own pods.
	used map[string]gpu.Amounts
	// unknown are resources that no class counts, by quota, sorted.
	unknown map[string][]string
	// claims are how many claims for devices pods name, by quota.
	claims map[string]int64
}

// tally sums up what pods hold. Owner returns the quota of a namespace; pods
// without one are left out.
func (c *charger) tally(pods []*holdings.Pod, owner func(namespace string) string) found {
	type place struct {
		quota string
		charged
	}
	counts := map[place]int64{}
	example := map[place]*holdings.Pod{}
	f := found{used: map[string]gpu.Amounts{}, unknown: map[string][]string{}, claims: map[string]int64{}}
	for _, pod := range pods {
		if pod.Phase != holdings.Holding {
			continue
		}
		quota := owner(pod.Namespace)
		if quota == "" {
			continue
		}
		at := place{quota, c.key(pod)}
		counts[at]++
		example[at] = pod
	}
	for at, n := range counts {
		pod := example[at]
		f.used[at.quota] = f.used[at.quota].Add(c.charge(pod).Times(n))
		f.unknown[at.quota] = append(f.unknown[at.quota], c.catalogue.UnknownAt(*pod.Shape, c.labelsOf(pod, at.charged))...)
		f.claims[at.quota] += n * int64(pod.Shape.Claims)
	}
	for quota, resources := range f.unknown {
		slices.Sort(resources)
		f.unknown[quota] = slices.Compact(resources)
	}
	return f
}

// prescribe writes what a Forest says of a tree into its record. What is used
// stays.
func prescribe(r *ledger.Record, f *tree.Forest, root string) {
	members := f.Members(root)
	quotas := make(map[string]ledger.Quota, len(members))
	for _, q := range members {
		quotas[q.Name] = ledger.Quota{
			Parent:      q.Parent,
			Generation:  q.Generation,
			Hard:        q.Hard,
			Admission:   stated(q.Spec.Enforcement.Admission),
			Gate:        stated(q.Spec.Enforcement.Gate),
			Suspended:   q.Spec.Suspend,
			PerWorkload: q.Spec.PerWorkload,
			Used:        r.Quotas[q.Name].Used,
		}
	}
	r.Quotas, r.Devices = quotas, f.Quota(root).Devices
}

// stated leaves the default out, which an empty field means.
func stated(e quotav1.Enforcement) quotav1.Enforcement {
	if e == quotav1.Enforce {
		return ""
	}
	return e
}

// Unselected returns what pods hold, counted as GPUs, by namespace, where no
// quota selects the namespace. Those of the system are left out.
func Unselected(store *holdings.Store, state *view.State) map[string]gpu.Amounts {
	catalogue, err := gpu.Compile(nil)
	if err != nil {
		return nil
	}
	c := newCharger(&tree.Quota{Catalogue: catalogue}, store.Node)
	snapshot := store.Snapshot(func(ns string) bool { return state.Owner[ns] == "" && !state.Forest.Excluded(ns) })
	return c.tally(snapshot.Pods, func(ns string) string { return ns }).used
}
