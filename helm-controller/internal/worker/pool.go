// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ErrTimeout says that a piece of work took more time than it may.
var ErrTimeout = errors.New("it takes too long")

var errClosed = errors.New("no work begins any more")

const (
	// patience is how long work waits for a child that is busy before another one
	// is started. A start costs more than most pieces of work.
	patience = 500 * time.Millisecond
	// idleFor is how long a child that has nothing to do is kept.
	idleFor = time.Minute
)

// Options of a Pool.
type Options struct {
	// Command is the path of a program, and its arguments. The memory that a child may have is
	// added as the last one, in bytes, for Confine. What the child reads and writes
	// as its standard input and output are the messages of a Conn.
	Command []string
	// Count is how many children there are at most.
	Count int
	// Memory is what a child may have, in bytes.
	Memory int64
	// Message is the largest message that a child may send, in bytes.
	Message int64
}

// Pool has children do work. They are started when there is something to do,
// stay for more of it, and end with this process, however that ends.
type Pool struct {
	options Options
	starts  chan *start
	closing chan struct{}
	all     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	live    int
	busy    map[*child]struct{}
	idle    []*child      // the one used last at the end
	waiting []chan *child // nil is sent for the room to start one
}

type start struct {
	command *exec.Cmd
	done    chan error
}

// New returns a Pool, which is to be closed.
func New(options Options) *Pool {
	p := &Pool{
		options: options, starts: make(chan *start), closing: make(chan struct{}), busy: map[*child]struct{}{},
	}
	p.all.Go(p.spawn)
	return p
}

// Close ends all children and waits until they are gone. Work under way fails.
func (p *Pool) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	doomed := slices.Clone(p.idle)
	for c := range p.busy {
		c.kill()
	}
	p.idle = nil
	for _, waiting := range p.waiting {
		waiting <- nil
	}
	p.waiting = nil
	p.mu.Unlock()
	for _, c := range doomed {
		c.retire.Stop()
		c.end()
	}
	close(p.closing)
	p.all.Wait()
}

// Do has a child do a piece of work: what work says to it and hears from it. An
// error of work means that the child is of no use any more; what else goes wrong
// is for work to keep. Work is done a second time if the child has ended for a
// reason that may not be the work. Errors are ErrTimeout once a child has worked
// for timeout, ErrTooLarge, a *DiedError, or the cause of the end of ctx.
func (p *Pool) Do(ctx context.Context, timeout time.Duration, work func(*Conn) error) error {
	err := p.once(ctx, timeout, work)
	if died, ok := errors.AsType[*DiedError](err); ok && died.Cause == Ended {
		return p.once(ctx, timeout, work)
	}
	return err
}

func (p *Pool) once(ctx context.Context, timeout time.Duration, work func(*Conn) error) error {
	if !p.enter() {
		return errClosed
	}
	defer p.all.Done()
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	bound, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	stop := context.AfterFunc(bound, c.kill)
	err = work(c.Conn)
	if stop() && err == nil {
		p.put(c)
		return nil
	}
	c.end()
	p.drop(c)
	switch {
	case bound.Err() != nil:
		return context.Cause(bound)
	case hungUp(err):
		return c.died()
	}
	return err
}

// hungUp reports whether the other side of a connection is gone.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EPIPE)
}

// enter has Close wait for the caller.
func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.all.Add(1)
	}
	return !p.closed
}

// take returns a child for the caller alone.
func (p *Pool) take(ctx context.Context) (*child, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if c := p.rested(); c != nil {
		p.mu.Unlock()
		return c, nil
	}
	if p.live == 0 {
		p.live++
		p.mu.Unlock()
		return p.start()
	}
	turn := make(chan *child, 1)
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	return p.wait(ctx, turn)
}

// rested returns a child that is idle, or nil.
func (p *Pool) rested() *child {
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		c := p.idle[last]
		p.idle = p.idle[:last]
		c.retire.Stop()
		if c.alive() {
			p.busy[c] = struct{}{}
			return c
		}
		_ = c.input.Close()
		p.live--
	}
	return nil
}

// wait waits for its turn, or for long enough to start another child.
func (p *Pool) wait(ctx context.Context, turn chan *child) (*child, error) {
	soon := time.NewTimer(patience)
	defer soon.Stop()
	for {
		select {
		case c := <-turn:
			if c == nil {
				return p.start()
			}
			return c, nil
		case <-soon.C:
			if p.leave(turn, true) {
				return p.start()
			}
		case <-ctx.Done():
			if !p.leave(turn, false) {
				if c := <-turn; c != nil {
					p.put(c)
				} else {
					p.drop(nil)
				}
			}
			return nil, context.Cause(ctx)
		}
	}
}

// leave takes a turn out of the queue, or returns false if it has come already.
// If it is left in order to start a child, there has to be room for one.
func (p *Pool) leave(turn chan *child, start bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.waiting, turn)
	if at < 0 || start && p.live >= p.options.Count {
		return false
	}
	p.waiting = slices.Delete(p.waiting, at, at+1)
	if start {
		p.live++
	}
	return true
}

// put gives a child back.
func (p *Pool) put(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		delete(p.busy, c)
		p.all.Go(c.end)
	case len(p.waiting) > 0:
		p.waiting[0] <- c
		p.waiting = p.waiting[1:]
	default:
		delete(p.busy, c)
		c.retire = time.AfterFunc(idleFor, func() { p.dismiss(c) })
		p.idle = append(p.idle, c)
	}
}

// dismiss ends a child if it is idle.
func (p *Pool) dismiss(c *child) {
	p.mu.Lock()
	at := slices.Index(p.idle, c)
	if at >= 0 {
		p.idle = slices.Delete(p.idle, at, at+1)
		p.live--
	}
	p.mu.Unlock()
	if at >= 0 {
		c.end()
	}
}

// drop takes a child out that is gone, and gives its room to who waits. Nil: only
// the room.
func (p *Pool) drop(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, c)
	if len(p.waiting) > 0 {
		p.waiting[0] <- nil
		p.waiting = p.waiting[1:]
		return
	}
	p.live--
}

// start starts a child in the room that the caller has.
func (p *Pool) start() (*child, error) {
	c, err := p.run()
	if err != nil {
		p.drop(nil)
		return nil, err
	}
	p.mu.Lock()
	p.busy[c] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		c.kill()
	}
	return c, nil
}

// run starts a process.
func (p *Pool) run() (*child, error) {
	said := &head{}
	command := &exec.Cmd{ //#nosec G204 -- our own program
		Path: p.options.Command[0], Args: append(slices.Clone(p.options.Command), strconv.FormatInt(p.options.Memory, 10)),
		Env: environment(), Stderr: said,
		// A group of its own keeps a Ctrl-C at the terminal from reaching it.
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
	}
	input, err := command.StdinPipe()
	if err != nil {
		return nil, startError(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		_ = input.Close()
		return nil, startError(err)
	}
	s := &start{command: command, done: make(chan error, 1)}
	select {
	case p.starts <- s:
	case <-p.closing:
		s.done <- errClosed
	}
	if err := <-s.done; err != nil {
		_, _ = input.Close(), output.Close()
		return nil, startError(err)
	}
	c := &child{Conn: NewConn(output, input, p.options.Message), command: command, input: input, said: said, ended: make(chan struct{})}
	p.all.Go(func() {
		_ = command.Wait()
		close(c.ended)
	})
	return c, nil
}

// spawn starts all processes from one thread: the kernel ends them when it ends,
// which is when the pool does.
func (p *Pool) spawn() {
	runtime.LockOSThread() // for good
	for {
		select {
		case s := <-p.starts:
			s.done <- s.command.Start()
		case <-p.closing:
			return
		}
	}
}

// environment of a child: no address and no credentials. One thread at a time
// does for work that cannot be shared out, and leaves the others to others.
func environment() []string {
	env := []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	for _, name := range []string{"TZ", "GODEBUG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// pathless returns the cause of an error without the path of this machine that it
// names.
func pathless(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
