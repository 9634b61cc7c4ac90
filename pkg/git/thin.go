// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// checksumSize is the length of the end of a pack.
const checksumSize = 20

// complete makes a thin pack, whose deltas lean on objects that the server
// knows to be here, into one that stands alone: it appends those objects. size
// is that of the pack. It returns the new checksum.
func (x *indexer) complete(ctx context.Context, size int64) (plumbing.Hash, error) {
	end := size - checksumSize
	// A base may itself be a delta that resolves with another one.
	for len(x.waiting) > 0 {
		missing := make([]plumbing.Hash, 0, len(x.waiting))
		for base := range x.waiting {
			missing = append(missing, base)
		}
		slices.SortFunc(missing, func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
		before := len(x.waiting)
		for _, base := range missing {
			written, err := x.appendBase(ctx, base, end)
			if err != nil {
				return plumbing.ZeroHash, err
			}
			end += written
		}
		if len(x.waiting) == before {
			return plumbing.ZeroHash, errors.New("it holds deltas on top of objects that are not here")
		}
	}
	return x.seal(end)
}

// appendBase writes one object at the offset, resolves what leans on it, and
// returns how many bytes it wrote.
func (x *indexer) appendBase(ctx context.Context, base plumbing.Hash, offset int64) (int64, error) {
	if _, still := x.waiting[base]; !still {
		return 0, nil
	}
	typ, content, err := x.bases(base)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return 0, nil // Perhaps the result of another delta; complete finds out.
	}
	if err != nil {
		return 0, err
	}
	var buf bytes.Buffer
	writeEntryHead(&buf, typ, len(content))
	z := zlib.NewWriter(&buf)
	_, err = z.Write(content)
	if err = errors.Join(err, z.Close()); err != nil {
		return 0, fmt.Errorf("store pack: %w", err)
	}
	if _, err := x.file.WriteAt(buf.Bytes(), offset); err != nil {
		return 0, fmt.Errorf("store pack: %w", err)
	}
	e := packEntry{
		offset: offset, size: int64(len(content)), stored: int64(len(content)), typ: typ,
		crc: crc32.ChecksumIEEE(buf.Bytes()), hash: base, child: -1, sibling: -1,
	}
	x.entries = append(x.entries, e)
	x.resolved++
	children := x.children(&x.entries[len(x.entries)-1])
	return int64(buf.Len()), x.resolve(ctx, level{typ: typ, content: content, next: children})
}

// writeEntryHead writes type and size the way entries of packs begin.
func writeEntryHead(buf *bytes.Buffer, typ plumbing.ObjectType, size int) {
	b := byte(typ)<<4 | byte(size&0x0f)
	for size >>= 4; size > 0; size >>= 7 {
		buf.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	buf.WriteByte(b)
}

// seal writes the number of entries and the checksum over everything up to end.
func (x *indexer) seal(end int64) (plumbing.Hash, error) {
	var sum plumbing.Hash
	count := binary.BigEndian.AppendUint32(nil, uint32(len(x.entries)))
	if _, err := x.file.WriteAt(count, 8); err != nil {
		return sum, fmt.Errorf("store pack: %w", err)
	}
	h := hash.New(crypto.SHA1)
	if _, err := io.Copy(h, io.NewSectionReader(x.file, 0, end)); err != nil {
		return sum, fmt.Errorf("store pack: %w", err)
	}
	copy(sum[:], h.Sum(nil))
	if _, err := x.file.WriteAt(sum[:], end); err != nil {
		return sum, fmt.Errorf("store pack: %w", err)
	}
	if err := x.file.Truncate(end + checksumSize); err != nil {
		return sum, fmt.Errorf("store pack: %w", err)
	}
	return sum, nil
}
