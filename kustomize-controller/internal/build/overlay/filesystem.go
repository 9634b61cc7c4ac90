// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Base is the directory that stands for the root of the artifact in the paths that kustomize sees. Paths of this machine
// never reach it, so that its messages hold none.
const Base = "/artifact"

// FileSystem is a Tree as kustomize wants it: absolute paths below Base, and nothing else.
type FileSystem struct {
	tree   *Tree
	clones *clones
	check  func(content []byte) error
}

// Config says what a FileSystem shows.
type Config struct {
	// Clones shows the directories that kustomize clones remote bases to, each only from within.
	Clones bool
	// Check, if it is set, may refuse to have a file read because of its content.
	Check func(content []byte) error
}

var _ filesys.FileSystem = (*FileSystem)(nil)

// NewFileSystem returns tree as a file system of kustomize.
func NewFileSystem(tree *Tree, config Config) (*FileSystem, error) {
	f := &FileSystem{tree: tree, check: config.Check}
	if config.Clones {
		clones, err := newClones()
		if err != nil {
			return nil, err
		}
		f.clones = clones
	}
	return f, nil
}

// at finds the tree that name lies in, and its name there.
func (f *FileSystem) at(name string, use func(tree *Tree, rel, base string) error) error {
	name = path.Clean(name)
	if name == Base {
		return use(f.tree, ".", Base)
	}
	if rel, ok := strings.CutPrefix(name, Base+"/"); ok {
		return use(f.tree, rel, Base)
	}
	if f.clones != nil {
		return f.clones.at(name, use)
	}
	return ErrEscape
}

// ReadFile implements filesys.FileSystem.
func (f *FileSystem) ReadFile(name string) (content []byte, err error) {
	err = f.at(name, func(tree *Tree, rel, _ string) error {
		content, err = tree.ReadFile(rel)
		if err == nil && f.check != nil {
			err = f.check(content)
		}
		return err
	})
	if err != nil {
		return nil, wrap("read", name, err)
	}
	return content, nil
}

// Exists implements filesys.FileSystem.
func (f *FileSystem) Exists(name string) bool {
	return f.at(name, func(tree *Tree, rel, _ string) error {
		_, err := tree.Stat(rel)
		return err
	}) == nil
}

// IsDir implements filesys.FileSystem.
func (f *FileSystem) IsDir(name string) bool {
	return f.at(name, func(tree *Tree, rel, _ string) error {
		if !tree.IsDir(rel) {
			return fs.ErrNotExist
		}
		return nil
	}) == nil
}

// CleanedAbs implements filesys.FileSystem.
func (f *FileSystem) CleanedAbs(name string) (dir filesys.ConfirmedDir, file string, err error) {
	err = f.at(name, func(tree *Tree, rel, base string) error {
		resolved, err := tree.Resolve(rel)
		if err != nil {
			return err
		}
		isDir, err := tree.Stat(resolved)
		if err != nil {
			return err
		}
		full := path.Join(base, resolved)
		if isDir {
			dir = filesys.ConfirmedDir(full)
			return nil
		}
		dir, file = filesys.ConfirmedDir(path.Dir(full)), path.Base(full)
		return nil
	})
	return dir, file, wrap("open", name, err)
}

// ReadDir implements filesys.FileSystem.
func (f *FileSystem) ReadDir(name string) (names []string, err error) {
	err = f.at(name, func(tree *Tree, rel, _ string) error {
		names, err = tree.ReadDir(rel)
		return err
	})
	return names, wrap("read", name, err)
}

// Glob implements filesys.FileSystem. It finds files of the artifact only.
func (f *FileSystem) Glob(pattern string) ([]string, error) {
	rel, ok := strings.CutPrefix(path.Clean(pattern), Base+"/")
	if !ok {
		return nil, wrap("find", pattern, ErrEscape)
	}
	found, err := f.tree.Glob(rel)
	if err != nil {
		return nil, wrap("find", pattern, err)
	}
	for i := range found {
		found[i] = path.Join(Base, found[i])
	}
	return found, nil
}

// Walk implements filesys.FileSystem.
func (f *FileSystem) Walk(name string, visit filepath.WalkFunc) error {
	return f.at(name, func(tree *Tree, rel, base string) error {
		return tree.Walk(rel, func(rel string, entry fs.DirEntry, err error) error {
			var info fs.FileInfo
			if err == nil {
				info, err = entry.Info()
				err = cause(err)
			}
			return visit(path.Join(base, rel), info, err)
		})
	})
}

// Open implements filesys.FileSystem. kustomize reads whole files with ReadFile and never calls it.
func (f *FileSystem) Open(name string) (filesys.File, error) {
	content, err := f.ReadFile(name)
	if err != nil {
		return nil, err
	}
	memory := filesys.MakeFsInMemory()
	if err := memory.WriteFile(path.Base(name), content); err != nil {
		return nil, wrap("open", name, err)
	}
	return memory.Open(path.Base(name))
}

// RemoveAll implements filesys.FileSystem. Only whole clones can be removed, as kustomize does when it is done with one.
func (f *FileSystem) RemoveAll(name string) error {
	if f.clones == nil {
		return wrap("remove", name, errReadOnly)
	}
	return wrap("remove", name, f.clones.remove(path.Clean(name)))
}

// Create implements filesys.FileSystem. It always fails.
func (f *FileSystem) Create(name string) (filesys.File, error) {
	return nil, wrap("create", name, errReadOnly)
}

// Mkdir implements filesys.FileSystem. It always fails.
func (f *FileSystem) Mkdir(name string) error { return wrap("create", name, errReadOnly) }

// MkdirAll implements filesys.FileSystem. It always fails.
func (f *FileSystem) MkdirAll(name string) error { return wrap("create", name, errReadOnly) }

// WriteFile implements filesys.FileSystem. It always fails.
func (f *FileSystem) WriteFile(name string, _ []byte) error {
	return wrap("write", name, errReadOnly)
}

var errReadOnly = errors.New("the artifact is read-only")

func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// clones gives access to the directories that kustomize clones remote bases to.
type clones struct {
	prefix string
}

func newClones() (*clones, error) {
	// kustomize resolves the links of the name too.
	temp, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return nil, errors.New("the directory for temporary files cannot be used, and remote bases need it")
	}
	return &clones{prefix: filepath.Join(temp, "kustomize-")}, nil
}

// split returns the clone that name lies in, and its name there.
func (c *clones) split(name string) (clone, rel string, ok bool) {
	rest, ok := strings.CutPrefix(name, c.prefix)
	if !ok {
		return "", "", false
	}
	id, rel, _ := strings.Cut(rest, "/")
	if id == "" {
		return "", "", false
	}
	return c.prefix + id, path.Clean(rel), true
}

func (c *clones) at(name string, use func(tree *Tree, rel, base string) error) error {
	clone, rel, ok := c.split(name)
	if !ok {
		return ErrEscape
	}
	tree, err := Open(clone)
	if err != nil {
		return fs.ErrNotExist
	}
	defer func() { _ = tree.Close() }()
	return use(tree, rel, clone)
}

func (c *clones) remove(name string) error {
	clone, rel, ok := c.split(name)
	if !ok || rel != "." {
		return errReadOnly
	}
	return cause(os.RemoveAll(clone))
}
