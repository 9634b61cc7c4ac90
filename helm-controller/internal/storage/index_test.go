// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// heard is a Secret in an event of the watch.
func heard(key, uid, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n", Name: key, UID: types.UID(uid), ResourceVersion: version, Labels: map[string]string{"name": "shop", "owner": "helm"},
	}}
}

// answered is a Secret in the answer to a request.
func answered(key, uid, version string) *entry {
	return &entry{key: key, uid: types.UID(uid), version: version, labels: map[string]string{"name": "shop", "owner": "helm"}}
}

// story is what a watch and requests bring, in some order.
type story struct {
	steps []func(*index)
	want  string // what the index says in the end
	told  int    // how often somebody else has changed something
}

func listed(items ...any) func(*index) {
	return func(i *index) { i.Listing(); i.Asked(nil); _ = i.Replace(items, "1") }
}

func TestIndexOfLists(t *testing.T) {
	t.Parallel()
	tell(t, map[string]story{
		"before the first list": {steps: []func(*index){func(i *index) { i.has("n", answered("a", "1", "1")) }}, want: "unknown"},
		"an empty list":         {steps: []func(*index){listed()}, want: ""},
		"a list": {
			steps: []func(*index){listed(heard("a", "1", "1"), heard("b", "2", "2"))}, want: "a=1/1 b=2/2",
		},
		"a list that is older than a write": {
			steps: []func(*index){
				(*index).Listing,
				func(i *index) { i.has("n", answered("a", "1", "5")) },
				func(i *index) { _ = i.Replace(nil, "4") },
			}, want: "a=1/5",
		},
		"a list that is newer than a write": {
			steps: []func(*index){func(i *index) { i.has("n", answered("a", "1", "5")) }, listed()}, want: "",
		},
		"a list that was begun anew after a write": {
			steps: []func(*index){
				(*index).Listing,
				func(i *index) { i.has("n", answered("a", "1", "5")) },
				(*index).Listing,
				func(i *index) { _ = i.Replace(nil, "6") },
			}, want: "",
		},
	})
}

func TestIndexOfEvents(t *testing.T) {
	t.Parallel()
	tell(t, map[string]story{
		"the deletion of an older one of that name": {
			steps: []func(*index){
				listed(heard("a", "1", "1")),
				func(i *index) { i.gone("n", "a", "1"); i.has("n", answered("a", "2", "5")) },
				func(i *index) { _ = i.Delete(heard("a", "1", "4")) },
			}, want: "a=2/5",
		},
		"a deletion": {
			steps: []func(*index){listed(heard("a", "1", "1")), func(i *index) { _ = i.Delete(heard("a", "1", "4")) }}, want: "", told: 1,
		},
		"an event of a write that is under way": {
			steps: []func(*index){listed(), func(i *index) {
				done := i.write("n", "a")
				_ = i.Add(heard("a", "1", "1"))
				i.has("n", answered("a", "1", "1"))
				done()
				_ = i.Update(heard("a", "1", "1"))
			}}, want: "a=1/1",
		},
		"events of writes that come late": {
			steps: []func(*index){listed(), func(i *index) {
				i.wrote("n", answered("a", "1", "1"))
				i.wrote("n", answered("a", "1", "2"))
				_ = i.Add(heard("a", "1", "1"))
			}}, want: "a=1/2",
		},
		"events of others after those": {
			steps: []func(*index){listed(), func(i *index) {
				i.wrote("n", answered("a", "1", "1"))
				i.wrote("n", answered("a", "1", "2"))
				_ = i.Add(heard("a", "1", "1"))
				_ = i.Add(heard("a", "1", "2"))
				_ = i.Add(heard("a", "1", "3"))
			}}, want: "a=1/3", told: 1,
		},
		"an event of another that is missed between": {
			steps: []func(*index){listed(), func(i *index) {
				i.wrote("n", answered("a", "1", "1"))
				_ = i.Add(heard("a", "1", "9"))
			}}, want: "a=1/9", told: 1,
		},
		"an event after a write": {
			steps: []func(*index){listed(), func(i *index) {
				i.write("n", "a")()
				i.has("n", answered("a", "1", "1"))
				_ = i.Update(heard("a", "1", "2"))
			}}, want: "a=1/2", told: 1,
		},
		"one that was renamed": {
			steps: []func(*index){listed(heard("a", "1", "1")), func(i *index) {
				other := heard("a", "1", "2")
				other.Labels["name"] = "other"
				_ = i.Update(other)
			}}, want: "", told: 1,
		},
		"the API server is away": {
			steps: []func(*index){listed(heard("a", "1", "1")), func(i *index) { i.Asked(errors.New("away")) }}, want: "unknown",
		},
		"it is back": {
			steps: []func(*index){listed(heard("a", "1", "1")), func(i *index) { i.Asked(errors.New("away")); i.Asked(nil) }}, want: "a=1/1",
		},
		"a Secret that is not Helm's": {
			steps: []func(*index){listed(), func(i *index) { i.has("n", &entry{key: "a", labels: map[string]string{"name": "shop"}}) }}, want: "",
		},
	})
}

func tell(t *testing.T, stories map[string]story) {
	t.Helper()
	for name, test := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := 0
			i := newIndex(func(types.NamespacedName) { told++ })
			for _, step := range test.steps {
				step(i)
			}
			found, known := i.release("n", "shop")
			var got []string
			for _, key := range slices.Sorted(maps.Keys(found)) {
				got = append(got, key+"="+string(found[key].uid)+"/"+found[key].version)
			}
			if !known {
				got = []string{"unknown"}
			}
			if strings.Join(got, " ") != test.want || told != test.told {
				t.Errorf("got %v and %d changes, want %s and %d", got, told, test.want, test.told)
			}
		})
	}
}
