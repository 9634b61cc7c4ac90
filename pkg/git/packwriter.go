// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// newObjects returns the drafts that the commits need, in the order in which
// they were made. What is not a draft came from the server.
func (o *objects) newObjects(commits ...*Commit) ([]plumbing.Hash, error) {
	var todo []plumbing.Hash
	for _, c := range commits {
		todo = append(todo, plumbing.NewHash(c.Hash))
	}
	found := map[plumbing.Hash]bool{}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		d := o.drafts[next]
		if d == nil || found[next] {
			continue
		}
		found[next] = true
		switch d.typ {
		case plumbing.CommitObject:
			c, err := o.commit(next)
			if err != nil {
				return nil, err
			}
			todo = append(append(todo, c.ParentHashes...), c.TreeHash)
		case plumbing.TreeObject:
			_, entries, err := o.tree(next)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				todo = append(todo, e.hash)
			}
		default:
		}
	}
	list := make([]plumbing.Hash, 0, len(found))
	for h := range found {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b plumbing.Hash) int { return cmp.Compare(o.drafts[a].number, o.drafts[b].number) })
	return list, nil
}

// pack writes drafts as a pack. A thin one has deltas on top of objects that it
// does not hold, which the receiver has to have.
func (o *objects) pack(list []plumbing.Hash, thin bool) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteString("PACK")
	buf.Write(binary.BigEndian.AppendUint32(nil, 2))
	buf.Write(binary.BigEndian.AppendUint32(nil, uint32(len(list)))) //#nosec G115 -- drafts are few
	inside := make(map[plumbing.Hash]bool, len(list))
	for _, h := range list {
		d := o.drafts[h]
		typ, data := d.typ, d.data
		var prefix []byte
		// A draft that is not sent is known to nobody else.
		if !d.base.IsZero() && (inside[d.base] || thin && o.drafts[d.base] == nil) {
			// A base that cannot be read is no base.
			if _, base, err := o.any(d.typ, d.base, maxMetadata); err == nil {
				if delta := makeDelta(base, data); len(delta) < len(data)/2 {
					typ, data, prefix = plumbing.REFDeltaObject, delta, d.base[:]
				}
			}
		}
		inside[h] = true
		writeEntryHead(&buf, typ, len(data))
		buf.Write(prefix)
		z := zlib.NewWriter(&buf)
		_, err := z.Write(data)
		if err := errors.Join(err, z.Close()); err != nil {
			return nil, fmt.Errorf("pack objects: %w", err)
		}
	}
	sum := hash.New(crypto.SHA1)
	_, _ = sum.Write(buf.Bytes())
	return sum.Sum(buf.Bytes()), nil
}

// maxCopy is the longest stretch that one instruction of a delta copies here,
// and maxInsert the most bytes that one brings.
const (
	maxCopy   = 0xffff
	maxInsert = 0x7f
)

// makeDelta returns instructions that make target of base: what both begin and
// end with is copied. Edits of one place, in a file or a directory, need no
// better search.
func makeDelta(base, target []byte) []byte {
	shorter := min(len(base), len(target))
	head := 0
	for head < shorter && base[head] == target[head] {
		head++
	}
	tail := 0
	for tail < shorter-head && base[len(base)-1-tail] == target[len(target)-1-tail] {
		tail++
	}
	delta := binary.AppendUvarint(nil, uint64(len(base)))
	delta = binary.AppendUvarint(delta, uint64(len(target)))
	delta = appendCopy(delta, 0, head)
	for middle := target[head : len(target)-tail]; len(middle) > 0; {
		n := min(len(middle), maxInsert)
		delta = append(append(delta, byte(n)), middle[:n]...)
		middle = middle[n:]
	}
	return appendCopy(delta, len(base)-tail, tail)
}

// appendCopy copies size bytes of the base from offset on. Bytes of the numbers
// that are zero are left out, which the first byte tells.
func appendCopy(delta []byte, offset, size int) []byte {
	for size > 0 {
		n := min(size, maxCopy)
		at := len(delta)
		delta = append(delta, 0x80)
		for i := range 4 {
			if b := byte(offset >> (8 * i)); b != 0 {
				delta[at] |= 1 << i
				delta = append(delta, b)
			}
		}
		for i := range 2 {
			if b := byte(n >> (8 * i)); b != 0 {
				delta[at] |= 1 << (4 + i)
				delta = append(delta, b)
			}
		}
		offset, size = offset+n, size-n
	}
	return delta
}
