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

// standing returns the contested paths, if nothing but contested paths has
// drifted. As soon as another path has, the object is put back as a whole.
func (c *contest) standing(live *unstructured.Unstructured, self string, now time.Time) []Contender {
	if c.fields == nil {
		return nil
	}
	lost := contenders(c.fields, live, self)
	for _, l := range lost {
		if len(recent(c.reverts[l], now)) < contestReverts {
			return nil
		}
	}
	return lost
}

// revert notes what an apply has put back, and returns it.
func (c *contest) revert(live, result *unstructured.Unstructured, self string, now time.Time) []Contender {
	c.fields = claimed(result, self)
	lost := contenders(c.fields, live, self)
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
func contenders(ours *fieldpath.Set, live *unstructured.Unstructured, self string) []Contender {
	lost := ours.Difference(claimed(live, self)).Leaves()
	others := map[string]*fieldpath.Set{}
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != self || entry.Operation != metav1.ManagedFieldsOperationApply {
			others[entry.Manager] = diff.Claims(entry)
		}
	}
	var out []Contender
	lost.Iterate(func(path fieldpath.Path) {
		contender := Contender{Path: path.String()}
		for manager, fields := range others {
			if fields.Has(path) {
				contender.Manager = manager
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
