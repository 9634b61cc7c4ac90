// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/lock"
	"github.com/weir-gitops/weir/hack/cluster/internal/node"
	"github.com/weir-gitops/weir/hack/cluster/internal/pki"
	"github.com/weir-gitops/weir/hack/cluster/internal/port"
	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// Errors of Run and of the operations on a cluster.
var (
	ErrRunning = errors.New("the cluster is running already")
	ErrBusy    = errors.New("the cluster is busy")

	errStopped = errors.New("stopped on request")
)

// tailLines is how much of a component's log goes into an error.
const tailLines = 20

// lockPatience is how long a new supervisor waits for the lock of one that is just ending.
const lockPatience = time.Second

// startPatience bounds the start of a cluster on a machine that does other things as well.
const startPatience = 2 * time.Minute

// A supervisor runs one cluster.
type supervisor struct {
	opts   Options
	layout layout
	specs  specs
	group  *process.Group
	report func(Event)
	began  time.Time
	cancel context.CancelCauseFunc

	// operation is held while something is done that must not overlap: start, snapshot, restore.
	operation sync.Mutex

	node *node.Node       // nil if there is none
	root *process.Process // the first one of the node's namespaces

	mu         sync.Mutex
	state      State
	components []*component
}

// Run starts a cluster, keeps it until ctx ends, the owner process ends, a component ends or a client asks for its
// end, and removes it. It calls report for each step of the start. The result is nil if the end was asked for; a
// component that ended by itself is an error that carries the tail of its log.
func Run(ctx context.Context, opts Options, report func(Event)) error {
	if err := opts.Validate(); err != nil {
		return err
	}
	if err := claim(opts.Dir); err != nil {
		return err
	}
	// Somebody who only looks whether there is a cluster has the lock for a moment, too.
	patient, cancel := context.WithTimeoutCause(ctx, lockPatience, ErrRunning)
	held, err := lock.Acquire(patient, layout(opts.Dir).lock(), nil)
	cancel()
	if err != nil {
		return fmt.Errorf("take the cluster directory: %w", err)
	}
	defer held.Release()
	if err := scrap(ctx, opts.Dir, wipe); err != nil {
		return err
	}
	err = supervise(ctx, opts, report)
	return errors.Join(err, scrap(context.WithoutCancel(ctx), opts.Dir, remove))
}

// supervise is Run in a directory that is locked and empty, and leaves what is not a process to be removed.
func supervise(ctx context.Context, opts Options, report func(Event)) (err error) {
	ctx, forget, err := WithOwner(ctx, opts.OwnerPID)
	if err != nil {
		return err
	}
	defer forget()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &supervisor{
		cancel: cancel, opts: opts, layout: layout(opts.Dir), group: process.NewGroup(), report: report, began: time.Now(),
	}
	defer func() { err = errors.Join(err, s.end(context.WithoutCancel(ctx))) }()
	release, err := s.prepare(ctx)
	if err != nil {
		return ending(ctx, err)
	}
	defer release()
	go s.watch(ctx)
	stop, err := s.serveControl(ctx)
	if err != nil {
		return err
	}
	defer stop()
	s.operation.Lock()
	err = s.start(ctx)
	s.operation.Unlock()
	if err != nil {
		return ending(ctx, err)
	}
	<-ctx.Done()
	s.setPhase(Stopping)
	return ending(ctx, nil)
}

// ending returns why a supervisor whose last step returned err ends: nil if that was asked for.
func ending(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return err
	case errors.Is(cause, errStopped), errors.Is(cause, ErrOwnerEnded), errors.Is(cause, ErrInterrupted):
		return nil
	default:
		return cause
	}
}

// prepare makes everything that the components read, and returns a function that releases the ports.
func (s *supervisor) prepare(ctx context.Context) (release func(), err error) {
	if s.opts.Node != nil {
		return func() {}, s.prepareNode(ctx)
	}
	var reserved []*port.Reservation
	release = func() {
		for _, r := range reserved {
			r.Release()
		}
	}
	for range 4 {
		r, err := port.Reserve()
		if err != nil {
			release()
			return nil, err
		}
		reserved = append(reserved, r)
	}
	p := ports{host: loopback, etcd: reserved[0].Port, etcdHTTP: reserved[1].Port, peer: reserved[2].Port, api: reserved[3].Port}
	s.specs = specs{layout: s.layout, ports: p, path: s.opts.Assets.Path, fsync: s.opts.Fsync}
	if err := s.writeFiles(users()); err != nil {
		release()
		return nil, fmt.Errorf("write the cluster's files: %w", err)
	}
	return release, nil
}

func (s *supervisor) writeFiles(clients map[string]pki.Subject) error {
	for _, dir := range []string{"logs", "home"} {
		if err := os.MkdirAll(s.layout.path(dir), 0o700); err != nil {
			return err
		}
	}
	if err := writeCredentials(s.layout, s.specs.ports, clients); err != nil {
		return err
	}
	if err := writeFile(s.layout.stages(), []byte(stages())); err != nil {
		return err
	}
	s.state = State{
		Name: s.opts.Name, Dir: s.opts.Dir, Phase: Starting, PID: os.Getpid(),
		Version: s.opts.Assets.Version, Server: s.specs.ports.apiURL(), Kubeconfig: s.layout.kubeconfig(),
		Assets: s.opts.Assets.Dir, GPUNodes: s.opts.GPUNodes, Started: s.began,
	}
	s.describeNode()
	return s.state.write()
}

// start brings all components up and returns when the cluster can be used.
func (s *supervisor) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, errors.New("the cluster was not ready in time"))
	defer cancel()
	if err := s.startRuntime(ctx); err != nil {
		return err
	}
	if err := s.startControlPlane(ctx); err != nil {
		return err
	}
	api, err := s.apiClient()
	if err != nil {
		return err
	}
	defer api.close()
	if err := s.startNode(ctx, api); err != nil {
		return err
	}
	if s.opts.GPUNodes > 0 {
		if err := createNodes(ctx, api, s.opts.GPUNodes, s.node != nil); err != nil {
			return fmt.Errorf("create the simulated nodes: %w", err)
		}
		s.step(fmt.Sprintf("%d simulated nodes with %s GPUs each", s.opts.GPUNodes, gpusPerNode))
	}
	s.setPhase(Ready)
	state := s.snapshotState()
	s.report(Event{Ready: &state})
	return nil
}

// startControlPlane starts every component and returns when they work together.
func (s *supervisor) startControlPlane(ctx context.Context) error {
	etcd, err := s.etcdClient()
	if err != nil {
		return err
	}
	defer etcd.close()
	api, err := s.apiClient()
	if err != nil {
		return err
	}
	defer api.close()
	if err := s.startOne(ctx, s.specs.etcd(), etcd); err != nil {
		return err
	}
	if err := s.startOne(ctx, s.specs.apiServer(), api); err != nil {
		return err
	}
	rest := []process.Spec{s.specs.manager(), s.specs.scheduler()}
	if s.opts.GPUNodes > 0 {
		rest = append(rest, s.specs.simulator())
	}
	for _, spec := range rest {
		if err := s.launch(spec, true); err != nil {
			return err
		}
	}
	// The controller manager has no port to ask; this account is the first thing that users of the cluster miss.
	account := func(ctx context.Context) error {
		return api.do(ctx, http.MethodGet, "/api/v1/namespaces/default/serviceaccounts/default", nil, nil)
	}
	if err := until(ctx, often, account); err != nil {
		return fmt.Errorf("wait for %s: %w; %s", managerName, err, lastWords(s.layout.log(managerName)))
	}
	s.step("controllers")
	return nil
}

// startOne starts a server of the control plane and returns when it answers.
func (s *supervisor) startOne(ctx context.Context, spec process.Spec, c *client) error {
	if err := s.launch(spec, true); err != nil {
		return err
	}
	ready := func(ctx context.Context) error { return c.do(ctx, http.MethodGet, "/readyz", nil, nil) }
	if err := until(ctx, often, ready); err != nil {
		return fmt.Errorf("wait for %s: %w; %s", spec.Name, err, lastWords(spec.Log))
	}
	s.step(spec.Name)
	return nil
}

// watch ends the cluster when a component ends that nobody stopped and that does not start again, because half a cluster is
// worse than none, and when somebody removes the directory, because then nobody could find the cluster to end it.
func (s *supervisor) watch(ctx context.Context) {
	const look = time.Second
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.group.Ended():
			if !s.survives(p) {
				s.cancel(fmt.Errorf("%s ended by itself (%s); %s", p.Name, p.Outcome(), lastWords(p.Log)))
				continue
			}
			time.AfterFunc(restartPause, func() { s.restart(p) })
		case <-ticker.C:
			if _, err := os.Stat(s.layout.lock()); errors.Is(err, fs.ErrNotExist) {
				s.cancel(fmt.Errorf("somebody removed the directory %s of the running cluster", s.layout))
			}
		}
	}
}

// lastWords quotes the end of a log.
func lastWords(log string) string {
	return "the last lines of its log:\n" + process.Tail(log, tailLines)
}

// step reports progress, with the seconds since the start.
func (s *supervisor) step(what string) {
	s.report(Event{Step: what, Seconds: time.Since(s.began).Seconds()})
}

// setPhase changes the phase for those who ask and in the state file.
func (s *supervisor) setPhase(next Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Phase = next
	if err := s.state.write(); err != nil {
		s.cancel(fmt.Errorf("write the cluster's state: %w", err))
	}
}

func (s *supervisor) snapshotState() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Components = slices.Clone(state.Components)
	return state
}

func (s *supervisor) apiClient() (*client, error) {
	return newClient(s.specs.ports.apiURL(), s.layout.cert(clusterCA), s.layout.cert(adminClient), s.layout.key(adminClient))
}

func (s *supervisor) etcdClient() (*client, error) {
	return newClient(s.specs.ports.etcdHTTPURL(), s.layout.cert(etcdCA), s.layout.cert(etcdClient), s.layout.key(etcdClient))
}
