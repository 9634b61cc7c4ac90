// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// FuzzUnpack: whatever an archive holds, nothing but plain files and
// directories comes of it, inside of one directory, and all of it can be
// removed again.
func FuzzUnpack(f *testing.F) {
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Name: "a/b"},
		{Typeflag: tar.TypeDir, Name: "a", Mode: 0o000},
		{Typeflag: tar.TypeReg, Name: "../../escape"},
		{Typeflag: tar.TypeReg, Name: "/escape"},
		{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/"},
		{Typeflag: tar.TypeLink, Name: "a", Linkname: "../escape"},
		{Typeflag: tar.TypeReg, Name: "setuid", Mode: 0o4777},
	} {
		var raw bytes.Buffer
		archive := tar.NewWriter(&raw)
		if err := errors.Join(archive.WriteHeader(&h), archive.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(raw.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		if _, err := zip.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := zip.Close(); err != nil {
			t.Fatal(err)
		}
		// As an archive that was compressed in good faith, and as it is.
		unpackSafely(t, &packed)
		unpackSafely(t, bytes.NewBuffer(raw))
	})
}

func unpackSafely(t *testing.T, packed *bytes.Buffer) {
	t.Helper()
	parent := t.TempDir()
	c, err := NewCache(parent, maxSize, &Fetcher{maxSize: maxSize})
	if err != nil {
		t.Fatal(err)
	}
	dir, _, err := c.unpack(packed)
	if err == nil {
		checkTree(t, dir)
	}
	left, err := filepath.Glob(filepath.Join(parent, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("outside of the cache: %v, %v", left, err)
	}
	if err := remove(c.dir); err != nil {
		t.Errorf("remove: %v", err)
	}
}

// checkTree wants plain, read-only files and directories.
func checkTree(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if mode := info.Mode(); !mode.IsRegular() && !mode.IsDir() || mode&0o222 != 0 || mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			t.Errorf("%s has mode %v", path, mode)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
