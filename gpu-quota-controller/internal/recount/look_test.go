// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// asked answers what owners want, and remembers which kinds it was asked about.
type asked struct {
	parents
	kinds map[schema.GroupKind]bool
}

func (a asked) Wish(_ context.Context, owner holdings.Owner) (holdings.Wish, error) {
	a.kinds[owner.GroupKind()] = true
	return holdings.Wish{Exists: true, UID: "u", Completions: -1}, nil
}

func TestObjectsOfGrantsAreAskedByTheirKind(t *testing.T) {
	walker := asked{kinds: map[schema.GroupKind]bool{}}
	r := &Recounter{Options: Options{Walker: walker, Log: logr.Discard()}}
	root := newRoot("q")
	root.grants.follow([]ledger.Grant{{Owner: "k", Objects: []ledger.GrantObject{
		{Key: "batch/Job/n1/train"}, {Key: "kubeflow.org/PyTorchJob/n1/train"}, {Key: "/Pod/n1/shell"},
	}}}, epoch)
	r.lookAt(t.Context(), root, epoch)
	for _, want := range []schema.GroupKind{{Group: "batch", Kind: "Job"}, {Group: "kubeflow.org", Kind: "PyTorchJob"}, {Kind: "Pod"}} {
		if !walker.kinds[want] {
			t.Errorf("%s was not asked about, but %v", want, walker.kinds)
		}
	}
}

// What a revision replaces has often finished, or is away for a while: what was
// granted is for the one that comes.
func TestEndOfAnObject(t *testing.T) {
	running := holdings.Wish{Exists: true, UID: "new"}
	finished := holdings.Wish{Exists: true, UID: "new", Finished: true}
	before := holdings.Wish{Exists: true, UID: "old", Finished: true}
	away := holdings.Wish{}
	for name, tc := range map[string]struct {
		fed   bool
		looks []holdings.Wish
		every time.Duration
		ended bool
	}{
		"not there yet":                   {false, []holdings.Wish{away, away}, time.Hour, false},
		"it runs":                         {false, []holdings.Wish{running, running}, lookEvery, false},
		"it finished":                     {false, []holdings.Wish{running, finished}, lookEvery, true},
		"it came and finished at once":    {false, []holdings.Wish{away, finished}, lookEvery, true},
		"it finished, and had pods":       {true, []holdings.Wish{finished}, lookEvery, true},
		"the one before had finished":     {false, []holdings.Wish{before, before}, time.Hour, false},
		"another one finished after that": {false, []holdings.Wish{before, away, finished}, lookEvery, true},
		"being replaced":                  {false, []holdings.Wish{running, away, away, running}, lookEvery, false},
		"gone for good":                   {false, []holdings.Wish{running, away, away}, replaceTime, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := &object{fed: tc.fed}
			now := epoch
			for _, wish := range tc.looks {
				o.look(wish, now)
				now = now.Add(tc.every)
			}
			if o.ended != tc.ended {
				t.Errorf("ended: %t", o.ended)
			}
		})
	}
}
