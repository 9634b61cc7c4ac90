// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// isPush reports whether a request is one to change references.
func isPush(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

// push serves one push, or fails it.
func (s *GitServer) push(w http.ResponseWriter, r *http.Request, fault GitFault) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	s.stats.Pushes++
	s.stats.PushedBytes += int64(len(body))
	s.mu.Unlock()

	switch fault {
	case GitErrorOnPush:
		http.Error(w, "secret body of an error", http.StatusInternalServerError)
		return
	case GitHangsOnPush:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		return
	case GitDropsPush:
		hangUp(w)
		return
	case GitDropsAfterPush, GitTruncatedReport:
		answer := httptest.NewRecorder()
		s.backend.ServeHTTP(answer, r)
		if fault == GitTruncatedReport {
			w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
			_ = http.NewResponseController(w).Flush()
		}
		hangUp(w)
		return
	default:
	}
	s.backend.ServeHTTP(w, r)
}

// hangUp ends the connection under an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}
