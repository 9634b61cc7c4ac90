// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"encoding/gob"
	"errors"
	"io"
)

// ErrTooLarge says that a message has more bytes than the receiver takes.
var ErrTooLarge = errors.New("the message is too large")

// Conn carries messages between the pool and a child, in both directions. After
// an error it is of no use any more.
type Conn struct {
	encoder *gob.Encoder
	decoder *gob.Decoder
	in      *limited
	limit   int64
}

// NewConn returns a connection that takes messages of up to limit bytes.
func NewConn(in io.Reader, out io.Writer, limit int64) *Conn {
	bounded := &limited{next: in}
	return &Conn{encoder: gob.NewEncoder(out), decoder: gob.NewDecoder(bounded), in: bounded, limit: limit}
}

// Send sends a message. It waits until the other side has read it.
func (c *Conn) Send(message any) error { return c.encoder.Encode(message) }

// Receive waits for a message. Without one, because the other side has ended, it
// returns io.EOF.
func (c *Conn) Receive(message any) error {
	c.in.rest = c.limit
	err := c.decoder.Decode(message)
	if c.in.rest < 0 {
		return ErrTooLarge
	}
	return err
}

// limited reads up to so many bytes.
type limited struct {
	next io.Reader
	rest int64
}

// Read implements io.Reader.
func (l *limited) Read(into []byte) (int, error) {
	n, err := l.next.Read(into)
	if l.rest -= int64(n); l.rest < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
