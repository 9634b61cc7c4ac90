// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// blocks cuts an index in block style into the versions of its charts, by the
// columns that lines begin at, and has a YAML parser read those that are
// wanted:
//
//	apiVersion: v1
//	entries:
//	  app:            a chart, at keyColumn
//	  - version: …    a version of it, at itemColumn
//
// A cut in the wrong place, as in the middle of a text that goes on at a lower
// column, leaves pieces that do not parse. Then, as in everything else that is
// not expected, the index counts as irregular and is parsed as a whole.
type blocks struct {
	collector *collector
	inEntries bool
	// keyColumn and itemColumn are 0 and -1 until known.
	keyColumn, itemColumn int
	chart                 string
	// state of the present chart: none, its versions follow, or it is empty.
	open, wanted bool
	batch        bytes.Buffer
}

// readBlocks reads an index in block style.
func readBlocks(in *bufio.Reader, c *collector) error {
	b := &blocks{collector: c, itemColumn: -1}
	for {
		line, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := b.line(line); err != nil {
			return err
		}
		if err != nil {
			return b.flush()
		}
	}
}

// readLine returns the next line with its end. What it returns is valid until
// the next call.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > maxItem {
			return nil, fmt.Errorf("%w: a line has more than %d bytes", errInvalid, maxItem)
		}
		line, err = in.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// line takes one line.
func (b *blocks) line(line []byte) error {
	text := bytes.TrimRight(line, " \r\n")
	content := bytes.TrimLeft(text, " ")
	column := len(text) - len(content)
	if len(content) == 0 || content[0] == '#' {
		return b.keep(line) // In a text of several lines this is content.
	}
	if content[0] == '\t' || bytes.IndexByte(content, '\t') == 0 {
		return errIrregular
	}
	item := content[0] == '-' && (len(content) == 1 || content[1] == ' ')
	if column == 0 && !item {
		return b.top(content)
	}
	if !b.inEntries {
		return nil // Part of a field that is of no interest.
	}
	return b.inside(line, content, column, item)
}

// top takes a line at the first column.
func (b *blocks) top(content []byte) error {
	if err := b.end(); err != nil {
		return err
	}
	b.inEntries = false
	if bytes.Equal(content, []byte("---")) && !b.collector.version && b.keyColumn == 0 {
		return nil
	}
	key, value, err := field(content)
	if err != nil {
		return err
	}
	switch key {
	case "apiVersion":
		b.collector.version = value != nil && value != ""
	case "entries":
		if b.keyColumn != 0 {
			return errIrregular
		}
		b.inEntries = value == nil
		if empty, ok := value.(map[string]any); value != nil && (!ok || len(empty) > 0) {
			return errIrregular
		}
	}
	return nil
}

// inside takes a line below "entries".
func (b *blocks) inside(line, content []byte, column int, item bool) error {
	if b.keyColumn == 0 {
		b.keyColumn = column
	}
	switch {
	case b.open && item && (b.itemColumn < 0 && column >= b.keyColumn || column == b.itemColumn):
		b.itemColumn = column
		if b.batch.Len() >= batchBytes {
			if err := b.flush(); err != nil {
				return err
			}
		}
		return b.keep(line)
	case b.open && b.itemColumn >= 0 && column > b.itemColumn:
		return b.keep(line)
	case column == b.keyColumn && !item:
		return b.next(content)
	}
	return errIrregular
}

// next begins a chart.
func (b *blocks) next(content []byte) error {
	if err := b.end(); err != nil {
		return err
	}
	name, value, err := field(content)
	if err != nil {
		return err
	}
	if empty, ok := value.([]any); value != nil && (!ok || len(empty) > 0) {
		return errIrregular
	}
	b.chart, b.open = name, value == nil
	b.wanted, err = b.collector.begin(name)
	return err
}

// keep adds a line to the batch, if the present chart is wanted.
func (b *blocks) keep(line []byte) error {
	if !b.open || !b.wanted || b.itemColumn < 0 {
		return nil
	}
	if b.batch.Len()+len(line) > maxItem {
		return fmt.Errorf("%w: one version of the chart '%s' has more than %d bytes", errInvalid, shorten(b.chart), maxItem)
	}
	b.batch.Write(line)
	return nil
}

// end ends the present chart.
func (b *blocks) end() error {
	err := b.flush()
	b.open, b.wanted, b.itemColumn = false, false, -1
	return err
}

// flush parses the batch.
func (b *blocks) flush() error {
	if b.batch.Len() == 0 {
		return nil
	}
	var entries []*indexEntry
	if err := yaml.Unmarshal(b.batch.Bytes(), &entries); err != nil {
		return fmt.Errorf("%w: the chart '%s' cannot be read by itself", errIrregular, shorten(b.chart))
	}
	for _, entry := range entries {
		if err := b.collector.add(entry); err != nil {
			return err
		}
	}
	b.batch.Reset()
	return nil
}

// field reads a line "key: value", or "key:", which has the value nil.
func field(content []byte) (string, any, error) {
	if name, simple := bytes.CutSuffix(content, []byte(":")); simple && plain(name) {
		return string(name), nil, nil
	}
	parsed := map[string]any{}
	if err := yaml.Unmarshal(content, &parsed); err != nil || len(parsed) != 1 {
		return "", nil, errIrregular
	}
	for key, value := range parsed {
		return key, value, nil
	}
	return "", nil, errIrregular
}

// plain reports whether a key means itself in YAML, as names of charts do.
func plain(name []byte) bool {
	for _, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(name) > 0 && strings.Trim(string(name), "-.0123456789") != ""
}
