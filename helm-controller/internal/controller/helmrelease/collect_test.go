// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
)

// ended is a Runner whose action has ended.
type ended struct {
	Runner
	outcome helm.Outcome
}

func (e *ended) Take(types.NamespacedName) (helm.Outcome, bool) { return e.outcome, true }

// What an action has come to counts for the HelmRelease that began it, and if it
// is known.
func TestWhichOutcomesAreRecorded(t *testing.T) {
	step := state.Step{Action: state.Uninstall, Target: state.Target{Name: "web", Namespace: "team", StorageNamespace: "team"}}
	for name, tc := range map[string]struct {
		running *state.Step
		unknown bool
		// pending and done are what is left after it.
		pending bool
		done    int
	}{
		"of a HelmRelease that is no more": {nil, false, true, 0},
		"not known":                        {&step, true, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Controller{Runner: &ended{outcome: helm.Outcome{Step: step, Unknown: tc.unknown, Err: errors.New("it failed")}}}
			obj := templated()
			state.Begin(obj, step, time.Now())
			s := c.newScope(obj, nil)
			s.memory.running = tc.running
			if err := c.collect(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			pending := obj.Status.Weir != nil && obj.Status.Weir.Pending != nil
			if pending != tc.pending || len(s.memory.done) != tc.done || s.memory.running != nil || len(obj.Status.Conditions) > 0 {
				t.Errorf("pending %t, done %v, status %+v", pending, s.memory.done, obj.Status)
			}
		})
	}
}
