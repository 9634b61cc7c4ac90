// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func TestCrowd(t *testing.T) {
	one, two, three := &Cluster{Name: "one"}, &Cluster{Name: "two"}, &Cluster{Name: "three"}
	c := newCrowd(4)
	enter := func(cluster *Cluster, name string, want bool) {
		t.Helper()
		if got := c.enter(cluster, types.NamespacedName{Name: name}); got != want {
			t.Errorf("%s enters %s: %v, want %v", name, cluster.Name, got, want)
		}
	}
	leave := func(cluster *Cluster, want ...string) {
		t.Helper()
		var got []string
		for _, owner := range c.leave(cluster) {
			got = append(got, owner.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("called when one leaves %s (-want +got):\n%s", cluster.Name, diff)
		}
	}
	enter(one, "a", true)
	enter(one, "b", true)
	enter(one, "c", false) // half of the workers are there
	enter(one, "c", false)
	enter(two, "d", true)
	enter(two, "e", false) // the last worker is not for remote clusters
	enter(three, "f", false)
	leave(two, "e", "f")
	enter(three, "f", true)
	enter(two, "e", false)
	leave(one, "c", "e")
	enter(one, "c", true)
	leave(one)
	leave(one)
	leave(three)
	if len(c.busy) != 0 || c.sum != 0 || len(c.queue) != 0 || len(c.waiting) != 0 {
		t.Errorf("left over: %+v", c)
	}
	single := newCrowd(1)
	if !single.enter(one, types.NamespacedName{}) || single.enter(two, types.NamespacedName{}) {
		t.Error("want the one worker to have one place")
	}
}
