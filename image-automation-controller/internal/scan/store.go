// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-gitops/weir/pkg/oci"
)

const (
	magic     = "weir-tags-1\n"
	extension = ".tags"
)

var errFile = errors.New("damaged file")

// store keeps results in files of a directory, up to a number of bytes. It is a
// cache: files may be lost or damaged at any time.
type store struct {
	dir   string
	limit int64

	mu    sync.Mutex
	files map[string]file // by name
	size  int64
}

type file struct {
	size int64
	used time.Time
}

// header is the first line of a file, after the magic.
type header struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	ETag string    `json:"etag,omitempty"`
	Sum  string    `json:"revision"`
}

// newStore looks at what is in dir and removes what was not written to its end.
func newStore(dir string, limit int64) *store {
	s := &store{dir: dir, limit: limit, files: map[string]file{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return s
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		switch filepath.Ext(entry.Name()) {
		case extension:
			s.files[entry.Name()] = file{size: info.Size(), used: info.ModTime()}
			s.size += info.Size()
		case ".tmp":
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		default:
		}
	}
	return s
}

// fileName hides the key, which is derived from credentials.
func fileName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:]) + extension
}

// save writes the result of a key.
func (s *store) save(id string, r *Result) error {
	if s.dir == "" {
		return errors.ErrUnsupported
	}
	content, err := encode(id, r)
	if err != nil {
		return err
	}
	if int64(len(content)) > s.limit/4 {
		return fmt.Errorf("%d bytes are more than a quarter of the cache", len(content))
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("create the cache: %w", cause(err))
	}
	name := fileName(id)
	if err := writeFile(s.dir, name, content); err != nil {
		return fmt.Errorf("write to the cache: %w", cause(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size += int64(len(content)) - s.files[name].size
	s.files[name] = file{size: int64(len(content)), used: time.Now()}
	s.shrink()
	return nil
}

// cause leaves the path, which may be a temporary one, out of an error.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*os.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// writeFile puts content in the place of a file in one step.
func writeFile(dir, name string, content []byte) error {
	temporary, err := os.CreateTemp(dir, "*.tmp")
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temporary.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}

// shrink removes the files that were used longest ago until a tenth is free.
func (s *store) shrink() {
	if s.size <= s.limit {
		return
	}
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(s.files[a].used.Compare(s.files[b].used), strings.Compare(a, b))
	})
	for _, name := range names {
		if s.size <= s.limit*9/10 {
			return
		}
		s.drop(name)
	}
}

func (s *store) drop(name string) {
	_ = os.Remove(filepath.Join(s.dir, name))
	s.size -= s.files[name].size
	delete(s.files, name)
}

// load returns the result of a key, or nil if there is none that can be used.
func (s *store) load(id string) *Result {
	if s.dir == "" {
		return nil
	}
	name := fileName(id)
	s.mu.Lock()
	known, found := s.files[name]
	if found {
		known.used = time.Now()
		s.files[name] = known
	}
	s.mu.Unlock()
	if !found {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err == nil {
		var r *Result
		if r, err = decode(id, content); err == nil {
			return r
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(name)
	return nil
}

// bytes returns the size of all files.
func (s *store) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// encode returns the content of a file: magic, header, packed tags, and a
// checksum of all that.
func encode(id string, r *Result) ([]byte, error) {
	h := header{ID: fileName(id), At: r.At, Sum: r.Revision}
	if r.validator != nil {
		h.ETag = r.validator.ETag
	}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode a result: %w", err)
	}
	content := make([]byte, 0, len(magic)+len(line)+1+len(r.packed.data)+sha256.Size)
	content = append(content, magic...)
	content = append(content, line...)
	content = append(content, '\n')
	content = append(content, r.packed.data...)
	sum := sha256.Sum256(content)
	return append(content, sum[:]...), nil
}

// decode reads the content of the file of a key.
func decode(id string, content []byte) (*Result, error) {
	if len(content) < len(magic)+sha256.Size || !bytes.HasPrefix(content, []byte(magic)) {
		return nil, errFile
	}
	body, tail := content[:len(content)-sha256.Size], content[len(content)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], tail) {
		return nil, errFile
	}
	return decodeBody(id, body[len(magic):])
}

// decodeBody reads what is between the magic and the checksum.
func decodeBody(id string, body []byte) (*Result, error) {
	line, data, found := bytes.Cut(body, []byte{'\n'})
	var h header
	if !found || json.Unmarshal(line, &h) != nil || h.ID != fileName(id) || h.At.IsZero() || h.Sum == "" {
		return nil, errFile
	}
	tags, err := check(data)
	if err != nil {
		return nil, err
	}
	r := &Result{At: h.At, Revision: h.Sum, packed: tags}
	if h.ETag != "" {
		r.validator = &oci.Validator{ETag: h.ETag}
	}
	return r, nil
}
