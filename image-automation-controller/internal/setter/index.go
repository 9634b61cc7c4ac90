// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/weir-gitops/weir/pkg/git"
)

// Index finds the marked fields of commits, and remembers by content what it found in files. It is safe for concurrent
// use. What it returns does not depend on what it remembers.
type Index struct {
	max int64

	mu    sync.Mutex
	size  int64
	order *list.List
	files map[string]*list.Element
}

// known is what one file or directory holds; the paths to it are left out.
type known struct {
	hash string
	// fields and problems are those of a file.
	fields   []Field
	problems []Problem
	// below are those names of a directory behind which there are fields or problems.
	below []place
	size  int64
}

// place is a name in a directory.
type place struct {
	name, hash string
	dir        bool
}

// relevant tells whether there is anything to report.
func (k *known) relevant() bool { return len(k.fields)+len(k.problems)+len(k.below) > 0 }

// NewIndex returns an index that remembers about maxBytes; what was not used for the longest time is forgotten first.
func NewIndex(maxBytes int64) *Index {
	return &Index{max: maxBytes, order: list.New(), files: map[string]*list.Element{}}
}

// Below returns the path from the root of the repository of a name that is relative to dir, which is relative to the root:
// "", ".", "./a" and "/a" are. Nothing leads out of the root.
func Below(dir, name string) string {
	return strings.TrimPrefix(path.Join("/", dir, path.Join("/", name)), "/")
}

// Fields returns the marked fields of all files of the commit below dir, in the order of git.Commit.Walk and in that in
// which they stand, and the files and markers that are left out. Files are those that Flux looks at: *.yaml, *.yml and Kustomization. Symlinks
// and submodules are not followed. Dir may be a file. It is a git.ErrPath if there is no dir.
func (x *Index) Fields(ctx context.Context, c *git.Commit, dir string) ([]Field, []Problem, error) {
	s := search{index: x, commit: c, memory: map[string]*known{}}
	base := Below(dir, "")
	top := c.Root()
	if base != "" {
		var err error
		if top, err = c.File(base); err != nil {
			return nil, nil, fmt.Errorf("look for markers below %s: %w", base, err)
		}
	}
	if top.Kind != git.Dir && !eligible(top) {
		return nil, nil, nil
	}
	found, err := s.load(ctx, base, place{hash: top.Hash(), dir: top.Kind == git.Dir}, &top)
	if err == nil {
		err = s.report(ctx, base, found)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look for markers: %w", err)
	}
	return s.fields, s.problems, nil
}

// Read returns the content of a file of the commit, with the path from the root. It fails for what is not a plain file of
// at most MaxFile bytes.
func Read(c *git.Commit, name string) ([]byte, error) {
	e, err := c.File(name)
	if err != nil {
		return nil, err
	}
	if e.Kind != git.File && e.Kind != git.Executable {
		return nil, fmt.Errorf("'%s' is not a plain file of the commit", name)
	}
	size, r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if size > MaxFile {
		return nil, fmt.Errorf("'%s' has %d bytes; the limit is %d", name, size, MaxFile)
	}
	return io.ReadAll(r)
}

// The bounds of one search. A few kilobytes of trees that hold each other can name billions of files.
const (
	maxPath     = 4096
	maxVisits   = 1 << 20
	maxFields   = 50_000
	maxProblems = 1000
)

// search is one pass over a commit: first over what changed since it was last seen, then over what there is to report.
type search struct {
	index  *Index
	commit *git.Commit
	// memory holds what was loaded, so that nothing is loaded twice even if the index has no room.
	memory map[string]*known
	visits int
	loaded int

	buffer   bytes.Buffer
	fields   []Field
	problems []Problem
}

// eligible tells whether Flux would look at a file of that name.
func eligible(e git.Entry) bool {
	extension := path.Ext(e.Path)
	return (e.Kind == git.File || e.Kind == git.Executable) &&
		(extension == ".yaml" || extension == ".yml" || path.Base(e.Path) == "Kustomization")
}

// visit counts a step.
func (s *search) visit(ctx context.Context, name string) error {
	if s.visits++; s.visits > maxVisits {
		return fmt.Errorf("%w: the commit holds more than %d files and directories", git.ErrTooLarge, maxVisits)
	}
	if len(name) > maxPath {
		return fmt.Errorf("%w: the commit holds a path of more than %d bytes", git.ErrTooLarge, maxPath)
	}
	return ctx.Err()
}

// load returns what is at a place. The entry is looked up by name if it is nil and needed.
func (s *search) load(ctx context.Context, name string, at place, e *git.Entry) (*known, error) {
	if k := s.memory[at.hash]; k != nil {
		return k, nil
	}
	k := s.index.get(at.hash)
	if k == nil {
		if e == nil {
			found, err := s.commit.File(name)
			if err != nil {
				return nil, err
			}
			e = &found
		}
		read := s.file
		if at.dir {
			read = s.directory
		}
		var err error
		if k, err = read(ctx, *e); err != nil {
			return nil, err
		}
		k.hash = at.hash
		s.index.put(k)
	}
	if s.loaded += len(k.fields); s.loaded > maxFields {
		return nil, fmt.Errorf("%w: there are more than %d marked fields", git.ErrTooLarge, maxFields)
	}
	if at.dir || k.relevant() {
		s.memory[at.hash] = k
	}
	return k, nil
}

// directory loads what is in a directory.
func (s *search) directory(ctx context.Context, e git.Entry) (*known, error) {
	entries, err := e.Entries()
	if err != nil {
		return nil, err
	}
	k := new(known)
	for _, child := range entries {
		if err := s.visit(ctx, child.Path); err != nil {
			return nil, err
		}
		if child.Kind != git.Dir && !eligible(child) {
			continue
		}
		at := place{path.Base(child.Path), child.Hash(), child.Kind == git.Dir}
		found, err := s.load(ctx, child.Path, at, &child)
		if err != nil {
			return nil, err
		}
		if found.relevant() {
			k.below = append(k.below, at)
		}
	}
	return k, nil
}

// report collects fields and problems with their paths.
func (s *search) report(ctx context.Context, name string, k *known) error {
	for _, f := range k.fields {
		f.File = name
		s.fields = append(s.fields, f)
	}
	if len(s.fields) > maxFields {
		return fmt.Errorf("%w: there are more than %d marked fields", git.ErrTooLarge, maxFields)
	}
	for _, p := range k.problems {
		if p.File = name; len(s.problems) < maxProblems {
			s.problems = append(s.problems, p)
		}
	}
	for _, at := range k.below {
		full := path.Join(name, at.name)
		if err := s.visit(ctx, full); err != nil {
			return err
		}
		found, err := s.load(ctx, full, at, nil)
		if err != nil {
			return err
		}
		if err := s.report(ctx, full, found); err != nil {
			return err
		}
	}
	return nil
}

// file looks for markers in the content of a file.
func (s *search) file(_ context.Context, e git.Entry) (*known, error) {
	size, r, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Path, err)
	}
	defer func() { _ = r.Close() }()
	if size > MaxFile {
		found, err := contains(r, []byte(Token))
		if err != nil || !found {
			return &known{}, err
		}
		return &known{problems: []Problem{{Reason: fmt.Sprintf("has markers and %d bytes; the limit is %d", size, MaxFile)}}}, nil
	}
	s.buffer.Reset()
	if _, err := s.buffer.ReadFrom(r); err != nil {
		return nil, err
	}
	fields, problems, err := Find("", s.buffer.Bytes())
	if err != nil {
		return &known{problems: []Problem{{Reason: err.Error()}}}, nil
	}
	return &known{fields: fields, problems: problems}, nil
}

// contains looks for the token in a stream.
func contains(r io.Reader, token []byte) (bool, error) {
	buffer := make([]byte, 64<<10)
	kept := 0
	for {
		n, err := r.Read(buffer[kept:])
		seen := buffer[:kept+n]
		if bytes.Contains(seen, token) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		kept = copy(buffer, seen[max(0, len(seen)-len(token)+1):])
	}
}

// get returns what is known of a content, or nil.
func (x *Index) get(hash string) *known {
	x.mu.Lock()
	defer x.mu.Unlock()
	element, ok := x.files[hash]
	if !ok {
		return nil
	}
	x.order.MoveToFront(element)
	k, _ := element.Value.(*known)
	return k
}

// put remembers what a content holds.
func (x *Index) put(k *known) {
	k.size = k.weigh()
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, twice := x.files[k.hash]; twice {
		return
	}
	x.files[k.hash] = x.order.PushFront(k)
	x.size += k.size
	for x.size > x.max {
		oldest := x.order.Back()
		if oldest == nil {
			return
		}
		x.order.Remove(oldest)
		if gone, ok := oldest.Value.(*known); ok {
			delete(x.files, gone.hash)
			x.size -= gone.size
		}
	}
}

// weigh estimates the memory that remembering takes.
func (k *known) weigh() int64 {
	const entry, field, problem, name = 340, 264, 40, 80
	total := entry + field*len(k.fields) + problem*len(k.problems) + name*len(k.below)
	for _, at := range k.below {
		total += len(at.name)
	}
	for _, v := range k.fields {
		total += len(v.Object) + len(v.ID.APIVersion) + len(v.ID.Kind) + len(v.ID.Namespace) + len(v.ID.Name) +
			len(v.Path) + len(v.Ref) + len(v.Value)
	}
	for _, p := range k.problems {
		total += len(p.Reason)
	}
	return int64(total)
}
