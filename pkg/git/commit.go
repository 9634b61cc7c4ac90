// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// maxPath bounds the length of a path, as file systems do.
	maxPath = 4096
	// maxEntries bounds the files and directories of a commit: a few
	// kilobytes of trees that hold each other can name billions.
	maxEntries = 1 << 20
)

// Kind says what a path of a commit is.
type Kind int

// The kinds of paths.
const (
	Dir Kind = iota
	File
	Executable
	Symlink
	Submodule
)

// Signature is who did something to a commit, and when.
type Signature struct {
	Name, Email string
	When        time.Time
}

// String returns "Name <email>".
func (s Signature) String() string { return s.Name + " <" + s.Email + ">" }

// Commit is one commit in a Store. It is valid inside of the function that
// Store.Read calls, and not safe for concurrent use.
type Commit struct {
	Hash              string
	Author, Committer Signature
	Message           string
	// Parents are the hashes of the commits before it, the one whose branch it
	// is on first. The store need not hold them.
	Parents []string

	tree    plumbing.Hash
	objects *objects
}

// Subject returns the first line of the message.
func (c *Commit) Subject() string {
	subject, _, _ := strings.Cut(c.Message, "\n")
	return strings.TrimSpace(subject)
}

// Tree returns the hash of everything the commit holds: commits with the same
// one have the same files.
func (c *Commit) Tree() string { return c.tree.String() }

// Parent returns one of the parents, nil if the store does not hold it. It
// fetches nothing.
func (c *Commit) Parent(i int) (*Commit, error) {
	hash := plumbing.NewHash(c.Parents[i])
	if there, err := c.objects.has(hash); err != nil || !there {
		return nil, err
	}
	return c.objects.load(hash)
}

// Entry is one path of a commit.
type Entry struct {
	// Path from the root of the repository, with slashes.
	Path string
	Kind Kind

	hash    plumbing.Hash
	objects *objects
}

// Hash returns the hash that Git gives the content: a blob's or a tree's, and for
// a submodule that of a commit. Entries with the same one have the same content.
func (e Entry) Hash() string { return e.hash.String() }

// Open returns the size of a file and its content, or those of a symlink's
// destination. At its end the reader fails with ErrCorrupt if what it read is
// not what was committed.
func (e Entry) Open() (int64, io.ReadCloser, error) { return e.objects.blob(e.hash) }

// Walk calls visit for every path of the commit: a directory before what is in
// it, and inside of one directory in the order of the names. It stops at the
// first error.
func (c *Commit) Walk(ctx context.Context, visit func(Entry) error) error {
	w := walker{objects: c.objects, visit: visit}
	return w.dir(ctx, "", c.tree)
}

type walker struct {
	objects *objects
	visit   func(Entry) error
	count   int
}

func (w *walker) dir(ctx context.Context, path string, hash plumbing.Hash) error {
	data, err := w.objects.read(plumbing.TreeObject, hash)
	if err != nil {
		return err
	}
	entries, err := parseTree(data)
	if errors.Is(err, errTree) {
		return corrupt("tree "+hash.String(), err)
	}
	if err != nil {
		return err
	}
	// Git sorts directories as if their names ended in a slash.
	slices.SortFunc(entries, func(a, b treeEntry) int { return strings.Compare(a.name, b.name) })
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.count++; w.count > maxEntries {
			return failf(ErrTooLarge, "the commit holds more than %d files and directories", maxEntries)
		}
		full := path + entry.name
		if len(full) > maxPath {
			return failf(ErrTooLarge, "the commit holds a path of more than %d bytes", maxPath)
		}
		if err := w.visit(Entry{Path: full, Kind: entry.kind, hash: entry.hash, objects: w.objects}); err != nil {
			return err
		}
		if entry.kind == Dir {
			if err := w.dir(ctx, full+"/", entry.hash); err != nil {
				return err
			}
		}
	}
	return nil
}
