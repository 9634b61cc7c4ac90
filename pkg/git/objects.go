// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// streamed is the size from which a file is read from its pack piece by
	// piece.
	streamed = 4 << 20
	// objectCache bounds the memory for trees and bases of deltas.
	objectCache = 16 << 20
	// maxMetadata bounds the size of a commit or of one directory.
	maxMetadata = 64 << 20
)

// objects reads an object store. Everything it returns has the content that
// its hash promises. It is not safe for concurrent use.
type objects struct {
	store *filesystem.Storage
	// drafts are objects that exist in memory alone.
	drafts map[plumbing.Hash]*draftObject
}

// openObjects opens the store in dir; close releases its files.
func openObjects(dir string) *objects {
	options := filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: streamed}
	return &objects{
		store:  filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(objectCache), options),
		drafts: map[plumbing.Hash]*draftObject{},
	}
}

func (o *objects) close() { _ = o.store.Close() }

// has reports whether the object is there; the error is an ErrCorrupt.
func (o *objects) has(hash plumbing.Hash) (bool, error) {
	if o.drafts[hash] != nil {
		return true, nil
	}
	switch err := o.store.HasEncodedObject(hash); {
	case err == nil:
		return true, nil
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return false, nil
	default:
		return false, corrupt("the index of the object store", err)
	}
}

// read returns a whole object of the given type, which is a commit or a tree.
func (o *objects) read(typ plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	_, data, err := o.any(typ, hash, maxMetadata)
	return data, err
}

// any returns a whole object and its type, which may be asked for as AnyObject.
func (o *objects) any(typ plumbing.ObjectType, hash plumbing.Hash, limit int64) (plumbing.ObjectType, []byte, error) {
	if d := o.drafts[hash]; d != nil && (typ == d.typ || typ == plumbing.AnyObject) {
		return d.typ, d.data, nil
	}
	what := fmt.Sprintf("%s %s", typ, hash)
	encoded, err := o.store.EncodedObject(typ, hash)
	if err != nil {
		return typ, nil, corrupt(what, err)
	}
	if encoded.Size() > limit {
		return typ, nil, failf(ErrTooLarge, "%s has %d bytes; the limit is %d", what, encoded.Size(), limit)
	}
	r, err := encoded.Reader()
	if err != nil {
		return typ, nil, corrupt(what, err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, encoded.Size()+1))
	if err != nil {
		return typ, nil, corrupt(what, err)
	}
	if plumbing.ComputeHash(encoded.Type(), data) != hash {
		return typ, nil, corrupt(what, nil)
	}
	return encoded.Type(), data, nil
}

// commit returns the decoded commit.
func (o *objects) commit(hash plumbing.Hash) (*object.Commit, error) {
	data, err := o.read(plumbing.CommitObject, hash)
	if err != nil {
		return nil, err
	}
	encoded := new(plumbing.MemoryObject)
	encoded.SetType(plumbing.CommitObject)
	if _, err := encoded.Write(data); err != nil {
		return nil, fmt.Errorf("read commit %s: %w", hash, err)
	}
	c := new(object.Commit)
	if err := c.Decode(encoded); err != nil {
		return nil, fmt.Errorf("read commit %s: %w", hash, err)
	}
	c.Hash = hash
	return c, nil
}

// load returns the commit for callers.
func (o *objects) load(hash plumbing.Hash) (*Commit, error) {
	decoded, err := o.commit(hash)
	if err != nil {
		return nil, err
	}
	c := &Commit{
		Hash:      hash.String(),
		Author:    Signature{decoded.Author.Name, decoded.Author.Email, decoded.Author.When},
		Committer: Signature{decoded.Committer.Name, decoded.Committer.Email, decoded.Committer.When},
		Message:   decoded.Message,
		tree:      decoded.TreeHash,
		objects:   o,
	}
	for _, parent := range decoded.ParentHashes {
		c.Parents = append(c.Parents, parent.String())
	}
	return c, nil
}

// blob opens the content of a file.
func (o *objects) blob(hash plumbing.Hash) (int64, io.ReadCloser, error) {
	if d := o.drafts[hash]; d != nil && d.typ == plumbing.BlobObject {
		return int64(len(d.data)), io.NopCloser(bytes.NewReader(d.data)), nil
	}
	encoded, err := o.store.EncodedObject(plumbing.BlobObject, hash)
	if err != nil {
		return 0, nil, corrupt("blob "+hash.String(), err)
	}
	r, err := encoded.Reader()
	if err != nil {
		return 0, nil, corrupt("blob "+hash.String(), err)
	}
	size := encoded.Size()
	return size, &verified{ReadCloser: r, hasher: plumbing.NewHasher(plumbing.BlobObject, size), want: hash}, nil
}

// verified reads a blob and fails at its end if it was not the right one.
type verified struct {
	io.ReadCloser
	hasher plumbing.Hasher
	want   plumbing.Hash
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	_, _ = v.hasher.Write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, corrupt("blob "+v.want.String(), err)
	case v.hasher.Sum() != v.want:
		return n, corrupt("blob "+v.want.String(), nil)
	}
	return n, io.EOF
}

// treeEntry is one name of a directory.
type treeEntry struct {
	name string
	kind Kind
	hash plumbing.Hash
	// at is where in the tree the hash stands.
	at int
}

// errTree says that the bytes of a tree are not those of a tree.
var errTree = errors.New("not a tree")

// parseTree reads a tree and refuses names that a file system would take for
// something else than a plain name.
func parseTree(data []byte) ([]treeEntry, error) {
	var entries []treeEntry
	size := len(data)
	seen := map[string]struct{}{}
	for len(data) > 0 {
		space, null := bytes.IndexByte(data, ' '), bytes.IndexByte(data, 0)
		if space < 0 || null < space || len(data) < null+21 {
			return nil, errTree
		}
		e := treeEntry{name: string(data[space+1 : null]), at: size - len(data) + null + 1}
		copy(e.hash[:], data[null+1:null+21])
		var known bool
		if e.kind, known = kinds(string(data[:space])); !known {
			return nil, errTree
		}
		if err := checkName(e.name); err != nil {
			return nil, err
		}
		if _, twice := seen[e.name]; twice {
			return nil, failf(ErrForbiddenPath, "the name %q occurs twice in one directory", e.name)
		}
		seen[e.name] = struct{}{}
		entries = append(entries, e)
		data = data[null+21:]
	}
	return entries, nil
}

// checkName refuses what no honest repository contains.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || strings.EqualFold(name, ".git") {
		return failf(ErrForbiddenPath, "the repository holds a file named %q", name)
	}
	return nil
}

// kinds maps the mode of a tree entry.
func kinds(mode string) (Kind, bool) {
	switch mode {
	case "40000", "040000":
		return Dir, true
	case "100644", "100664":
		return File, true
	case "100755":
		return Executable, true
	case "120000":
		return Symlink, true
	case "160000":
		return Submodule, true
	}
	return File, false
}
