// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// bring makes the disk hold the artifact of an object, and returns it. An
// object that is gone loses its copies. One without an artifact keeps those
// that it has: the leader is about to build one, which may be the same.
func (m *Mirror) bring(ctx context.Context, o storage.Object) (*fluxmeta.Artifact, error) {
	kind := m.kinds[strings.ToLower(o.Kind)]
	obj := kind.New()
	err := m.options.Cache.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Name}, obj)
	if apierrors.IsNotFound(err) {
		return nil, m.drop(o)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", o.Kind, o.Namespace, o.Name, err)
	}
	a := obj.GetArtifact()
	if a == nil || !obj.GetDeletionTimestamp().IsZero() {
		return nil, nil
	}
	if !m.has(o, a) {
		if err := m.obtain(ctx, o, a); err != nil {
			return a, err
		}
		if kind.Pointer != "" {
			if err := m.options.Storage.Point(o, a, kind.Pointer); err != nil {
				return a, err
			}
		}
	}
	if _, err := m.options.Storage.Collect(o, a); err != nil {
		m.options.Log.Error(err, "old copies stay on disk", "kind", o.Kind, "namespace", o.Namespace, "name", o.Name)
	}
	return a, nil
}

// drop removes the copies of an object that is gone.
func (m *Mirror) drop(o storage.Object) error {
	found, err := m.options.Storage.RemoveAll(o)
	if found && err == nil {
		m.options.Log.Info("removed the copies of artifacts whose object is gone", "kind", o.Kind, "namespace", o.Namespace, "name", o.Name)
	}
	return err
}

// has reports whether the artifact was copied, and is still there.
func (m *Mirror) has(o storage.Object, a *fluxmeta.Artifact) bool {
	m.mu.Lock()
	known, ok := m.copied[o]
	m.mu.Unlock()
	if !ok || known != markOf(a) {
		return false
	}
	file, err := m.options.Storage.Open(path.Clean(a.Path))
	if err != nil {
		return false
	}
	return file.Close() == nil
}

// obtain copies an artifact, unless the right one is on disk from before. A
// wrong one goes first: it must not be served, whatever becomes of the copy.
func (m *Mirror) obtain(ctx context.Context, o storage.Object, a *fluxmeta.Artifact) error {
	err := m.options.Storage.Verify(ctx, o, a)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrMismatch):
		if err := m.options.Storage.Remove(o, a); err != nil {
			return err
		}
	case !errors.Is(err, storage.ErrMissing):
		return err
	}
	stored := a.DeepCopy()
	var size int64
	err = m.options.Storage.WriteFile(ctx, o, stored, func(w io.Writer) error {
		counted := &exactWriter{w: w, size: a.Size}
		err := m.options.Fetcher.Fetch(ctx, a, counted)
		if size = counted.n; err == nil {
			err = counted.check()
		}
		return err
	})
	m.options.Figures.downloaded(size, err)
	if err == nil {
		m.options.Log.Info("copied artifact of the leader",
			"kind", o.Kind, "namespace", o.Namespace, "name", o.Name, "revision", a.Revision, "digest", a.Digest, "size", size)
	}
	return err
}

// exactWriter passes on as many bytes as an artifact says that it has, and
// fails at the first one more.
type exactWriter struct {
	w    io.Writer
	size *int64 // nil: that is not known
	n    int64
}

// Write implements io.Writer.
func (e *exactWriter) Write(p []byte) (int, error) {
	if e.size != nil && e.n+int64(len(p)) > *e.size {
		return 0, e.wrong("more than")
	}
	n, err := e.w.Write(p)
	e.n += int64(n)
	return n, err
}

// check returns an error if there was less than there should be.
func (e *exactWriter) check() error {
	if e.size != nil && e.n != *e.size {
		return e.wrong("fewer than")
	}
	return nil
}

func (e *exactWriter) wrong(than string) error {
	return fmt.Errorf("%w: it has %s the %d bytes that its source announces", artifact.ErrDigest, than, *e.size)
}
