// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/pkg/oci"
)

// Many names of dead registries are many hosts, and one namespace.
func TestQueueOfNamespaces(t *testing.T) {
	t.Parallel()
	q := newQueue(8, 4)
	entryAt := func(host, namespace string) *entry {
		repo, err := oci.ParseRepository(host + ".example.com/m")
		if err != nil {
			t.Fatal(err)
		}
		return &entry{key: Key{Repository: repo, Namespace: namespace}}
	}
	for i := range 20 {
		q.push(entryAt(fmt.Sprint("h", i), "evil"))
	}
	q.push(entryAt("h1", "evil"))
	q.push(entryAt("h1", "good"))
	q.push(entryAt("g", "good"))
	var order []string
	var begun []*entry
	for e := q.pop(); e != nil; e = q.pop() {
		order, begun = append(order, e.space), append(begun, e)
		e.key.Namespace = "changed meanwhile"
	}
	if got := strings.Join(order, " "); got != "evil evil good good" {
		t.Errorf("order %q", got)
	}
	for _, e := range begun {
		q.done(e, false)
	}
	if q.running != 0 || len(q.spaces) != 0 || q.length != 19 {
		t.Errorf("%+v after all have ended", q)
	}
}
