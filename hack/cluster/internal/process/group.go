// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package process runs programs that must not outlive the one that started them.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
)

// ErrClosed says that the group was closed before the program could start.
var ErrClosed = errors.New("the process group is closed")

// A Spec says what to run.
type Spec struct {
	Name string   // for messages
	Path string   // the program
	Args []string // without the program's own name
	Env  []string // the whole environment
	Dir  string   // the working directory
	Log  string   // the file that standard output and standard error are appended to
	Once bool     // it is expected to end, so its end is not reported
	Root bool     // it is the first process of namespaces of its own: network, mounts and processes; see Enter
}

// A Group starts processes and owns them: the kernel kills every one of them when the process that holds the group
// dies, by kill -9 too. Make one with NewGroup, and Close it.
type Group struct {
	starts chan func()
	closed chan struct{}
	ended  chan *Process
	// entered says that the thread which starts processes is in other namespaces. Only that thread looks at it.
	entered bool

	mu      sync.Mutex
	running []*Process
}

// NewGroup returns an empty group.
func NewGroup() *Group {
	g := &Group{starts: make(chan func()), closed: make(chan struct{}), ended: make(chan *Process)}
	go g.spawn()
	return g
}

// spawn runs all starts on one thread that lives as long as the group: the kernel's parent-death signal, by which the
// children die with us, is sent when the thread that forked them ends, not the process.
func (g *Group) spawn() {
	runtime.LockOSThread()
	for {
		select {
		case <-g.closed:
			// A thread that has entered other namespaces is of no use to anybody: still locked, it ends with this function.
			if !g.entered {
				runtime.UnlockOSThread()
			}
			return
		case start := <-g.starts:
			start()
		}
	}
}

// Start runs the program of spec.
func (g *Group) Start(spec Spec) (*Process, error) {
	var p *Process
	err := g.onThread(func() (err error) {
		p, err = start(spec, g.entered)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	g.mu.Lock()
	g.running = append(g.running, p)
	g.mu.Unlock()
	go g.wait(p)
	select {
	case <-g.closed:
		// Close may have looked before we added p.
		p.Stop()
		return nil, fmt.Errorf("start %s: %w", spec.Name, ErrClosed)
	default:
		return p, nil
	}
}

// onThread runs do on the thread that starts processes.
func (g *Group) onThread(do func() error) error {
	result := make(chan error, 1)
	select {
	case g.starts <- func() { result <- do() }:
		return <-result
	case <-g.closed:
		return ErrClosed
	}
}

// Finish runs the program of spec, which is expected to end, and returns its exit code, or the cause of ctx's end; then
// the program is gone as well.
func (g *Group) Finish(ctx context.Context, spec Spec) (int, error) {
	spec.Once = true
	p, err := g.Start(spec)
	if err != nil {
		return 0, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Stop()
		return 0, fmt.Errorf("run %s: %w", spec.Name, context.Cause(ctx))
	}
	if p.waitErr != nil {
		return 0, fmt.Errorf("run %s: %w", spec.Name, p.waitErr)
	}
	return p.state.ExitCode(), nil
}

// Ended yields every process that ended although nobody stopped it.
func (g *Group) Ended() <-chan *Process {
	return g.ended
}

// Close stops all processes and returns when they are gone. The group starts no more. Close is called once.
func (g *Group) Close() {
	close(g.closed)
	g.mu.Lock()
	running := slices.Clone(g.running)
	g.mu.Unlock()
	for _, p := range running {
		p.kill()
	}
	for _, p := range running {
		<-p.done
	}
}

func (g *Group) wait(p *Process) {
	state, err := p.process.Wait()
	p.mu.Lock()
	p.state, p.waitErr = state, err
	stopped := p.stopped
	p.mu.Unlock()
	close(p.done)

	g.mu.Lock()
	g.running = slices.DeleteFunc(g.running, func(other *Process) bool { return other == p })
	g.mu.Unlock()
	if stopped {
		return
	}
	select {
	case g.ended <- p:
	case <-g.closed:
	}
}

// A Process is a running program.
type Process struct {
	Name string
	PID  int
	Log  string

	process *os.Process
	done    chan struct{}

	mu      sync.Mutex
	stopped bool
	state   *os.ProcessState
	waitErr error
}

// Stop kills the process and returns when it is gone. It is not an error if it was gone before.
func (p *Process) Stop() {
	p.kill()
	<-p.done
}

// Outcome says how the process ended, "exit status 1" for example, or that it runs.
func (p *Process) Outcome() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.waitErr != nil:
		return p.waitErr.Error()
	case p.state != nil:
		return p.state.String()
	default:
		return "running"
	}
}

// Terminate asks the process to end, kills it if it has not ended when ctx does, and returns when it is gone.
func (p *Process) Terminate(ctx context.Context) {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	// The one possible error is that it has ended already, which is what we want.
	_ = p.process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Stop()
	}
}

// Gone reports whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *Process) kill() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	// The one possible error is that it has ended already, which is what we want.
	_ = p.process.Kill()
}

func start(spec Spec, entered bool) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir, cmd.Env = spec.Dir, spec.Env
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own keeps a Ctrl-C at the terminal from reaching it: we decide in which order things stop.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if spec.Root {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
	}
	if entered {
		// The parent cannot be seen from in there, which looks as if it had died. The first process of the namespaces is
		// tied to us, and all others to that one.
		cmd.SysProcAttr.Pdeathsig = 0
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{
		Name: spec.Name, PID: cmd.Process.Pid, Log: spec.Log,
		process: cmd.Process, done: make(chan struct{}), stopped: spec.Once,
	}, nil
}
