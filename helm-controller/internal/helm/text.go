// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

const (
	// maxLines is how many lines of Helm's log are kept.
	maxLines = 10
	// maxLine bounds one of them in bytes.
	maxLine = 512
	// maxError bounds the text of an error. Templates can put anything into it.
	maxError = 4 << 10
)

// lines keeps the last ones of a log.
type lines struct {
	// redact takes secrets out of a line. Nil: nothing does.
	redact func(string) string

	mu   sync.Mutex
	kept []string
}

func (l *lines) add(format string, args ...any) {
	line := strings.TrimSpace(fmt.Sprintf(format, args...))
	if l.redact != nil {
		line = l.redact(line) // before it is cut: a part of a secret is not known for one
	}
	line = bound(line, maxLine)
	l.mu.Lock()
	defer l.mu.Unlock()
	if line == "" || len(l.kept) > 0 && l.kept[len(l.kept)-1] == line {
		return
	}
	l.kept = append(l.kept, line)
	if len(l.kept) > maxLines {
		l.kept = append([]string(nil), l.kept[len(l.kept)-maxLines:]...)
	}
}

func (l *lines) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

// bound cuts a text to size bytes.
func bound(text string, size int) string {
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:size], "") + " [...]"
}

// redact takes secrets out of a text.
func (r *run) redact(text string) string {
	if r.job.Redact == nil {
		return text
	}
	return r.job.Redact(text)
}

// failure is an error whose text is fit to be shown.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// explain words the error of an action: without secrets, of bounded size, and
// with the reason if it was canceled.
func (r *run) explain(err error, canceled string) error {
	switch {
	case err == nil:
		return nil
	case canceled != "" && errors.Is(err, errCanceled):
		return &failure{text: "canceled: " + canceled, err: err}
	case canceled != "":
		return &failure{text: "canceled: " + canceled + ": " + bound(r.redact(err.Error()), maxError), err: err}
	}
	return &failure{text: bound(r.redact(err.Error()), maxError), err: err}
}
