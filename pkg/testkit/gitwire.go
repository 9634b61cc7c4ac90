// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// cleanBytes is how much of a transfer of objects a faulty server sends as it
// should: enough for the answer to begin, not enough for any pack to end.
const cleanBytes = 96

// maxRequest is how much of a request is looked at.
const maxRequest = 1 << 20

// wantsObjects reports whether a request is one for objects, which both
// versions of the protocol spell "want". The program behind begins its answer
// before it has read the request, so the request is read here first.
func wantsObjects(r *http.Request) bool {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
		return false
	}
	var head bytes.Buffer
	_, _ = io.CopyN(&head, r.Body, maxRequest)
	fetch := bytes.Contains(head.Bytes(), []byte("want "))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&head, r.Body), r.Body}
	return fetch
}

// countingWriter counts the bytes of an answer and spoils those of a fetch.
type countingWriter struct {
	http.ResponseWriter
	fetch   bool
	fault   GitFault
	written int64
}

// errInjected ends a transfer.
var errInjected = errors.New("fault injected")

func (w *countingWriter) WriteHeader(status int) {
	if w.fault == GitErrorOnFetch && w.fetch {
		status = http.StatusInternalServerError
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	if w.fetch {
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
