// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// A Balancer stands where a Service would: it hands each connection to one of
// several addresses, whether somebody listens there or not.
type Balancer struct {
	// Addr is where it listens.
	Addr string

	listener net.Listener
	choose   func(context.Context) (string, error)
}

// Balance starts a Balancer on a free port of this machine that takes the
// addresses by turns.
func Balance(ctx context.Context, backends []string) (*Balancer, error) {
	var next atomic.Uint64
	return forward(ctx, func(context.Context) (string, error) {
		return backends[next.Add(1)%uint64(len(backends))], nil
	})
}

// forward starts a Balancer that hands each connection to the address that is
// chosen for it.
func forward(ctx context.Context, choose func(context.Context) (string, error)) (*Balancer, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a balancer: %w", err)
	}
	b := &Balancer{Addr: listener.Addr().String(), listener: listener, choose: choose}
	go b.serve(context.WithoutCancel(ctx))
	return b, nil
}

// Close ends it; connections that it has handed over go on.
func (b *Balancer) Close() error { return b.listener.Close() }

func (b *Balancer) serve(ctx context.Context) {
	for {
		client, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go b.hand(ctx, client)
		}
	}
}

// hand connects a client with a backend, until either of them ends.
func (b *Balancer) hand(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	address, err := b.choose(ctx)
	if err != nil {
		return
	}
	backend, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return // the client sees a connection that ends
	}
	defer func() { _ = backend.Close() }()
	ended := make(chan struct{}, 2)
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go pipe(backend, client)
	go pipe(client, backend)
	<-ended
}
