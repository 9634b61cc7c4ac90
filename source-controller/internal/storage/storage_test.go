// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
)

var object = Object{Kind: "GitRepository", Namespace: "team-a", Name: "models"}

func newStorage(t *testing.T, change func(*Options)) *Storage {
	t.Helper()
	o := Options{Path: t.TempDir(), Host: "host:9090", RetentionTTL: time.Minute, RetentionRecords: 2, Digest: "sha256", MaxSize: 1 << 20}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores a small artifact.
func put(t *testing.T, s *Storage, o Object, file, content string) meta.Artifact {
	t.Helper()
	a := s.Artifact(o, "main@sha1:"+file, file+".tar.gz")
	if err := s.Write(t.Context(), o, &a, one(content)); err != nil {
		t.Fatal(err)
	}
	return a
}

func one(content string) func(*Archive) error {
	return func(a *Archive) error {
		return a.File("f", false, int64(len(content)), strings.NewReader(content))
	}
}

func local(s *Storage, a *meta.Artifact) string { return filepath.Join(s.options.Path, a.Path) }

func TestLayout(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	a := put(t, s, object, "0123", "x")
	if a.Path != "gitrepository/team-a/models/0123.tar.gz" || a.URL != "http://host:9090/gitrepository/team-a/models/0123.tar.gz" {
		t.Errorf("artifact %+v", a)
	}
	info, err := os.Stat(local(s, &a))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 || info.Size() != *a.Size || !strings.HasPrefix(a.Digest, "sha256:") || a.LastUpdateTime.IsZero() {
		t.Errorf("mode %v, size %d, artifact %+v", info.Mode(), info.Size(), a)
	}
	if info, err = os.Stat(filepath.Dir(local(s, &a))); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory mode %v, error %v", info.Mode(), err)
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"host":              "http://host/gitrepository/team-a/models/x",
		"host.svc.":         "http://host.svc./gitrepository/team-a/models/x",
		"https://host:1":    "https://host:1/gitrepository/team-a/models/x",
		"http://host/base/": "http://host/base/gitrepository/team-a/models/x",
	} {
		s := newStorage(t, func(o *Options) { o.Host = host })
		if a := s.Artifact(object, "", "x"); a.URL != want {
			t.Errorf("%s: %s, want %s", host, a.URL, want)
		}
	}
}

// TestFormat compares with what the standard library makes of a checkout on
// disk, in the steps that Flux documents.
func TestFormat(t *testing.T) {
	t.Parallel()
	checkout := t.TempDir()
	for name, mode := range map[string]os.FileMode{"b/run.sh": 0o755, "b/x": 0o644, "a.yaml": 0o664, "b-c": 0o600} {
		file := filepath.Join(checkout, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("content of "+name), mode); err != nil {
			t.Fatal(err)
		}
	}
	var want bytes.Buffer
	zip := gzip.NewWriter(&want)
	reference := tar.NewWriter(zip)
	err := filepath.Walk(checkout, func(path string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		h, err := tar.FileInfoHeader(info, path)
		if err != nil {
			return err
		}
		h.Name, _ = filepath.Rel(checkout, path)
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		h.ModTime, h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}, time.Time{}
		switch {
		case info.IsDir():
			h.Mode = 0o750
		case info.Mode()&0o111 != 0:
			h.Mode = 0o700
		default:
			h.Mode = 0o600
		}
		if err := reference.WriteHeader(h); err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = reference.Write(data)
		return err
	})
	if err := errors.Join(err, reference.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}

	s := newStorage(t, nil)
	a := s.Artifact(object, "r", "x.tar.gz")
	err = s.Write(t.Context(), object, &a, func(a *Archive) error {
		file := func(name string, executable bool) error {
			content := "content of " + name
			return a.File(name, executable, int64(len(content)), strings.NewReader(content))
		}
		return errors.Join(file("a.yaml", false), a.Dir("b"), file("b/run.sh", true), file("b/x", false), file("b-c", false))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(local(s, &a))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("the archive is not byte for byte the one of a checkout")
	}
}

func TestWritesAreReproducible(t *testing.T) {
	t.Parallel()
	a := put(t, newStorage(t, nil), object, "x", "content")
	b := put(t, newStorage(t, nil), object, "x", "content")
	c := put(t, newStorage(t, nil), object, "x", "other")
	if a.Digest != b.Digest || a.Digest == c.Digest {
		t.Errorf("digests %s, %s, %s", a.Digest, b.Digest, c.Digest)
	}
	for _, algorithm := range []string{"sha384", "sha512"} {
		s := newStorage(t, func(o *Options) { o.Digest = algorithm })
		d := put(t, s, object, "x", "content")
		if !strings.HasPrefix(d.Digest, algorithm+":") || s.Verify(t.Context(), object, &d) != nil {
			t.Errorf("digest %s", d.Digest)
		}
	}
	if _, err := New(Options{Path: t.TempDir(), Digest: "md5"}); err == nil {
		t.Error("md5 was accepted")
	}
}

func TestAFailedWriteChangesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx  context.Context
		fill func(*Archive) error
		want error
		text string
	}{
		"source fails": {t.Context(), func(*Archive) error { return broken }, broken, "broken"},
		"too large":    {t.Context(), one(strings.Repeat("x", 2000)), ErrTooLarge, "more than 1000 bytes, the limit of --artifact-max-size"},
		"too many bytes": {t.Context(), func(a *Archive) error {
			return errors.Join(one(strings.Repeat("x", 600))(a), one(strings.Repeat("y", 600))(a))
		}, ErrTooLarge, "more than 1000 bytes"},
		"short file":     {t.Context(), func(a *Archive) error { return a.File("f", false, 10, strings.NewReader("x")) }, nil, "it has 1 bytes where 10 were announced"},
		"leaves archive": {t.Context(), func(a *Archive) error { return a.Dir("../x") }, nil, "leaves the archive"},
		"cancelled":      {ended, one("x"), context.Canceled, "context canceled"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorage(t, func(o *Options) { o.MaxSize = 1000 })
			good := put(t, s, object, "x", "good")
			bad := good
			err := s.Write(tc.ctx, object, &bad, tc.fill)
			if err == nil || !strings.Contains(err.Error(), tc.text) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %q", err, tc.text)
			}
			if strings.Contains(fmt.Sprint(err), tempPrefix) || strings.Contains(fmt.Sprint(err), s.options.Path) {
				t.Errorf("error %q names a temporary file", err)
			}
			if err := s.Verify(t.Context(), object, &good); err != nil {
				t.Errorf("the artifact from before: %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(filepath.Dir(local(s, &good)), tempPrefix+"*"))
			if len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		damage func(t *testing.T, file string)
		change func(*meta.Artifact)
		want   error
	}{
		"intact":          {nil, nil, nil},
		"gone":            {remove, nil, ErrMissing},
		"changed":         {func(t *testing.T, file string) { t.Helper(); write(t, file, "x") }, nil, ErrMismatch},
		"a directory":     {func(t *testing.T, file string) { t.Helper(); remove(t, file); mkdir(t, file) }, nil, ErrMissing},
		"a symlink":       {func(t *testing.T, file string) { t.Helper(); remove(t, file); link(t, "/etc/passwd", file) }, nil, ErrMissing},
		"no digest":       {nil, func(a *meta.Artifact) { a.Digest = "" }, ErrMismatch},
		"another object":  {nil, func(a *meta.Artifact) { a.Path = "gitrepository/team-b/models/x.tar.gz" }, ErrMissing},
		"a path upwards":  {nil, func(a *meta.Artifact) { a.Path = "gitrepository/team-a/models/../../../../etc/passwd" }, ErrMissing},
		"the directory":   {nil, func(a *meta.Artifact) { a.Path = "gitrepository/team-a/models" }, ErrMissing},
		"a hidden file":   {nil, func(a *meta.Artifact) { a.Path = "gitrepository/team-a/models/.tmp-x" }, ErrMissing},
		"the lock itself": {nil, func(a *meta.Artifact) { a.Path += lockSuffix }, ErrMissing},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorage(t, nil)
			put(t, s, Object{"GitRepository", "team-b", "models"}, "x", "content")
			a := put(t, s, object, "x", "content")
			if tc.damage != nil {
				tc.damage(t, local(s, &a))
			}
			if tc.change != nil {
				tc.change(&a)
			}
			if err := s.Verify(t.Context(), object, &a); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, file string) {
	t.Helper()
	if err := os.Symlink(to, file); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	mine, other := put(t, s, object, "x", "1"), put(t, s, Object{"GitRepository", "team-b", "models"}, "x", "2")
	// Not even a status that names it can make one object remove another's.
	if err := s.Remove(object, &other); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Remove(object, &mine); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Verify(t.Context(), object, &mine); !errors.Is(err, ErrMissing) {
		t.Errorf("after Remove: %v", err)
	}
	found, err := s.RemoveAll(object)
	if err != nil || !found {
		t.Errorf("RemoveAll = %v, %v", found, err)
	}
	if _, err := os.Stat(filepath.Dir(local(s, &mine))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if found, err = s.RemoveAll(object); err != nil || found {
		t.Errorf("second RemoveAll = %v, %v", found, err)
	}
	if err := s.Verify(t.Context(), Object{"GitRepository", "team-b", "models"}, &other); err != nil {
		t.Errorf("the other object's artifact: %v", err)
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	now := time.Unix(10_000, 0)
	at := func(name string, age time.Duration) stored { return stored{name, now.Add(-age)} }
	tests := map[string]struct {
		artifacts []stored
		keep      string
		want      []string
	}{
		"nothing":               {nil, "", nil},
		"only the current one":  {[]stored{at("a", time.Hour)}, "a", nil},
		"young ones stay":       {[]stored{at("a", time.Second), at("b", 2*time.Second)}, "a", nil},
		"old ones go":           {[]stored{at("a", 2*time.Minute), at("b", time.Hour)}, "a", []string{"b"}},
		"old but just replaced": {[]stored{at("a", time.Second), at("b", time.Hour), at("c", 2*time.Hour)}, "a", []string{"c"}},
		"too many go by age":    {[]stored{at("a", 1), at("b", 2), at("c", 3), at("d", 4)}, "a", []string{"d", "c"}},
		"an old one is current": {[]stored{at("a", 1), at("b", 2), at("c", time.Hour)}, "c", []string{"b"}},
		"same time":             {[]stored{at("c", 1), at("b", 1), at("a", 1)}, "a", []string{"b"}},
		"none is current":       {[]stored{at("a", time.Hour)}, "", []string{"a"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := expired(tc.artifacts, tc.keep, now, time.Minute, 2)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	old, current := put(t, s, object, "old", "1"), put(t, s, object, "new", "2")
	dir := filepath.Dir(local(s, &old))
	write(t, filepath.Join(dir, tempPrefix+"1"), "left by kill -9")
	write(t, filepath.Join(dir, tempPrefix+"2"), "being written")
	past := time.Now().Add(-2 * staleTemp)
	for _, name := range []string{"old.tar.gz", "new.tar.gz", tempPrefix + "1"} {
		if err := os.Chtimes(filepath.Join(dir, name), past, past); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Collect(object, &current); n != 1 || err != nil {
		t.Errorf("Collect = %d, %v", n, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff([]string{tempPrefix + "2", "new.tar.gz", "new.tar.gz.lock"}, got); diff != "" {
		t.Error(diff)
	}
	if n, err := s.Collect(Object{"GitRepository", "no", "one"}, nil); n != 0 || err != nil {
		t.Errorf("Collect of nothing = %d, %v", n, err)
	}
}

func TestLockKeepsProcessesApart(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	a := s.Artifact(object, "r", "x.tar.gz")
	err := s.Write(t.Context(), object, &a, func(*Archive) error {
		second := s.Artifact(object, "r", "x.tar.gz")
		if err := s.Write(t.Context(), object, &second, one("x")); !errors.Is(err, ErrLocked) {
			t.Errorf("error %v, want ErrLocked", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, object, "x", "and free again")
}

func TestOpenFindsArtifactsOnly(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	a := put(t, s, object, "x", "content")
	link(t, "/etc/passwd", filepath.Join(filepath.Dir(local(s, &a)), "link"))
	write(t, filepath.Join(filepath.Dir(local(s, &a)), ".hidden"), "x")
	file, err := s.Open(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if digest, err := s.Digest(file); err != nil || digest != a.Digest {
		t.Errorf("digest %s, %v; want %s", digest, err, a.Digest)
	}
	if data, err := io.ReadAll(file); err != nil || int64(len(data)) != *a.Size {
		t.Errorf("%d bytes after Digest, %v", len(data), err)
	}
	for _, name := range []string{
		"", ".", "gitrepository", "gitrepository/team-a/models", a.Path + lockSuffix, a.Path + "/", "/" + a.Path,
		"gitrepository/team-a/models/.hidden", "gitrepository/team-a/models/link", "gitrepository/team-a/models/../x",
		"gitrepository/team-a/models/y", ".git-objects/a/b/c", "../../../etc/passwd",
	} {
		if file, err := s.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q): %v", name, err)
			file.Close()
		}
	}
}

func FuzzOwned(f *testing.F) {
	f.Add("gitrepository/team-a/models/x.tar.gz")
	f.Add("gitrepository/team-a/models/../../x")
	f.Add("gitrepository/team-a/models/..")
	f.Fuzz(func(t *testing.T, path string) {
		name, ok := owned(object, &meta.Artifact{Path: path})
		if ok && (!filepath.IsLocal(name) || filepath.Dir(name) != object.dir()) {
			t.Errorf("%q is taken as %q", path, name)
		}
	})
}

func TestObjects(t *testing.T) {
	t.Parallel()
	s := newStorage(t, nil)
	if got, err := s.Objects(); err != nil || len(got) != 0 {
		t.Errorf("objects of an empty storage: %v, %v", got, err)
	}
	put(t, s, Object{"GitRepository", "ns", "b"}, "1.tar.gz", "x")
	put(t, s, Object{"GitRepository", "ns", "a"}, "1.tar.gz", "x")
	put(t, s, Object{"HelmChart", "other", "c"}, "1.tgz", "x")
	for _, dir := range []string{".git-objects", ".git-objects/a", ".git-objects/a/b", "lost+found"} {
		mkdir(t, filepath.Join(s.options.Path, dir))
	}
	write(t, filepath.Join(s.options.Path, "gitrepository", "ns", "file"), "x")
	got, err := s.Objects()
	want := []Object{{"gitrepository", "ns", "a"}, {"gitrepository", "ns", "b"}, {"helmchart", "other", "c"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
}
