// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// artifact lays out a directory beside one that must stay out of reach, and returns it as a tree.
func artifact(t *testing.T) (tree *Tree, outside string) {
	t.Helper()
	base := t.TempDir()
	for name, content := range map[string]string{
		"outside/secret.yaml": "secret", "in/a.yaml": "a", "in/dir/b.yaml": "b", "in/dir/deep/c.yaml": "c",
	} {
		full := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"in/link":         "dir/deep",
		"in/dir/up":       "..",
		"in/file":         "dir/b.yaml",
		"in/out":          "../outside",
		"in/out.yaml":     "../outside/secret.yaml",
		"in/absolute":     filepath.Join(base, "in/dir"),
		"in/far":          "dir/up/../outside/secret.yaml",
		"in/loop":         "pool",
		"in/pool":         "loop",
		"in/gone":         "nowhere",
		"in/dir/deep/top": "../../../in/a.yaml",
	} {
		if err := os.Symlink(target, filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(base, "in/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := Open(filepath.Join(base, "in"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return tree, filepath.Join(base, "outside")
}

func TestPaths(t *testing.T) {
	t.Parallel()
	tree, outside := artifact(t)
	tests := map[string]struct {
		// read is what ReadFile returns, and resolved what Resolve returns; err is what either fails with.
		read, resolved      string
		readErr, resolveErr error
	}{
		"a.yaml":                 {read: "a", resolved: "a.yaml"},
		"./dir//b.yaml":          {read: "b", resolved: "dir/b.yaml"},
		"dir/../a.yaml":          {read: "a", resolved: "a.yaml"},
		"link/c.yaml":            {read: "c", resolved: "dir/deep/c.yaml"},
		"dir/up/a.yaml":          {read: "a", resolved: "a.yaml"},
		"file":                   {read: "b", resolved: "dir/b.yaml"},
		".":                      {readErr: syscall.EISDIR, resolved: "."},
		"dir":                    {readErr: syscall.EISDIR, resolved: "dir"},
		"..":                     {readErr: ErrEscape, resolveErr: ErrEscape},
		"../outside":             {readErr: ErrEscape, resolveErr: ErrEscape},
		"dir/../../outside":      {readErr: ErrEscape, resolveErr: ErrEscape},
		"out":                    {readErr: ErrEscape, resolveErr: ErrEscape},
		"out/secret.yaml":        {readErr: ErrEscape, resolveErr: ErrEscape},
		"out.yaml":               {readErr: ErrEscape, resolveErr: ErrEscape},
		"absolute/b.yaml":        {readErr: ErrEscape, resolveErr: ErrEscape},
		"far":                    {readErr: ErrEscape, resolveErr: ErrEscape},
		"dir/deep/top":           {readErr: ErrEscape, resolveErr: ErrEscape},
		"loop":                   {readErr: syscall.ELOOP, resolveErr: syscall.ELOOP},
		"gone":                   {readErr: fs.ErrNotExist, resolveErr: fs.ErrNotExist},
		"missing/also":           {readErr: fs.ErrNotExist, resolveErr: fs.ErrNotExist},
		"a.yaml/below":           {readErr: syscall.ENOTDIR, resolveErr: syscall.ENOTDIR},
		"pipe":                   {readErr: errNotRegular, resolved: "pipe"},
		outside + "/secret.yaml": {readErr: ErrEscape, resolveErr: fs.ErrNotExist},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, err := tree.ReadFile(name)
			if string(read) != tc.read || !same(err, tc.readErr) {
				t.Errorf("ReadFile(%q) = %q, %v; want %q, %v", name, read, err, tc.read, tc.readErr)
			}
			resolved, err := tree.Resolve(name)
			if resolved != tc.resolved || !same(err, tc.resolveErr) {
				t.Errorf("Resolve(%q) = %q, %v; want %q, %v", name, resolved, err, tc.resolved, tc.resolveErr)
			}
			if err != nil && strings.Contains(err.Error(), "/") {
				t.Errorf("the error names a path of this machine: %v", err)
			}
		})
	}
}

func same(err, want error) bool {
	return errors.Is(err, want) && (want != nil || err == nil)
}

func TestLaidFilesHideThoseOnDisk(t *testing.T) {
	t.Parallel()
	tree, _ := artifact(t)
	before := list(t, tree.root.Name())
	tree.Lay("dir/b.yaml", []byte("laid"))
	tree.Lay("dir/new.yaml", []byte("new"))
	for name, want := range map[string]string{"dir/b.yaml": "laid", "./dir/new.yaml": "new", "a.yaml": "a"} {
		if got, err := tree.ReadFile(name); string(got) != want || err != nil {
			t.Errorf("ReadFile(%q) = %q, %v; want %q", name, got, err, want)
		}
		if isDir, err := tree.Stat(name); isDir || err != nil {
			t.Errorf("Stat(%q) = %v, %v; want a file", name, isDir, err)
		}
	}
	if got, err := tree.Resolve("dir/new.yaml"); got != "dir/new.yaml" || err != nil {
		t.Errorf("Resolve of a laid file = %q, %v", got, err)
	}
	if diff := cmp.Diff(before, list(t, tree.root.Name())); diff != "" {
		t.Errorf("the directory on disk changed:\n%s", diff)
	}
}

// list returns what is in a directory, with the contents of files.
func list(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		found[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFileSystem(t *testing.T) {
	t.Parallel()
	tree, outside := artifact(t)
	tree.Lay("dir/kustomization.yaml", []byte("laid"))
	files, err := NewFileSystem(tree, Config{Check: func(content []byte) error {
		if string(content) == "c" {
			return errors.New("refused")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("reads", func(t *testing.T) {
		for name, want := range map[string]string{
			Base + "/a.yaml": "a", Base + "/dir/../link/../dir/b.yaml": "b", Base + "/dir/kustomization.yaml": "laid",
			Base + "/dir/deep/c.yaml": "", Base + "/../etc/passwd": "", "/etc/passwd": "", "a.yaml": "", outside + "/secret.yaml": "",
			Base + "x/a.yaml": "", Base + "/out.yaml": "",
		} {
			got, err := files.ReadFile(name)
			if string(got) != want || (err == nil) != (want != "") {
				t.Errorf("ReadFile(%q) = %q, %v; want %q", name, got, err, want)
			}
			opened, err := files.Open(name)
			if (err == nil) != (want != "") {
				t.Errorf("Open(%q) = %v, %v", name, opened, err)
			}
		}
	})
	t.Run("finds directories", func(t *testing.T) {
		for name, want := range map[string][2]string{
			Base: {Base, ""}, Base + "/dir": {Base + "/dir", ""}, Base + "/link": {Base + "/dir/deep", ""},
			Base + "/file": {Base + "/dir", "b.yaml"}, Base + "/out": {}, "/": {}, outside: {}, Base + "/loop": {}, Base + "/missing": {},
		} {
			dir, file, err := files.CleanedAbs(name)
			if got := [2]string{dir.String(), file}; got != want || (err == nil) != (want[0] != "") {
				t.Errorf("CleanedAbs(%q) = %v, %v; want %v", name, got, err, want)
			}
			if files.IsDir(name) != (want[0] != "" && want[1] == "") || files.Exists(name) != (want[0] != "") {
				t.Errorf("IsDir(%q) = %v, Exists = %v", name, files.IsDir(name), files.Exists(name))
			}
		}
	})
	t.Run("lists", func(t *testing.T) {
		names, err := files.ReadDir(Base + "/dir")
		if diff := cmp.Diff([]string{"b.yaml", "deep", "up"}, names); diff != "" || err != nil {
			t.Errorf("ReadDir: %v\n%s", err, diff)
		}
		found, err := files.Glob(Base + "/dir/*.yaml")
		if diff := cmp.Diff([]string{Base + "/dir/b.yaml"}, found); diff != "" || err != nil {
			t.Errorf("Glob: %v\n%s", err, diff)
		}
		if found, err := files.Glob(outside + "/*"); err == nil {
			t.Errorf("Glob found %v outside", found)
		}
		var walked []string
		err = files.Walk(Base+"/dir", func(name string, _ fs.FileInfo, err error) error {
			walked = append(walked, name)
			return err
		})
		want := []string{Base + "/dir", Base + "/dir/b.yaml", Base + "/dir/deep", Base + "/dir/deep/c.yaml", Base + "/dir/deep/top", Base + "/dir/up"}
		if diff := cmp.Diff(want, walked); diff != "" || err != nil {
			t.Errorf("Walk: %v\n%s", err, diff)
		}
	})
	t.Run("writes nothing", func(t *testing.T) {
		name := Base + "/new.yaml"
		_, createErr := files.Create(name)
		for what, err := range map[string]error{
			"Create": createErr, "Mkdir": files.Mkdir(name), "MkdirAll": files.MkdirAll(name),
			"WriteFile": files.WriteFile(name, nil), "RemoveAll": files.RemoveAll(Base + "/a.yaml"),
		} {
			if !errors.Is(err, errReadOnly) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// TestClones looks at the directories that kustomize clones to, which lie outside of the artifact.
func TestClones(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	tree, outside := artifact(t)
	clone, err := os.MkdirTemp("", "kustomize-") //nolint:usetesting // It is the name that makes it a clone.
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clone, "x.yaml"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(clone, "out")); err != nil {
		t.Fatal(err)
	}
	without, err := NewFileSystem(tree, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if content, err := without.ReadFile(clone + "/x.yaml"); err == nil {
		t.Errorf("a clone can be read without being allowed to: %q", content)
	}
	with, err := NewFileSystem(tree, Config{Clones: true})
	if err != nil {
		t.Fatal(err)
	}
	if content, err := with.ReadFile(clone + "/x.yaml"); string(content) != "x" || err != nil {
		t.Errorf("ReadFile = %q, %v", content, err)
	}
	for _, name := range []string{clone + "/out/secret.yaml", outside + "/secret.yaml", os.TempDir() + "/kustomize-", clone + "/../x"} {
		if content, err := with.ReadFile(name); err == nil {
			t.Errorf("ReadFile(%q) = %q, and has to fail", name, content)
		}
	}
	for _, name := range []string{clone + "/x.yaml", outside, os.TempDir()} {
		if err := with.RemoveAll(name); err == nil {
			t.Errorf("RemoveAll(%q) has to fail", name)
		}
	}
	if err := with.RemoveAll(clone); err != nil {
		t.Errorf("RemoveAll of a clone: %v", err)
	}
	if _, err := os.Stat(clone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the clone is still there: %v", err)
	}
	if _, err := os.Stat(outside + "/secret.yaml"); err != nil {
		t.Errorf("what a link in the clone points to is gone: %v", err)
	}
}

// FuzzPaths checks that no name leads to what lies beside the tree.
func FuzzPaths(f *testing.F) {
	for _, name := range []string{"a.yaml", "../outside/secret.yaml", "out/secret.yaml", "dir/up/../../outside/secret.yaml", "far", "/etc/passwd"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		tree, _ := artifact(t)
		files, err := NewFileSystem(tree, Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, read := range []func(string) ([]byte, error){
			tree.ReadFile, files.ReadFile, func(name string) ([]byte, error) { return files.ReadFile(Base + "/" + name) },
		} {
			if content, err := read(name); err == nil && len(content) != 1 {
				t.Errorf("read(%q) = %q", name, content)
			}
		}
		if resolved, err := tree.Resolve(name); err == nil {
			if _, err := tree.root.Stat(resolved); err != nil {
				t.Errorf("Resolve(%q) = %q, which is not there: %v", name, resolved, err)
			}
		}
	})
}
