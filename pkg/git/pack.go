// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

const (
	// maxObjects bounds the entries of one pack.
	maxObjects = 4 << 20
	// minEntry is the size of the smallest entry possible: a byte of head and
	// an empty zlib stream.
	minEntry = 9
	// maxChain is the longest chain of deltas that Git itself makes.
	maxChain = 4095
	// maxDeltaMemory bounds the objects held in memory while deltas are
	// resolved. Git stores files over 512 MiB without deltas.
	maxDeltaMemory = 512 << 20
	// inflation is how many times larger than the limit of a transfer its
	// objects may be in total.
	inflation = 8
)

// Limits bounds what a remote can make the controller take. Zero means the
// default.
type Limits struct {
	// Transfer is the size in bytes of what one fetch may send; 1 GiB.
	Transfer int64
	// Object is the size in bytes of one object; 512 MiB.
	Object int64
}

func (l Limits) withDefaults() Limits {
	if l.Transfer <= 0 {
		l.Transfer = 1 << 30
	}
	if l.Object <= 0 {
		l.Object = 512 << 20
	}
	return l
}

// packEntry is one object of a pack while it is indexed.
type packEntry struct {
	offset int64
	size   int64 // of the object in the end
	stored int64 // of the inflated delta, for deltas
	crc    uint32
	typ    plumbing.ObjectType
	hash   plumbing.Hash
	// child is the first delta on top of this object and sibling the next
	// one on top of the same base; -1 ends the lists.
	child, sibling int32
}

// indexer finds the hashes of all objects of a pack on disk.
type indexer struct {
	file    *os.File
	limits  Limits
	entries []packEntry
	// waiting lists deltas whose base is known by its hash only.
	waiting map[plumbing.Hash][]int32
	// bases looks for those that the pack does not hold.
	bases basesFunc
	// again reads single entries a second time.
	again    *packReader
	resolved int
	deltas   int
	held     int64
	total    int64
}

// basesFunc returns an object that is in the store already.
type basesFunc func(plumbing.Hash) (plumbing.ObjectType, []byte, error)

// receivePack stores the pack that r sends below dir, the directory "pack" of
// an object store, with its index. A pack that is damaged or exceeds the
// limits leaves nothing behind.
func receivePack(ctx context.Context, dir string, r io.Reader, limits Limits, bases basesFunc) (err error) {
	file, err := os.CreateTemp(dir, "tmp-*.pack")
	if err != nil {
		return fmt.Errorf("store pack: %w", err)
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	n, err := io.Copy(file, io.LimitReader(r, limits.Transfer+1))
	if err != nil {
		return err
	}
	if n > limits.Transfer {
		return failf(ErrTooLarge, "the commit needs a transfer of more than %d bytes, the limit of --git-max-transfer-size", limits.Transfer)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("store pack: %w", err)
	}
	x := &indexer{file: file, limits: limits, waiting: map[plumbing.Hash][]int32{}, bases: bases}
	checksum, err := x.index(ctx, n)
	if err != nil {
		return err
	}
	if len(x.waiting) > 0 {
		if checksum, err = x.complete(ctx, n); err != nil {
			return packError(err)
		}
	}
	if len(x.entries) == 0 {
		return nil // The server has nothing that is not here.
	}
	if x.resolved < len(x.entries) {
		return corrupt("the pack", errors.New("it holds deltas on top of objects that it does not hold"))
	}
	return x.publish(dir, checksum)
}

// index reads the pack twice: once from front to back, and then once more the
// objects that others are deltas of.
func (x *indexer) index(ctx context.Context, size int64) (plumbing.Hash, error) {
	p := newPackReader(x.file, 64<<10)
	count, err := p.header()
	if err != nil {
		return plumbing.ZeroHash, corrupt("the pack", err)
	}
	if count > maxObjects {
		return plumbing.ZeroHash, failf(ErrTooLarge, "the commit needs more than %d objects", maxObjects)
	}
	if int64(count)*minEntry > size {
		return plumbing.ZeroHash, corrupt("the pack", errors.New("it is too short for what it says it holds"))
	}
	x.entries = make([]packEntry, 0, count)
	for range count {
		if err := ctx.Err(); err != nil {
			return plumbing.ZeroHash, err
		}
		if err := x.scan(p); err != nil {
			return plumbing.ZeroHash, packError(err)
		}
	}
	checksum, err := p.checksum()
	if err != nil {
		return plumbing.ZeroHash, corrupt("the pack", err)
	}
	return checksum, packError(x.resolveAll(ctx))
}

// packError keeps errors with a class and calls the others damage.
func packError(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrTooLarge), errors.Is(err, ErrCorrupt),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return corrupt("the pack", err)
}

// scan reads one entry.
func (x *indexer) scan(p *packReader) error {
	head, err := p.entry()
	if err != nil {
		return err
	}
	e := packEntry{offset: head.offset, size: head.size, stored: head.size, typ: head.typ, child: -1, sibling: -1}
	if err := x.account(head.size); err != nil {
		return err
	}
	if !head.typ.IsDelta() {
		hasher := plumbing.NewHasher(head.typ, head.size)
		if e.crc, err = p.inflate(hasher, head.size); err != nil {
			return err
		}
		e.hash = hasher.Sum()
		x.resolved++
		x.entries = append(x.entries, e)
		return nil
	}
	var start prefix
	if e.crc, err = p.inflate(&start, head.size); err != nil {
		return err
	}
	if e.size, err = start.targetSize(); err != nil {
		return err
	}
	if err := x.account(e.size); err != nil {
		return err
	}
	x.deltas++
	x.entries = append(x.entries, e)
	return x.link(int32(len(x.entries)-1), head)
}

// account counts a size that the pack declares, before it is inflated.
func (x *indexer) account(size int64) error {
	if size > x.limits.Object {
		return failf(ErrTooLarge, "the commit needs an object of %d bytes; the limit is %d", size, x.limits.Object)
	}
	x.total += size
	if limit := inflation * x.limits.Transfer; x.total > limit {
		return failf(ErrTooLarge, "the objects of the commit exceed %d bytes", limit)
	}
	return nil
}

// link notes that entry i is a delta.
func (x *indexer) link(i int32, head entryHead) error {
	if head.typ == plumbing.REFDeltaObject {
		x.waiting[head.base] = append(x.waiting[head.base], i)
		return nil
	}
	base := head.offset - head.back
	// Entries are in the order of their offsets.
	low, high := 0, int(i)
	for low < high {
		middle := (low + high) / 2
		if x.entries[middle].offset < base {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == int(i) || x.entries[low].offset != base {
		return errors.New("a delta points to no entry")
	}
	x.entries[i].sibling = x.entries[low].child
	x.entries[low].child = i
	return nil
}

// publish gives pack and index their final names, the index first: readers
// start from packs.
func (x *indexer) publish(dir string, checksum plumbing.Hash) error {
	w := new(idxfile.Writer)
	if err := w.OnHeader(uint32(len(x.entries))); err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	for i := range x.entries {
		w.Add(x.entries[i].hash, uint64(x.entries[i].offset), x.entries[i].crc)
	}
	if err := w.OnFooter(checksum); err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	index, err := w.Index()
	if err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	var encoded bytes.Buffer
	if _, err := idxfile.NewEncoder(&encoded).Encode(index); err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	name := filepath.Join(dir, "pack-"+checksum.String())
	if err := writeAtomically(name+".idx", encoded.Bytes()); err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	if err := os.Rename(x.file.Name(), name+".pack"); err != nil {
		return fmt.Errorf("store pack: %w", err)
	}
	return nil
}

// writeAtomically replaces the file or leaves it as it was.
func writeAtomically(name string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), "tmp-*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// prefix keeps the first bytes of a delta, which hold two sizes.
type prefix struct{ head []byte }

func (p *prefix) Write(b []byte) (int, error) {
	if missing := 2*binary.MaxVarintLen64 - len(p.head); missing > 0 {
		p.head = append(p.head, b[:min(missing, len(b))]...)
	}
	return len(b), nil
}

// targetSize returns the size of what the delta makes.
func (p *prefix) targetSize() (int64, error) {
	_, n := binary.Uvarint(p.head)
	if n <= 0 {
		return 0, errVarint
	}
	size, n := binary.Uvarint(p.head[n:])
	if n <= 0 || size > 1<<62 {
		return 0, errVarint
	}
	return int64(size), nil
}

// applyDelta returns what the delta makes of base.
func applyDelta(base, delta []byte, want int64) ([]byte, error) {
	target, err := packfile.PatchDelta(base, delta)
	if err != nil {
		return nil, err
	}
	if int64(len(target)) != want {
		return nil, errors.New("a delta does not make what it says")
	}
	return target, nil
}
