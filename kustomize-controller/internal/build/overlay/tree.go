// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package overlay shows an unpacked artifact to kustomize. The artifact stays as it is on disk; what a build adds to it
// exists in memory only. No path, however it is written and whatever it links to, leads out of the artifact.
package overlay

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links may lie on one path, as on Linux.
const maxLinks = 40

// ErrEscape is what a path that leads out of the artifact fails with.
var ErrEscape = errors.New("the path leads out of the artifact")

// Tree is a directory with files laid over it. Names are relative to it, with slashes; "." is the directory itself.
// Reading is safe for concurrent use, Lay is not.
type Tree struct {
	root *os.Root
	laid map[string][]byte
	// recorder notes what is seen of root; nil if nothing does.
	recorder *Recorder
}

// Open opens the directory dir of this machine as a Tree. The caller closes it.
func Open(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the unpacked artifact: %w", cause(err))
	}
	return &Tree{root: root, laid: map[string][]byte{}}, nil
}

// Close releases the directory.
func (t *Tree) Close() error {
	return t.root.Close()
}

// Lay puts a file over the tree, in place of the one of that name if there is one. Its directory has to exist in the
// artifact, and the name has to be free of symbolic links.
func (t *Tree) Lay(name string, content []byte) {
	t.laid[path.Clean(name)] = content
}

// Resolve returns name without symbolic links. It fails with ErrEscape if the path or a link on it leads out of the tree,
// and with fs.ErrNotExist if there is nothing at its end.
func (t *Tree) Resolve(name string) (string, error) {
	rest := strings.Split(name, "/")
	var done []string
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			if len(done) == 0 {
				return "", ErrEscape
			}
			done = done[:len(done)-1]
			continue
		}
		target, isLink, err := t.link(path.Join(append(done, part)...))
		if err != nil {
			return "", err
		}
		if !isLink {
			done = append(done, part)
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		if path.IsAbs(target) {
			return "", ErrEscape
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return path.Join(".", path.Join(done...)), nil
}

// link tells whether name is a symbolic link, and where it points to.
func (t *Tree) link(name string) (target string, is bool, err error) {
	if _, ok := t.laid[name]; ok {
		return "", false, nil
	}
	target, is, err = t.readLink(name)
	t.recorder.note(askLink, name, func() answer { return answerLink(target, is, err) })
	return target, is, err
}

func (t *Tree) readLink(name string) (target string, is bool, err error) {
	info, err := t.root.Lstat(name)
	if err != nil {
		return "", false, cause(err)
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return "", false, nil
	}
	target, err = t.root.Readlink(name)
	if err != nil {
		return "", false, cause(err)
	}
	return target, true, nil
}

// IsDir tells whether name is a directory.
func (t *Tree) IsDir(name string) bool {
	name = path.Clean(name)
	if _, ok := t.laid[name]; ok {
		return false
	}
	info, err := t.stat(name)
	return err == nil && info.IsDir()
}

func (t *Tree) stat(name string) (fs.FileInfo, error) {
	info, err := t.root.Stat(name)
	t.recorder.note(askKind, name, func() answer { return answerKind(info, err) })
	return info, err
}

// Stat tells whether name is a directory or else a regular file. Anything that is neither, and anything outside of the
// tree, is an error: ErrEscape, fs.ErrNotExist or another one without a path in it.
func (t *Tree) Stat(name string) (isDir bool, err error) {
	name = path.Clean(name)
	if _, ok := t.laid[name]; ok {
		return false, nil
	}
	info, err := t.stat(name)
	if err != nil {
		return false, cause(err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return false, errNotRegular
	}
	return info.IsDir(), nil
}

// Size returns how many bytes a regular file has. Its errors are like those of Stat.
func (t *Tree) Size(name string) (int64, error) {
	name = path.Clean(name)
	if content, ok := t.laid[name]; ok {
		return int64(len(content)), nil
	}
	info, err := t.stat(name)
	t.recorder.note(askSize, name, func() answer { return answerSize(info, err) })
	if err != nil {
		return 0, cause(err)
	}
	if !info.Mode().IsRegular() {
		return 0, errNotRegular
	}
	return info.Size(), nil
}

var errNotRegular = errors.New("neither a regular file nor a directory")

// ReadFile returns the content of a regular file. Its errors are like those of Stat. The caller must not change the
// content.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	name = path.Clean(name)
	if content, ok := t.laid[name]; ok {
		return content, nil
	}
	content, err := t.content(name)
	t.recorder.note(askContent, name, func() answer { return answerContent(content, err) })
	return content, err
}

func (t *Tree) content(name string) ([]byte, error) {
	// Without O_NONBLOCK a named pipe would hold the build until somebody writes to it.
	file, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if info.IsDir() {
		return nil, syscall.EISDIR
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	content := make([]byte, info.Size())
	if _, err := io.ReadFull(file, content); err != nil {
		return nil, cause(err)
	}
	return content, nil
}

// ReadDir returns the names in a directory of the artifact, sorted. Files laid over the tree are not among them unless
// they take the place of one.
func (t *Tree) ReadDir(name string) ([]string, error) {
	name = path.Clean(name)
	entries, err := t.entries(name)
	t.recorder.note(askNames, name, func() answer { return answerNames(entries, err) })
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, nil
}

func (t *Tree) entries(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(t.root.FS(), name)
	return entries, cause(err)
}

// Glob returns the names of the artifact that match a pattern, as fs.Glob does.
func (t *Tree) Glob(pattern string) ([]string, error) {
	found, err := t.matches(pattern)
	t.recorder.note(askMatches, pattern, func() answer { return answerTexts(found, err) })
	return found, err
}

func (t *Tree) matches(pattern string) ([]string, error) {
	found, err := fs.Glob(t.root.FS(), pattern)
	return found, cause(err)
}

// Walk visits the directory name of the artifact and everything in it, each directory in the order of names. Symbolic
// links are visited and not followed.
func (t *Tree) Walk(name string, visit fs.WalkDirFunc) error {
	name = path.Clean(name)
	_, _ = t.stat(name) // It is the walk that has to know about an error; this only notes what name is.
	return fs.WalkDir(t.root.FS(), name, func(name string, entry fs.DirEntry, err error) error {
		stop := visit(name, entry, cause(err))
		if stop == nil && err == nil && entry.IsDir() && t.recorder != nil {
			t.walked(name)
		}
		return stop
	})
}

// cause takes the path and the operation out of an error, since they name files of this machine, and turns the error of
// os.Root about an escape, which has no identity of its own, into ErrEscape.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	if err != nil && strings.Contains(err.Error(), "escapes from parent") {
		return ErrEscape
	}
	return err
}
