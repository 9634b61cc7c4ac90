// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// maxRecord is what a Secret holds at most.
	maxRecord = 1 << 20
	// maxDocument bounds what a record may unpack to. A megabyte can be made
	// to unpack to a gigabyte; manifests get ten to twenty times larger.
	maxDocument = 32 << 20
)

// codec packs and unpacks records. The memory that this takes is used again.
type codec struct {
	writers, readers sync.Pool
}

func newCodec() *codec {
	return &codec{
		writers: sync.Pool{New: func() any {
			// The level is a valid one.
			w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestCompression)
			return w
		}},
		readers: sync.Pool{New: func() any { return new(gzip.Reader) }},
	}
}

// pack compresses a document.
func (c *codec) pack(document []byte) ([]byte, error) {
	w, ok := c.writers.Get().(*gzip.Writer)
	if !ok {
		return nil, errors.New("there is no compressor")
	}
	defer c.writers.Put(w)
	var packed bytes.Buffer
	w.Reset(&packed)
	if _, err := w.Write(document); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(packed.Bytes()), nil
}

// unpack returns a document. What is not compressed is returned as it is:
// Helm once stored its releases so.
func (c *codec) unpack(packed []byte) ([]byte, error) {
	if !bytes.HasPrefix(packed, []byte{0x1f, 0x8b, 0x08}) {
		return packed, nil
	}
	r, ok := c.readers.Get().(*gzip.Reader)
	if !ok {
		return nil, errors.New("there is no decompressor")
	}
	defer c.readers.Put(r)
	if err := r.Reset(bytes.NewReader(packed)); err != nil {
		return nil, fmt.Errorf("unpack it: %w", err)
	}
	document := bytes.NewBuffer(make([]byte, 0, sizeOf(packed)))
	n, err := io.Copy(document, io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("unpack it: %w", err)
	}
	if n > maxDocument {
		return nil, fmt.Errorf("it unpacks to more than %d MiB", maxDocument>>20)
	}
	return document.Bytes(), nil
}

// sizeOf is how much memory to begin with: as much as a packed document says
// that it takes, unless that is a lie.
func sizeOf(packed []byte) int {
	const least = bytes.MinRead
	if len(packed) < 4 {
		return least
	}
	says := int(binary.LittleEndian.Uint32(packed[len(packed)-4:]))
	return least + min(says, 20*len(packed), maxDocument)
}

// toText is the form in which a Secret holds a packed record, before the
// encoding that every value in a Secret has.
func toText(packed []byte) string { return base64.StdEncoding.EncodeToString(packed) }

// fromText reverses toText.
func fromText(text []byte) ([]byte, error) {
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(packed, text)
	if err != nil {
		return nil, fmt.Errorf("decode it: %w", err)
	}
	return packed[:n:n], nil
}
