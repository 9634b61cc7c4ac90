// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/cluster/internal/node"
	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// newKeeper returns a supervisor whose one component is a program that does nothing.
func newKeeper(t *testing.T) *supervisor {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &supervisor{group: process.NewGroup(), state: State{Dir: dir, Phase: Ready}}
	t.Cleanup(s.group.Close)
	if err := s.launch(process.Spec{Name: "sleeper", Path: sleep, Args: []string{"600"}, Log: filepath.Join(dir, "log")}, true); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestActOn(t *testing.T) {
	t.Parallel()
	s := newKeeper(t)
	steps := []struct {
		request componentRequest
		running bool
		err     string
	}{
		{componentRequest{"sleeper", StartComponent}, true, "running already"},
		{componentRequest{"nobody", StopComponent}, true, "there are [sleeper]"},
		{componentRequest{"sleeper", StopComponent}, false, ""},
		{componentRequest{"sleeper", KillComponent}, false, "it does not run"},
		{componentRequest{"sleeper", StartComponent}, true, ""},
		{componentRequest{"sleeper", KillComponent}, false, ""},
		{componentRequest{"sleeper", StartComponent}, true, ""},
	}
	for _, step := range steps {
		err := s.actOn(t.Context(), step.request)
		if (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) {
			t.Errorf("%+v returned %v, want %q in it", step.request, err, step.err)
		}
		state, err := readState(s.state.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(state.Components) != 1 || (state.Components[0].PID != 0) != step.running {
			t.Errorf("after %+v the components are %+v, want one that runs: %t", step.request, state.Components, step.running)
		}
	}
}

// A component that was stopped meanwhile, or started again by somebody, is not restarted.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newKeeper(t)
	first := s.components[0].process
	first.Stop()
	s.restart(first)
	second := s.components[0].process
	if second == first || s.state.Components[0].Restarts != 1 || s.state.Components[0].PID != second.PID {
		t.Errorf("after a restart the component is %+v", s.state.Components[0])
	}
	s.restart(first)
	if s.components[0].process != second {
		t.Error("a component was restarted for the end of a process that was replaced")
	}
	if err := s.stopControlPlane(); err != nil {
		t.Fatal(err)
	}
	s.restart(second)
	if s.components[0].process != nil {
		t.Error("a component was restarted that had been stopped")
	}
}

func TestSurvives(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		node      *node.Node
		phase     Phase
		component string
		want      bool
	}{
		"without a node":              {nil, Ready, "sleeper", false},
		"with a node":                 {&node.Node{}, Ready, "sleeper", true},
		"during a restore":            {&node.Node{}, Restoring, "sleeper", true},
		"before it was ready":         {&node.Node{}, Starting, "sleeper", false},
		"first process of namespaces": {&node.Node{}, Ready, "node", false},
	}
	for name, tt := range tests {
		s := &supervisor{node: tt.node, state: State{Phase: tt.phase}, components: []*component{{spec: process.Spec{Name: "sleeper"}}}}
		if got := s.survives(&process.Process{Name: tt.component}); got != tt.want {
			t.Errorf("%s: survives is %t, want %t", name, got, tt.want)
		}
	}
}
