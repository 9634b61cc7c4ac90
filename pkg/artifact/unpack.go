// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	// maxEntries is how many files and directories an artifact may have. An
	// empty file costs an archive next to nothing, and a disk an inode.
	maxEntries = 200_000
	// maxShownName is how much of the name of an entry an error shows.
	maxShownName = 120
)

// errEntries says that an archive has more than maxEntries entries.
var errEntries = fmt.Errorf("it has more than %d files and directories", maxEntries)

// unpack extracts the files and directories of a tar.gz below dir, which
// exists. Symbolic links are left out, as Flux does; anything else that is
// neither file nor directory is an error, and so is a name that leads out of
// dir. Files may have limit bytes altogether. Nothing is written outside of
// dir. After an error, what is in dir is not to be used.
func unpack(packed io.Reader, dir string, limit int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("it is not compressed by gzip: %w", err)
	}
	// Headers are not files, and may be any number of bytes for each of them.
	stream := &bounded{from: zip, rest: 2*limit + 16<<20, limit: limit}
	archive := tar.NewReader(stream)
	for entries := 0; ; entries++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return broken(err)
		}
		if entries == maxEntries {
			return errEntries
		}
		if err := extract(root, header, archive, &limit, stream.limit); err != nil {
			return err
		}
	}
}

// extract writes one entry. rest is how many bytes files may still have, of
// limit.
func extract(root *os.Root, header *tar.Header, content io.Reader, rest *int64, limit int64) error {
	if !inside(header.Name) {
		return fmt.Errorf("the entry %s leads out of the archive", shown(header.Name))
	}
	name := path.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeSymlink, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir:
		return unwritable(name, root.MkdirAll(name, 0o700))
	case tar.TypeReg:
	default:
		return fmt.Errorf("the entry %s is neither a file nor a directory", shown(header.Name))
	}
	if *rest -= header.Size; *rest < 0 {
		return tooLarge(limit)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return unwritable(name, err)
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return unwritable(name, err)
	}
	_, err = io.Copy(file, content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if _, disk := errors.AsType[*fs.PathError](err); disk {
		return unwritable(name, err)
	}
	return broken(err)
}

// unwritable says why an entry cannot be put on the disk.
func unwritable(name string, err error) error {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("the entry %s cannot be written: %w", shown(name), cause.Err)
	}
	return err
}

// inside reports whether a name of an entry stays below the directory that it
// is extracted to. Names that could be read in two ways do not.
func inside(name string) bool {
	return filepath.IsLocal(name) && !strings.Contains(name, `\`) && !strings.Contains(name+"/", "../")
}

func shown(name string) string {
	if len(name) > maxShownName {
		name = strings.ToValidUTF8(name[:maxShownName], "") + "…"
	}
	return fmt.Sprintf("%q", name)
}

func tooLarge(limit int64) error {
	return fmt.Errorf("unpacked it has more than the %d bytes allowed by --artifact-max-size", limit)
}

// broken says that an archive cannot be read to its end.
func broken(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*sizeError)):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the archive is cut off: %w", err)
	}
	return fmt.Errorf("the archive is corrupt: %w", err)
}

// sizeError says that a stream is longer than allowed.
type sizeError struct{ limit int64 }

// Error implements error.
func (e *sizeError) Error() string { return tooLarge(e.limit).Error() }

// bounded reads from a stream and fails where it gets too long: an archive can
// be all headers.
type bounded struct {
	from  io.Reader
	rest  int64
	limit int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.rest -= int64(n); b.rest < 0 {
		return 0, &sizeError{b.limit}
	}
	return n, err
}
