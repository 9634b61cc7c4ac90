// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestWriteFile(t *testing.T) {
	t.Parallel()
	s := newStorage(t, func(o *Options) { o.MaxSize = 10 })
	chart := Object{Kind: "HelmChart", Namespace: "team-a", Name: "models"}
	a := s.Artifact(chart, "1.0.0", "models-1.0.0.tgz")
	fill := func(content string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		}
	}
	if err := s.WriteFile(t.Context(), chart, &a, fill("0123456789")); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(local(s, &a))
	if err != nil || string(content) != "0123456789" || *a.Size != 10 || a.Digest != digest.FromString("0123456789").String() {
		t.Errorf("content %q, error %v, artifact %+v", content, err, a)
	}
	before := a
	err = s.WriteFile(t.Context(), chart, &a, fill("0123456789a"))
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "the artifact has more than 10 bytes, the limit of --artifact-max-size") {
		t.Errorf("error %v", err)
	}
	if err := s.Verify(t.Context(), chart, &before); err != nil || a.Digest != before.Digest {
		t.Errorf("the artifact before is not what it was: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(local(s, &a)), ".tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPoint(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	read := func(name string) string {
		t.Helper()
		file, err := s.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		content, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		return digest.FromBytes(content).String()
	}
	const name = "gitrepository/team-a/models/latest.tar.gz"
	for _, content := range []string{"1", "2"} {
		a := put(t, s, object, content, content)
		if err := s.Point(object, &a, "latest.tar.gz"); err != nil {
			t.Fatal(err)
		}
		if got := read(name); got != a.Digest {
			t.Errorf("%s is at the pointer, want %s", got, a.Digest)
		}
		if _, err := s.Collect(object, &a); err != nil {
			t.Error(err)
		}
		if got := read(name); got != a.Digest {
			t.Error("collected the pointer")
		}
	}
	a := put(t, s, object, "3", "3")
	for _, bad := range []string{"../x", ".hidden", "x.lock", "a/b"} {
		if err := s.Point(object, &a, bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	if err := s.Point(Object{Kind: "GitRepository", Namespace: "team-b", Name: "models"}, &a, "latest.tar.gz"); err == nil {
		t.Error("points to what belongs to another object")
	}
	dir := filepath.Dir(local(s, &a))
	for link, target := range map[string]string{"out": "../other/x", "hidden": ".tmp-1", "absolute": "/etc/passwd", "dangling": "none", "self": "self"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open("gitrepository/team-a/models/" + link); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", link, err)
		}
	}
}

func TestScratch(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	file, err := s.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte("x"), 10); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(s.options.Path); err != nil || len(entries) > 0 {
		t.Errorf("it has a name: %v, %v", entries, err)
	}
}
