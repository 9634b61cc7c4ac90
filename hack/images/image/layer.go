// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// A file is one that an image has. It is a directory if its name ends with a
// slash. All belong to root: a program cannot change its own image.
type file struct {
	name    string
	mode    int64
	size    int64
	content io.Reader
}

// packed is a layer that knows its size as it is unpacked, in bytes.
type packed struct {
	v1.Layer
	uncompressed int64
}

// A layer is a compressed archive in memory.
type layer struct {
	compressed     []byte
	digest, diffID v1.Hash
}

// newPacked packs files in the order in which they stand. The times in the
// archive are those of the epoch and the header of the compression is empty, so
// only names, modes and contents matter. The compressor is not the standard
// library's: that one changes with the version of Go that runs this program.
func newPacked(files []file) (*packed, error) {
	var compressed bytes.Buffer
	hash := sha256.New()
	count := &counter{}
	zipper := gzip.NewWriter(&compressed)
	archive := tar.NewWriter(io.MultiWriter(zipper, hash, count))
	for _, f := range files {
		if err := f.write(archive); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := errors.Join(archive.Close(), zipper.Close()); err != nil {
		return nil, fmt.Errorf("pack a layer: %w", err)
	}
	sum := sha256.Sum256(compressed.Bytes())
	l, err := partial.CompressedToLayer(&layer{
		compressed: compressed.Bytes(), digest: sha256Hash(sum[:]), diffID: sha256Hash(hash.Sum(nil)),
	})
	return &packed{Layer: l, uncompressed: count.bytes}, err
}

func (f file) write(archive *tar.Writer) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: f.size, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}
	if f.content == nil {
		header.Typeflag = tar.TypeDir
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if f.content == nil {
		return nil
	}
	_, err := io.Copy(archive, f.content)
	return err
}

// directory returns one that everybody may read.
func directory(name string) file { return file{name: name, mode: 0o755} }

// text returns a file that everybody may read.
func text(name, content string) file {
	return file{name: name, mode: 0o644, size: int64(len(content)), content: bytes.NewReader([]byte(content))}
}

// Digest is the sum of the archive as it is stored.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the sum of the archive before compression.
func (l *layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size is that of the archive as it is stored, in bytes.
func (l *layer) Size() (int64, error) { return int64(len(l.compressed)), nil }

// MediaType is OCI's.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed is the archive as it is stored.
func (l *layer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.compressed)), nil
}

func sha256Hash(sum []byte) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum)}
}

// A counter counts what is written to it.
type counter struct{ bytes int64 }

// Write never fails.
func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return len(p), nil
}
