// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"strings"

	"github.com/weir-gitops/weir/pkg/oci"
)

// packed is a sorted list of tags. For each tag it has one byte that says how
// many bytes are those of the tag before, one that says how many follow, and
// those. Tags have at most 128 bytes.
type packed struct {
	data  []byte
	count int // of tags
	bytes int // of the text of all tags
}

var errPacked = errors.New("damaged list of tags")

// pack packs a sorted list of valid tags.
func pack(tags []string) packed {
	p := packed{count: len(tags)}
	size, last := 0, ""
	for _, tag := range tags {
		size += 2 + len(tag) - shared(last, tag)
		p.bytes += len(tag)
		last = tag
	}
	p.data = make([]byte, 0, size)
	last = ""
	for _, tag := range tags {
		prefix := shared(last, tag)
		p.data = append(p.data, byte(prefix), byte(len(tag)-prefix))
		p.data = append(p.data, tag[prefix:]...)
		last = tag
	}
	return p
}

// shared returns how many bytes two texts begin with in common.
func shared(a, b string) int {
	limit := min(len(a), len(b))
	for i := range limit {
		if a[i] != b[i] {
			return i
		}
	}
	return limit
}

// unpack returns the tags, all of them parts of one text.
func (p packed) unpack() []string {
	var text strings.Builder
	text.Grow(p.bytes)
	ends := make([]int, 0, p.count)
	var tag []byte
	for data := p.data; len(data) >= 2; {
		prefix, length := int(data[0]), int(data[1])
		tag = append(tag[:prefix], data[2:2+length]...)
		text.Write(tag)
		ends = append(ends, text.Len())
		data = data[2+length:]
	}
	tags := make([]string, len(ends))
	all, start := text.String(), 0
	for i, end := range ends {
		tags[i] = all[start:end]
		start = end
	}
	return tags
}

// check returns data as a packed list, if that is what it is: sorted, without
// duplicates, and all tags valid.
func check(data []byte) (packed, error) {
	p := packed{data: data}
	var tag []byte
	last := ""
	for len(data) > 0 {
		if len(data) < 2 {
			return packed{}, errPacked
		}
		prefix, length := int(data[0]), int(data[1])
		if prefix > len(tag) || 2+length > len(data) {
			return packed{}, errPacked
		}
		tag = append(tag[:prefix], data[2:2+length]...)
		if text := string(tag); !oci.ValidTag(text) || text <= last || shared(last, text) != prefix {
			return packed{}, errPacked
		}
		last = string(tag)
		p.count++
		p.bytes += len(tag)
		data = data[2+length:]
	}
	return p, nil
}
