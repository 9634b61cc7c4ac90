// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire puts a stretch of wire between a client and a server that can be
// cut, slowed and blocked.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// State is how a Wire is.
type State int

// The states that Set takes.
const (
	// Whole passes everything on.
	Whole State = iota
	// Down ends every connection at once, as where nobody listens.
	Down
	// Blocked passes nothing on and ends nothing, as where packets are dropped.
	Blocked
	// Slow passes on what a bad line does: SlowBytes a second.
	Slow
)

// SlowBytes is what a slow wire passes on in a second, in each direction and for
// each connection.
const SlowBytes = 2000

// chunk is how much is passed on at a time: a slow wire waits after each.
const chunk = SlowBytes / 4

// A Wire accepts connections and passes what comes to a server.
type Wire struct {
	// Addr is where it listens.
	Addr string

	target   string
	listener net.Listener
	done     chan struct{}

	mu      sync.Mutex
	state   State
	changed chan struct{} // closed when state changes
	conns   map[net.Conn]struct{}
}

// New lays a wire from a free port of host to target, "host:port".
func New(ctx context.Context, host, target string) (*Wire, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("lay a wire to %s: %w", target, err)
	}
	w := &Wire{
		Addr: listener.Addr().String(), target: target, listener: listener,
		done: make(chan struct{}), changed: make(chan struct{}), conns: map[net.Conn]struct{}{},
	}
	go w.serve(context.WithoutCancel(ctx))
	return w, nil
}

// Set changes the state, for connections that there are too.
func (w *Wire) Set(state State) {
	w.mu.Lock()
	w.state = state
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	if state == Down {
		w.Cut()
	}
}

// Cut ends all connections and returns how many there were. New ones may come.
func (w *Wire) Cut() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.conns)
	for conn := range w.conns {
		abort(conn)
	}
	clear(w.conns)
	return n
}

// Close ends the wire and its connections.
func (w *Wire) Close() {
	close(w.done)
	_ = w.listener.Close()
	w.Cut()
}

// abort ends a connection so that its peer sees a reset.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (w *Wire) serve(ctx context.Context) {
	for {
		client, err := w.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go w.connect(ctx, client)
		}
	}
}

// enter counts a connection, unless there may be none.
func (w *Wire) enter(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == Down {
		return false
	}
	w.conns[conn] = struct{}{}
	return true
}

func (w *Wire) connect(ctx context.Context, client net.Conn) {
	defer abort(client)
	if !w.enter(client) {
		return
	}
	defer func() {
		w.mu.Lock()
		delete(w.conns, client)
		w.mu.Unlock()
	}()
	if !w.pass() {
		return
	}
	server, err := new(net.Dialer).DialContext(ctx, "tcp", w.target)
	if err != nil {
		return // the client sees a reset
	}
	defer func() { _ = server.Close() }()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
		go func() {
			w.carry(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
	// What the server has said before it hung up is passed on.
	_ = client.SetDeadline(time.Now().Add(time.Second))
	_ = server.SetDeadline(time.Now().Add(time.Second))
	<-ended
}

// carry passes bytes on until one end hangs up.
func (w *Wire) carry(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		size := len(buffer)
		if w.current() == Slow {
			size = chunk
		}
		n, err := from.Read(buffer[:size])
		if n > 0 {
			if !w.pass() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				closeWrite(to)
			}
			return
		}
	}
}

// closeWrite tells a peer that nothing more will come.
func closeWrite(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

func (w *Wire) current() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// pass returns when the wire carries something, and whether it ever will.
func (w *Wire) pass() bool {
	for {
		w.mu.Lock()
		state, changed := w.state, w.changed
		w.mu.Unlock()
		switch state {
		case Whole:
			return true
		case Down:
			return false
		case Slow:
			select {
			case <-time.After(time.Second / (SlowBytes / chunk)):
				return true
			case <-w.done:
				return false
			}
		case Blocked:
			select {
			case <-changed:
			case <-w.done:
				return false
			}
		}
	}
}
