// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/node"
	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// Actions on a component. A component that was stopped or killed is not started again by itself, and the cluster goes
// on without it.
const (
	StopComponent  = "stop"  // asks it to end, and kills it if it does not
	KillComponent  = "kill"  // gives it no time
	StartComponent = "start" // starts it again, and waits until it answers
)

// restartPause is how long after its end a component starts again.
const restartPause = time.Second

// termPatience is how long a component that is asked to end gets.
const termPatience = 10 * time.Second

// A component is one process of the cluster, or the place of one that was stopped.
type component struct {
	spec    process.Spec
	process *process.Process // nil if somebody stopped it
	plane   bool             // it belongs to the control plane, and starts anew with the data of a snapshot

	restarts int // how often it ended by itself and was started again
}

// launch starts a component, in the place of one of that name that was stopped.
func (s *supervisor) launch(spec process.Spec, plane bool) error {
	p, err := s.group.Start(spec)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	started := &component{spec: spec, process: p, plane: plane}
	if i := s.index(spec.Name); i >= 0 {
		s.components[i] = started
	} else {
		s.components = append(s.components, started)
	}
	return s.record()
}

// index returns where the component of that name is in s.components, or -1. The caller holds s.mu.
func (s *supervisor) index(name string) int {
	return slices.IndexFunc(s.components, func(c *component) bool { return c.spec.Name == name })
}

// record writes the state, with the components as they are. The caller holds s.mu.
func (s *supervisor) record() error {
	s.state.Components = nil
	for _, c := range s.components {
		entry := Component{Name: c.spec.Name, Log: c.spec.Log, Restarts: c.restarts}
		if c.process != nil {
			entry.PID = c.process.PID
		}
		s.state.Components = append(s.state.Components, entry)
	}
	return s.state.write()
}

// survives reports whether the cluster goes on when p ends by itself. On a machine with a node, as on any other, what is
// there to keep the components running starts them again: a kubelet ends without its container runtime, and the API
// server without etcd. Before the cluster was ready, an end is a mistake.
func (s *supervisor) survives(p *process.Process) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node != nil && s.state.Phase != Starting && s.index(p.Name) >= 0
}

// restart starts a component again that ended by itself, unless somebody did so or stopped it meanwhile.
func (s *supervisor) restart(p *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.components[s.index(p.Name)]
	if c.process != p {
		return
	}
	started, err := s.group.Start(c.spec)
	if err == nil {
		c.process, c.restarts = started, c.restarts+1
		err = s.record()
	}
	if err != nil && !errors.Is(err, process.ErrClosed) {
		s.cancel(fmt.Errorf("start %s again, which ended by itself: %w", p.Name, err))
	}
}

// stopControlPlane kills every component of it. Their state is either thrown away or replaced, so none has to say
// goodbye.
func (s *supervisor) stopControlPlane() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range slices.Backward(s.components) {
		if c.plane && c.process != nil {
			c.process.Stop()
			c.process = nil
		}
	}
	return s.record()
}

// actOn does something to one component.
func (s *supervisor) actOn(ctx context.Context, request componentRequest) error {
	s.mu.Lock()
	index := s.index(request.Name)
	var names []string
	for _, c := range s.components {
		names = append(names, c.spec.Name)
	}
	if index < 0 {
		s.mu.Unlock()
		return fmt.Errorf("%w: there is no component %q; there are %v", ErrOptions, request.Name, names)
	}
	found := *s.components[index]
	s.mu.Unlock()
	switch {
	case request.Action == StartComponent && found.process == nil:
		return s.startAgain(ctx, found)
	case request.Action == StartComponent:
		return fmt.Errorf("%w: %s", ErrRunning, request.Name)
	case found.process == nil:
		return fmt.Errorf("%s of %s: it does not run", request.Action, request.Name)
	case request.Action == KillComponent:
		found.process.Stop()
	default:
		patient, cancel := context.WithTimeout(ctx, termPatience)
		defer cancel()
		found.process.Terminate(patient)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.components[index].process = nil
	return s.record()
}

// startAgain starts a component that was stopped and returns when it works.
func (s *supervisor) startAgain(ctx context.Context, c component) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, errors.New("it did not work in time"))
	defer cancel()
	began := time.Now()
	if err := s.launch(c.spec, c.plane); err != nil {
		return err
	}
	if err := s.awaitComponent(ctx, c.spec.Name, began); err != nil {
		return fmt.Errorf("wait for %s: %w; %s", c.spec.Name, err, lastWords(c.spec.Log))
	}
	return nil
}

// awaitComponent returns when a component that was started then works, as far as it can be asked.
func (s *supervisor) awaitComponent(ctx context.Context, name string, began time.Time) error {
	switch name {
	case etcdName, apiServerName:
		server, err := s.etcdClient()
		if name == apiServerName {
			server, err = s.apiClient()
		}
		if err != nil {
			return err
		}
		defer server.close()
		return until(ctx, often, func(ctx context.Context) error { return server.do(ctx, http.MethodGet, "/readyz", nil, nil) })
	case node.KubeletName:
		api, err := s.apiClient()
		if err != nil {
			return err
		}
		defer api.close()
		return s.awaitNode(ctx, api, began)
	}
	if s.node == nil {
		return nil
	}
	return s.awaitService(ctx, name)
}
