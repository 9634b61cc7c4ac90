// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"compress/zlib"
	"crypto"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// packReader reads a pack from front to back. It keeps the checksum of all
// bytes and the CRC of the entry at hand, both over whole stretches of its
// buffer, because inflating reads byte by byte.
type packReader struct {
	src    io.Reader
	buf    []byte
	r, w   int // what is unread: buf[r:w]
	mark   int // what is read but not yet in the sums: buf[mark:r]
	offset int64
	sum    hash.Hash
	crc    uint32
	zlib   inflater
}

// inflater is what zlib.NewReader returns.
type inflater interface {
	io.ReadCloser
	zlib.Resetter
}

func newPackReader(src io.Reader, buffer int) *packReader {
	return &packReader{src: src, buf: make([]byte, buffer), sum: hash.New(crypto.SHA1)}
}

// restart reads on from another source, at the given offset of the pack. The
// checksum means nothing afterwards.
func (p *packReader) restart(src io.Reader, offset int64) {
	p.src, p.offset = src, offset
	p.r, p.w, p.mark = 0, 0, 0
}

// settle brings the sums up to date.
func (p *packReader) settle() {
	read := p.buf[p.mark:p.r]
	p.crc = crc32.Update(p.crc, crc32.IEEETable, read)
	_, _ = p.sum.Write(read)
	p.mark = p.r
}

func (p *packReader) fill() error {
	p.settle()
	p.r, p.w, p.mark = 0, 0, 0
	for range 100 {
		n, err := p.src.Read(p.buf)
		p.w = n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// ReadByte reads one byte.
func (p *packReader) ReadByte() (byte, error) {
	if p.r == p.w {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	b := p.buf[p.r]
	p.r++
	p.offset++
	return b, nil
}

// Read reads what is in the buffer.
func (p *packReader) Read(b []byte) (int, error) {
	if p.r == p.w {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.buf[p.r:p.w])
	p.r += n
	p.offset += int64(n)
	return n, nil
}

// header reads the start of a pack and returns how many entries follow.
func (p *packReader) header() (uint32, error) {
	var head [12]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		return 0, noEOF(err)
	}
	version := binary.BigEndian.Uint32(head[4:8])
	if string(head[:4]) != "PACK" || version != 2 && version != 3 {
		return 0, errors.New("not a pack")
	}
	return binary.BigEndian.Uint32(head[8:]), nil
}

// entryHead is what stands before the compressed bytes of an entry.
type entryHead struct {
	typ    plumbing.ObjectType
	size   int64
	offset int64
	// back is how far before offset the base of an OFS delta begins.
	back int64
	// base is the hash of the base of a REF delta.
	base plumbing.Hash
}

// errVarint says that a number does not fit.
var errVarint = errors.New("a number is too long")

// entry reads the head of the next entry and starts its CRC.
func (p *packReader) entry() (entryHead, error) {
	p.settle()
	p.crc = 0
	h := entryHead{offset: p.offset}
	b, err := p.ReadByte()
	if err != nil {
		return h, noEOF(err)
	}
	h.typ = plumbing.ObjectType(b >> 4 & 7)
	h.size = int64(b & 0x0f)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if shift > 53 {
			return h, errVarint
		}
		if b, err = p.ReadByte(); err != nil {
			return h, noEOF(err)
		}
		h.size |= int64(b&0x7f) << shift
	}
	switch h.typ {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		return h, nil
	case plumbing.OFSDeltaObject:
		h.back, err = p.backOffset()
		if err == nil && (h.back <= 0 || h.back > h.offset) {
			err = errors.New("a delta points outside of the pack")
		}
		return h, err
	case plumbing.REFDeltaObject:
		_, err = io.ReadFull(p, h.base[:])
		return h, noEOF(err)
	default:
		return h, errors.New("an entry has an unknown type")
	}
}

// backOffset reads the peculiar number of an OFS delta.
func (p *packReader) backOffset() (int64, error) {
	b, err := p.ReadByte()
	n := int64(b & 0x7f)
	for err == nil && b&0x80 != 0 {
		if n >= 1<<55 {
			return 0, errVarint
		}
		b, err = p.ReadByte()
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, noEOF(err)
}

// inflate writes the content of the entry to w, which must be exactly size
// bytes, and returns the CRC of the entry as stored.
func (p *packReader) inflate(w io.Writer, size int64) (uint32, error) {
	if err := p.restartZlib(); err != nil {
		return 0, noEOF(err)
	}
	n, err := io.Copy(w, io.LimitReader(p.zlib, size+1))
	if err != nil {
		return 0, noEOF(err)
	}
	if n != size {
		return 0, errors.New("an entry is not as long as it says")
	}
	p.settle()
	return p.crc, nil
}

// restartZlib begins a new stream with the memory of the one before.
func (p *packReader) restartZlib() error {
	if p.zlib != nil {
		return p.zlib.Reset(p, nil)
	}
	z, err := zlib.NewReader(p)
	if err != nil {
		return err
	}
	reusable, ok := z.(inflater)
	if !ok {
		return errors.New("the zlib of this Go cannot be reset")
	}
	p.zlib = reusable
	return nil
}

// checksum reads the end of the pack and compares it with what was read.
func (p *packReader) checksum() (plumbing.Hash, error) {
	p.settle()
	var want plumbing.Hash
	copy(want[:], p.sum.Sum(nil))
	var got plumbing.Hash
	if _, err := io.ReadFull(p, got[:]); err != nil {
		return got, noEOF(err)
	}
	if got != want {
		return got, errors.New("the checksum does not match")
	}
	if _, err := p.ReadByte(); !errors.Is(err, io.EOF) {
		return got, errors.New("bytes follow the checksum")
	}
	return got, nil
}
