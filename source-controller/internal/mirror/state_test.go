// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

func newMirror(t *testing.T) *Mirror {
	t.Helper()
	figures, err := NewFigures(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Figures: figures, Log: logr.Discard()})
}

func TestReady(t *testing.T) {
	t.Parallel()
	one := storage.Object{Kind: "GitRepository", Namespace: "ns", Name: "one"}
	a := &fluxmeta.Artifact{Path: "p", Digest: "d"}
	for name, tc := range map[string]struct {
		change func(*Mirror)
		want   string
	}{
		"nothing is known":  {func(*Mirror) {}, "not known yet"},
		"nothing to copy":   {func(m *Mirror) { m.listed = true }, ""},
		"something to copy": {func(m *Mirror) { m.expect(one); m.listed = true }, "1 artifacts are still to be copied"},
		"copied":            {func(m *Mirror) { m.expect(one); m.listed = true; m.note(one, a, nil) }, ""},
		"tried":             {func(m *Mirror) { m.expect(one); m.listed = true; m.note(one, a, errors.New("no")) }, ""},
		"one that is new":   {func(m *Mirror) { m.listed = true; m.expect(one) }, ""},
		"it takes too long": {func(m *Mirror) { m.expect(one); m.listed = true; m.begun = time.Now().Add(-2 * Patience) }, ""},
		"it leads":          {func(m *Mirror) { m.Retire() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t)
			tc.change(m)
			err := m.Ready(nil)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestARetiredMirrorDoesNotStart(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.Retire()
	if err := m.Start(t.Context()); err != nil || m.ended != nil {
		t.Errorf("it started: %v", err)
	}
}

func TestExactWriter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size  *int64
		bytes int
		wrong bool
	}{
		"as announced":  {new(int64(5)), 5, false},
		"too many":      {new(int64(5)), 6, true},
		"too few":       {new(int64(5)), 4, true},
		"not announced": {nil, 6, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &exactWriter{w: io.Discard, size: tc.size}
			_, err := e.Write(make([]byte, tc.bytes-1))
			if err == nil {
				_, err = e.Write(make([]byte, 1))
			}
			if err == nil {
				err = e.check()
			}
			if errors.Is(err, artifact.ErrDigest) != tc.wrong {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	f := m.options.Figures
	for i, err := range []error{nil, fmt.Errorf("a: %w", artifact.ErrDigest), fmt.Errorf("b: %w", artifact.ErrNotFound), errors.New("c")} {
		f.downloaded(10, err)
		result := []string{"stored", "refused", "absent", "failed"}[i]
		if got := testutil.ToFloat64(f.downloads.WithLabelValues(result)); got != 1 {
			t.Errorf("%s: %v", result, got)
		}
	}
	if got := testutil.ToFloat64(f.bytes); got != 40 {
		t.Errorf("%v bytes", got)
	}
	a := &fluxmeta.Artifact{Path: "p", Digest: "d"}
	m.note(storage.Object{Name: "a"}, a, nil)
	m.note(storage.Object{Name: "b"}, a, errors.New("no"))
	m.note(storage.Object{Name: "c"}, a, errors.New("no"))
	m.note(storage.Object{Name: "c"}, nil, nil)
	for state, want := range map[string]float64{"copied": 1, "missing": 1} {
		if got := testutil.ToFloat64(f.artifacts.WithLabelValues(state)); got != want {
			t.Errorf("%s: %v, want %v", state, got, want)
		}
	}
	f.clear()
	if got := testutil.CollectAndCount(f.artifacts); got != 0 {
		t.Errorf("%d series of a leader", got)
	}
}
