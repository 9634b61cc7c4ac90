// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A server that lets some be seen by label only is not at hand: what it would
// answer is told to the desk.
func TestDeskByLabel(t *testing.T) {
	t.Parallel()
	woken := 0
	r := &References{wake: func(types.NamespacedName) { woken++ }, desks: map[where]*desk{}, users: map[types.NamespacedName]map[Reference]struct{}{}}
	d := &desk{of: r, cancel: func() {}, present: map[string]string{}, users: map[string]map[types.NamespacedName]reader{}}
	r.desks[where{"Secret", "n"}] = d
	who := types.NamespacedName{Name: "u"}
	read := "1/1"
	follow := func() Basis {
		return r.Follow(who, []Reference{{Kind: "Secret", Namespace: "n", Name: "labelled", Version: read}, {Kind: "Secret", Namespace: "n", Name: "plain", Version: "2/2"}})
	}
	object := func(name, uid, version string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), ResourceVersion: version}}
	}
	expect := func(when string, want int) {
		t.Helper()
		if woken != want {
			t.Errorf("%s: woken %d times, want %d", when, woken, want)
		}
		woken = 0
	}
	follow()
	d.begin(Watched)
	d.Asked(errors.New("forbidden"))
	d.begin(Labelled)
	expect("while it is being tried", 0)
	d.Asked(nil)
	expect("once it is by label", 1)
	_ = d.Replace([]any{object("labelled", "1", "1")}, "")
	if got := follow(); got != Labelled {
		t.Errorf("got %s", got)
	}
	expect("what is not labelled is out of sight", 0)
	_ = d.Update(object("labelled", "1", "5"))
	expect("a change", 1)
	read = "1/5"
	follow()

	// More is permitted.
	d.begin(Watched)
	_ = d.Replace([]any{object("labelled", "1", "5"), object("plain", "2", "2")}, "")
	expect("what comes into sight as it was read", 0)
	d.Asked(nil)
	expect("once it is watched", 1)
	_ = d.Delete(object("plain", "2", "6"))
	expect("a deletion", 1)
	if got := follow(); got != Watched {
		t.Errorf("got %s", got)
	}
}
