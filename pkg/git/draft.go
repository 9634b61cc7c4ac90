// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxDraftChain is how many drafts of one path may be stored as deltas of each
// other, so that reading the last one stays cheap.
const maxDraftChain = 50

// Draft is a commit to be.
type Draft struct {
	// Author of the change. A time of zero means now.
	Author Signature
	// Committer is the author if it is the zero value.
	Committer Signature
	// Message in full.
	Message string
	// Files are the new contents of existing files by path. Modes stay, and
	// everything else is shared with the commit below.
	Files map[string][]byte
	// Sign returns the armored signature of a commit; nil leaves it unsigned.
	Sign func(payload []byte) (armored string, err error)
}

// draftObject is an object that exists in memory alone.
type draftObject struct {
	typ  plumbing.ObjectType
	data []byte
	// number is the order in which drafts were made.
	number int
	// base is what was in the same place before, and chain how many drafts
	// lead to it.
	base  plumbing.Hash
	chain int
}

// add keeps an object that replaces base, which may be zero.
func (o *objects) add(typ plumbing.ObjectType, data []byte, base plumbing.Hash) plumbing.Hash {
	hash := plumbing.ComputeHash(typ, data)
	if o.drafts[hash] != nil || hash == base {
		return hash
	}
	d := &draftObject{typ: typ, data: data, number: len(o.drafts), base: base}
	if below := o.drafts[base]; below != nil {
		if d.chain = below.chain + 1; d.chain > maxDraftChain {
			d.base, d.chain = plumbing.ZeroHash, 0
		}
	}
	o.drafts[hash] = d
	return hash
}

// File returns what the commit holds at the path, with slashes from the root,
// whatever kind it is. It is an ErrPath if there is nothing.
func (c *Commit) File(path string) (Entry, error) {
	e := Entry{Path: path, Kind: Dir, hash: c.tree, objects: c.objects}
	for name := range strings.SplitSeq(path, "/") {
		if e.Kind != Dir {
			return Entry{}, failf(ErrPath, "the commit has no file '%s'", path)
		}
		_, entries, err := c.objects.tree(e.hash)
		if err != nil {
			return Entry{}, err
		}
		i := slices.IndexFunc(entries, func(t treeEntry) bool { return t.name == name })
		if i < 0 {
			return Entry{}, failf(ErrPath, "the commit has no file '%s'", path)
		}
		e.Kind, e.hash = entries[i].kind, entries[i].hash
	}
	return e, nil
}

// tree reads a directory.
func (o *objects) tree(hash plumbing.Hash) ([]byte, []treeEntry, error) {
	data, err := o.read(plumbing.TreeObject, hash)
	if err != nil {
		return nil, nil, err
	}
	entries, err := parseTree(data)
	if errors.Is(err, errTree) {
		return nil, nil, corrupt("tree "+hash.String(), err)
	}
	return data, entries, err
}

// Draft makes a commit on top of c. It exists in memory until Store.Push sends
// it, can be read and drafted upon like any other, and is valid as long as c. It
// is an ErrPath where one of the files is not a file of c.
func (c *Commit) Draft(d Draft) (*Commit, error) {
	for path := range d.Files {
		e, err := c.File(path)
		if err != nil {
			return nil, err
		}
		if e.Kind != File && e.Kind != Executable {
			return nil, failf(ErrPath, "'%s' is not a plain file of the commit", path)
		}
	}
	tree, err := c.objects.rewrite(c.tree, d.Files)
	if err != nil {
		return nil, err
	}
	data, err := d.encode(tree, c.Hash)
	if err != nil {
		return nil, err
	}
	return c.objects.load(c.objects.add(plumbing.CommitObject, data, plumbing.ZeroHash))
}

// rewrite returns the tree with other contents of files that it has. Only
// hashes are replaced, so that order and modes of the entries cannot change.
func (o *objects) rewrite(hash plumbing.Hash, files map[string][]byte) (plumbing.Hash, error) {
	data, entries, err := o.tree(hash)
	if err != nil {
		return hash, err
	}
	below := map[string]map[string][]byte{}
	out := bytes.Clone(data)
	places := make(map[string]treeEntry, len(entries))
	for _, e := range entries {
		places[e.name] = e
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		name, rest, deeper := strings.Cut(path, "/")
		if !deeper {
			blob := o.add(plumbing.BlobObject, files[path], places[name].hash)
			copy(out[places[name].at:], blob[:])
			continue
		}
		if below[name] == nil {
			below[name] = map[string][]byte{}
		}
		below[name][rest] = files[path]
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		tree, err := o.rewrite(places[name].hash, below[name])
		if err != nil {
			return hash, err
		}
		copy(out[places[name].at:], tree[:])
	}
	return o.add(plumbing.TreeObject, out, hash), nil
}

// encode writes the commit, signed if it is to be.
func (d Draft) encode(tree plumbing.Hash, parent string) ([]byte, error) {
	now := time.Now()
	author, committer := d.Author, d.Committer
	if committer == (Signature{}) {
		committer = author
	}
	if strings.ContainsRune(d.Message, 0) {
		return nil, errors.New("the message of a commit cannot hold a zero byte")
	}
	head := fmt.Sprintf("tree %s\nparent %s\nauthor %s\ncommitter %s\n", tree, parent, author.header(now), committer.header(now))
	message := strings.TrimRight(strings.ToValidUTF8(d.Message, "\uFFFD"), "\n") + "\n"
	payload := []byte(head + "\n" + message)
	if d.Sign == nil {
		return payload, nil
	}
	armored, err := d.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("sign the commit: %w", err)
	}
	// Each further line of a header begins with a space.
	armored = strings.ReplaceAll(strings.TrimRight(strings.ReplaceAll(armored, "\r\n", "\n"), "\n"), "\n", "\n ")
	return []byte(head + "gpgsig " + armored + "\n\n" + message), nil
}

// header writes who and when. What would end the name or the address is left
// out, as Git itself does.
func (s Signature) header(now time.Time) string {
	if s.When.IsZero() {
		s.When = now
	}
	return fmt.Sprintf("%s <%s> %d %s", cleanIdent(s.Name), cleanIdent(s.Email), s.When.Unix(), s.When.Format("-0700"))
}

func cleanIdent(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '<' || r == '>' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Trim(s, " .,:;\"\\'")
}
