// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// cleanBytes is how much of a transfer of objects a faulty server sends as it
// should: enough for the answer to begin, not enough for any pack to end.
const cleanBytes = 96

// fetchDetector watches the body of a request for the wish for an object,
// which both versions of the protocol spell "want".
type fetchDetector struct {
	io.ReadCloser
	head bytes.Buffer
	seen atomic.Bool
}

func (d *fetchDetector) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if !d.seen.Load() && d.head.Len() < 4096 {
		d.head.Write(p[:n])
		if bytes.Contains(d.head.Bytes(), []byte("want ")) {
			d.seen.Store(true)
		}
	}
	return n, err
}

func (d *fetchDetector) fetch() bool { return d.seen.Load() }

// countingWriter counts the bytes of an answer and spoils those of a fetch.
type countingWriter struct {
	http.ResponseWriter
	body    *fetchDetector
	fault   GitFault
	written int64
}

// errInjected ends a transfer.
var errInjected = errors.New("fault injected")

func (w *countingWriter) WriteHeader(status int) {
	if w.fault == GitErrorOnFetch && w.body.fetch() {
		status = http.StatusInternalServerError
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	if w.body.fetch() {
		switch w.fault {
		case GitTruncated:
			if w.written+int64(len(p)) > cleanBytes {
				p = p[:max(0, cleanBytes-w.written)]
				n, _ := w.ResponseWriter.Write(p)
				w.written += int64(n)
				return n, errInjected
			}
		case GitGarbled:
			p = garble(p, w.written)
		default:
		}
	}
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	return n, err
}

// garble returns a copy of p in which bytes past the clean ones are wrong.
func garble(p []byte, offset int64) []byte {
	q := bytes.Clone(p)
	for i := range q {
		if at := offset + int64(i); at > cleanBytes && at%64 == 0 {
			q[i] ^= 0xff
		}
	}
	return q
}
