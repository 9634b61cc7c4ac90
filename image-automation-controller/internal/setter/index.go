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

// file is what one content holds; paths are left out.
type file struct {
	hash     string
	fields   []Field
	problems []Problem
	size     int64
}

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
	s := search{index: x}
	base := Below(dir, "")
	if base == "" {
		err := c.Walk(ctx, s.visit)
		return s.fields, s.problems, err
	}
	top, err := c.File(base)
	if err != nil {
		return nil, nil, fmt.Errorf("look for markers below %s: %w", base, err)
	}
	if top.Kind != git.Dir {
		err := s.visit(top)
		return s.fields, s.problems, err
	}
	err = top.Walk(ctx, s.visit)
	return s.fields, s.problems, err
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

// search is one pass over a commit.
type search struct {
	index    *Index
	buffer   bytes.Buffer
	fields   []Field
	problems []Problem
}

// eligible tells whether Flux would look at a file of that name.
func eligible(name string) bool {
	extension := path.Ext(name)
	return extension == ".yaml" || extension == ".yml" || path.Base(name) == "Kustomization"
}

func (s *search) visit(e git.Entry) error {
	if (e.Kind != git.File && e.Kind != git.Executable) || !eligible(e.Path) {
		return nil
	}
	hash := e.Hash()
	found := s.index.get(hash)
	if found == nil {
		var err error
		if found, err = s.read(e); err != nil {
			return fmt.Errorf("look for markers in %s: %w", e.Path, err)
		}
		found.hash = hash
		s.index.put(found)
	}
	for _, f := range found.fields {
		f.File = e.Path
		s.fields = append(s.fields, f)
	}
	for _, p := range found.problems {
		p.File = e.Path
		s.problems = append(s.problems, p)
	}
	return nil
}

// read looks for markers in the content of a file.
func (s *search) read(e git.Entry) (*file, error) {
	size, r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if size > MaxFile {
		found, err := contains(r, []byte(Token))
		if err != nil || !found {
			return &file{}, err
		}
		return &file{problems: []Problem{{Reason: fmt.Sprintf("has markers and %d bytes; the limit is %d", size, MaxFile)}}}, nil
	}
	s.buffer.Reset()
	if _, err := s.buffer.ReadFrom(r); err != nil {
		return nil, err
	}
	fields, problems, err := Find("", s.buffer.Bytes())
	if err != nil {
		return &file{problems: []Problem{{Reason: err.Error()}}}, nil
	}
	return &file{fields: fields, problems: problems}, nil
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
func (x *Index) get(hash string) *file {
	x.mu.Lock()
	defer x.mu.Unlock()
	element, ok := x.files[hash]
	if !ok {
		return nil
	}
	x.order.MoveToFront(element)
	known, _ := element.Value.(*file)
	return known
}

// put remembers what a content holds.
func (x *Index) put(f *file) {
	f.size = f.weigh()
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.files[f.hash]; known {
		return
	}
	x.files[f.hash] = x.order.PushFront(f)
	x.size += f.size
	for x.size > x.max {
		oldest := x.order.Back()
		if oldest == nil {
			return
		}
		x.order.Remove(oldest)
		if gone, ok := oldest.Value.(*file); ok {
			delete(x.files, gone.hash)
			x.size -= gone.size
		}
	}
}

// weigh estimates the memory that remembering takes.
func (f *file) weigh() int64 {
	const entry, field, problem = 320, 264, 40
	total := entry + field*len(f.fields) + problem*len(f.problems)
	for _, v := range f.fields {
		total += len(v.Object) + len(v.ID.APIVersion) + len(v.ID.Kind) + len(v.ID.Namespace) + len(v.ID.Name) +
			len(v.Path) + len(v.Ref) + len(v.Value)
	}
	for _, p := range f.problems {
		total += len(p.Reason)
	}
	return int64(total)
}
