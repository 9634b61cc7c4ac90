// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package layer reads the archive in a layer of an OCI artifact.
//
// Nothing of it becomes a file on disk: contents go one after the other into a
// single file that the caller gives, and names stay in memory. So no name in an
// archive can lead anywhere.
package layer

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

const (
	// DefaultMaxEntries is how many files and directories a layer may have.
	DefaultMaxEntries = 100_000
	// maxName is how long a path may be.
	maxName = 4096
	// overhead is what an entry takes in an archive beside its content, at
	// most, for ordinary archives.
	overhead = 4096
)

// Limits bound what is read.
type Limits struct {
	// Bytes of all files in total, after decompression.
	Bytes int64
	// Entries, files and directories; DefaultMaxEntries if it is zero.
	Entries int
}

// ErrTooLarge means that a layer exceeds a limit, which the error names.
var ErrTooLarge = errors.New("the layer is too large")

// Scratch is where the contents of files go, such as a temporary file.
type Scratch interface {
	io.Writer
	io.ReaderAt
}

// Extract reads an archive of tar in gzip and returns what is in it. Symlinks
// are passed over. Files that are neither regular nor a directory, and names
// that are absolute or lead out of the archive, are errors. Of two entries with
// one name the last one counts.
func Extract(ctx context.Context, r io.Reader, into Scratch, limits Limits) (artifact.Tree, error) {
	if limits.Entries == 0 {
		limits.Entries = DefaultMaxEntries
	}
	zip, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, fmt.Errorf("requires gzip-compressed body: %w", err)
	}
	stream := &boundedReader{r: zip, left: limits.Bytes + overhead*int64(limits.Entries+1), limits: limits}
	e := &extractor{into: into, limits: limits, left: limits.Bytes, entries: map[string]entry{}}
	archive := tar.NewReader(stream)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, tarError(err)
		}
		if err := e.add(header, archive); err != nil {
			return nil, err
		}
	}
	return e.tree(), nil
}

// tarError keeps an ErrTooLarge as it is.
func tarError(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return fmt.Errorf("tar error: %w", err)
}

// extractor collects the entries of an archive.
type extractor struct {
	into    Scratch
	limits  Limits
	left    int64
	written int64
	seen    int
	entries map[string]entry
}

// entry is one path, and where its content is.
type entry struct {
	dir, executable bool
	offset, size    int64
}

func (e *extractor) add(header *tar.Header, content io.Reader) error {
	if e.seen++; e.seen > e.limits.Entries {
		return fmt.Errorf("%w: it has more than %d files and directories", ErrTooLarge, e.limits.Entries)
	}
	name, err := localName(header.Name)
	if err != nil {
		return err
	}
	switch mode := header.FileInfo().Mode(); header.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return e.file(name, mode&0o111 != 0, header.Size, content)
	case tar.TypeDir:
		return e.put(name, entry{dir: true})
	case tar.TypeSymlink, tar.TypeXGlobalHeader: // The latter is what git archive says of a commit.
		return nil
	default:
		return fmt.Errorf("tar file entry %q contained unsupported file type %v", name, mode)
	}
}

// localName cleans the name of an entry.
func localName(name string) (string, error) {
	clean := path.Clean(name)
	if name == "" || len(name) > maxName || strings.ContainsAny(name, "\\\x00") || path.IsAbs(name) ||
		clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("tar contained invalid name error %.200q", name)
	}
	return clean, nil
}

func (e *extractor) file(name string, executable bool, size int64, content io.Reader) error {
	if e.left -= size; e.left < 0 {
		return tooLarge(e.limits)
	}
	if err := e.put(name, entry{executable: executable, offset: e.written, size: size}); err != nil {
		return err
	}
	n, err := io.Copy(e.into, content)
	e.written += n
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return tarError(err)
	}
	return nil
}

func tooLarge(limits Limits) error {
	return fmt.Errorf("%w: its files have more than %d bytes, the limit of --artifact-max-size", ErrTooLarge, limits.Bytes)
}

// put enters a path, and the directories above it.
func (e *extractor) put(name string, what entry) error {
	if old, found := e.entries[name]; found && old.dir != what.dir {
		return fmt.Errorf("tar file entry %q is both a file and a directory", name)
	}
	e.entries[name] = what
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		old, found := e.entries[dir]
		if found && !old.dir {
			return fmt.Errorf("tar file entry %q is both a file and a directory", dir)
		}
		if found {
			break
		}
		e.entries[dir] = entry{dir: true}
		if e.seen++; e.seen > e.limits.Entries {
			return fmt.Errorf("%w: it has more than %d files and directories", ErrTooLarge, e.limits.Entries)
		}
	}
	return nil
}

// tree returns the entries in the order in which directories are listed.
func (e *extractor) tree() artifact.Tree {
	delete(e.entries, ".")
	names := slices.SortedFunc(maps.Keys(e.entries), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
	return func(ctx context.Context, visit func(artifact.Entry) error) error {
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			found := e.entries[name]
			err := visit(artifact.Entry{
				Path: name, Dir: found.dir, Executable: found.executable,
				Open: func() (int64, io.ReadCloser, error) {
					return found.size, io.NopCloser(io.NewSectionReader(e.into, found.offset, found.size)), nil
				},
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// boundedReader bounds what is decompressed, of entries that are passed over
// too.
type boundedReader struct {
	r      io.Reader
	left   int64
	limits Limits
}

// Read passes on what it reads.
func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limits)
	}
	return n, err
}
