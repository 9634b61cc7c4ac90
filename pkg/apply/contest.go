// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/weir-gitops/weir/pkg/apply/diff"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
)

// A path that was put back against the same manager this often within the
// window is contested: reverting it once more would only go on forever.
const (
	contestReverts = 3
	contestWindow  = 10 * time.Minute
)

// Contender is somebody else who set a path of ours. The manager is empty for
// a path that was removed.
type Contender struct {
	Path, Manager string
}

func (c Contender) String() string {
	if c.Manager == "" {
		return c.Path + " removed"
	}
	return c.Path + " set by " + c.Manager
}

// ours tells which fields of an object our own applies claim.
type ours func(obj *unstructured.Unstructured) *fieldpath.Set

// ours leaves out what is left to others: whoever sets that is nobody's
// contender.
func (e *Engine) ours(set *Set, d *Desired) ours {
	self := e.config.Watch.Managers.Self
	return func(obj *unstructured.Unstructured) *fieldpath.Set {
		fields, tree := claimed(obj, self), exemption.NewTree(e.left(set, d, obj, health.InQueue(obj)))
		if tree == nil {
			return fields
		}
		return without(fields, func(path fieldpath.Path) bool { return tree.Covers(path, obj.Object) })
	}
}

// without returns the fields of a set that are not to go.
func without(fields *fieldpath.Set, goes func(fieldpath.Path) bool) *fieldpath.Set {
	kept := fieldpath.NewSet()
	fields.Iterate(func(path fieldpath.Path) {
		if !goes(path) {
			kept.Insert(path.Copy())
		}
	})
	return kept
}

// standing returns the contested paths, if nothing but contested paths has
// drifted. As soon as another path has, the object is put back as a whole.
func (c *contest) standing(live *unstructured.Unstructured, ours ours, now time.Time) []Contender {
	if c.fields == nil {
		return nil
	}
	lost := contenders(c.fields, live, ours)
	for _, l := range lost {
		if len(recent(c.reverts[l], now)) < contestReverts {
			return nil
		}
	}
	return lost
}

// revert notes what an apply has put back, and returns it.
func (c *contest) revert(live, result *unstructured.Unstructured, ours ours, now time.Time) []Contender {
	c.fields = ours(result)
	lost := contenders(c.fields, live, ours)
	if c.reverts == nil {
		c.reverts = map[Contender][]time.Time{}
	}
	for _, l := range lost {
		c.reverts[l] = append(recent(c.reverts[l], now), now)
	}
	return lost
}

// settled reports whether no path is contested any more.
func (c *contest) settled(now time.Time) bool {
	for _, times := range c.reverts {
		if len(recent(times, now)) >= contestReverts {
			return false
		}
	}
	return true
}

func recent(times []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return now.Sub(t) > contestWindow })
}

// contenders returns the paths that we claim and no longer own in the live
// object, each with its owner.
func contenders(fields *fieldpath.Set, live *unstructured.Unstructured, ours ours) []Contender {
	lost := fields.Difference(ours(live)).Leaves()
	entries := live.GetManagedFields()
	others := make([]*fieldpath.Set, len(entries))
	for i, entry := range entries {
		others[i] = diff.Claims(entry)
	}
	var out []Contender
	lost.Iterate(func(path fieldpath.Path) {
		contender := Contender{Path: path.String()}
		for i, entry := range entries {
			if others[i].Has(path) {
				contender.Manager = entry.Manager
			}
		}
		out = append(out, contender)
	})
	slices.SortFunc(out, func(a, b Contender) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// claimed returns the fields that our last apply owns in obj.
func claimed(obj *unstructured.Unstructured, self string) *fieldpath.Set {
	for _, entry := range obj.GetManagedFields() {
		if entry.Manager == self && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			return diff.Claims(entry)
		}
	}
	return fieldpath.NewSet()
}
