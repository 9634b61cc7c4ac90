// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// An image is the vDSO of a process: a shared library, in memory.
type image struct {
	begin uint64 // its address
	bytes []byte
}

// read returns the vDSO of a process.
func read(pid int) (image, error) {
	maps, err := os.ReadFile(file(pid, "maps"))
	if err != nil {
		return image{}, err
	}
	var begin, end uint64
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &begin, &end); err != nil {
			return image{}, fmt.Errorf("find its vDSO: %w", err)
		}
	}
	if begin == end {
		// A process that has ended and waits for its parent has no memory.
		return image{}, fmt.Errorf("it has no vDSO: %w", fs.ErrNotExist)
	}
	memory, err := os.Open(file(pid, "mem"))
	if err != nil {
		return image{}, err
	}
	content := make([]byte, end-begin)
	_, err = memory.ReadAt(content, int64(begin)) //#nosec G115 -- addresses of processes are below 1<<47
	if err = errors.Join(err, memory.Close()); err != nil {
		return image{}, fmt.Errorf("read its vDSO: %w", err)
	}
	return image{begin, content}, nil
}

// has reports whether these bytes are at an offset.
func (i image) has(at uint64, content []byte) bool { return bytes.HasPrefix(i.bytes[at:], content) }

// places are offsets into the vDSO of this kernel.
type places struct {
	entry uint64 // of clock_gettime
	room  uint64 // where nothing is
}

// find returns where there is what.
func (i image) find() (places, error) {
	library, err := elf.NewFile(bytes.NewReader(i.bytes))
	if err != nil {
		return places{}, fmt.Errorf("read the vDSO: %w", err)
	}
	symbols, err := library.DynamicSymbols()
	if err != nil {
		return places{}, fmt.Errorf("read the vDSO: %w", err)
	}
	at := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	if at < 0 {
		return places{}, errors.New("the vDSO has no clock_gettime")
	}
	// The last page is filled up with zeros.
	const align = 16
	used := uint64(len(bytes.TrimRight(i.bytes, "\x00")))
	found := places{entry: symbols[at].Value, room: (used + align) / align * align}
	if found.room+uint64(len(offset(0))) > uint64(len(i.bytes)) {
		return places{}, errors.New("the vDSO has no room")
	}
	return found, nil
}

// without returns what is not at these places.
func (p places) without(content []byte) []byte {
	content = bytes.Clone(content)
	for _, part := range []struct {
		at     uint64
		length int
	}{{p.entry, len(jump(0, 0))}, {p.room, len(offset(0))}} {
		if part.at+uint64(part.length) <= uint64(len(content)) {
			clear(content[part.at : part.at+uint64(part.length)])
		}
	}
	return content
}
