// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	// maxIrregular is how many bytes an index may have that is YAML, but not in
	// the form that every tool writes: such a one has to be parsed as a whole,
	// which costs many times its size in memory.
	maxIrregular = 2 << 20
	// maxItem is how many bytes one version of a chart may have in an index.
	maxItem = 1 << 20
	// maxVersions is how many versions of one chart an index may list: all of
	// them are in memory when one is chosen.
	maxVersions = 100_000
	// batchBytes is how much of one chart is parsed at once.
	batchBytes = 64 << 10
)

// errIrregular says that an index is not in the usual form.
var errIrregular = errors.New("the index is not in the usual form")

// errInvalid says that an index is not one.
var errInvalid = errors.New("it is not a valid index of a Helm repository")

// indexEntry is a version of a chart as it is written in an index.
type indexEntry struct {
	Name    string   `json:"name"    yaml:"name"`
	Version string   `json:"version" yaml:"version"`
	Digest  string   `json:"digest"  yaml:"digest"`
	Created string   `json:"created" yaml:"created"`
	URLs    []string `json:"urls"    yaml:"urls"`
}

// entry returns what is of use here, and false for what Helm would leave out.
func (e *indexEntry) entry() (Entry, bool) {
	if e == nil || e.Name == "" {
		return Entry{}, false
	}
	if _, err := parseLenient(e.Version); err != nil {
		return Entry{}, false
	}
	created, err := time.Parse(time.RFC3339, e.Created)
	if err != nil {
		created = time.Time{}
	}
	return Entry{Name: e.Name, Version: e.Version, Digest: e.Digest, urls: e.URLs, created: created}, true
}

// collector takes the charts of an index one after the other.
type collector struct {
	// only is the name of the chart whose versions are kept; none if empty.
	only string
	// all: every chart is parsed, to know that it can be.
	all     bool
	entries []Entry
	found   bool
	// keeping: the present chart is the wanted one.
	keeping bool
	// version is whether the index says its API version.
	version bool
	names   map[string]struct{}
	// count is how many versions of the present chart were parsed.
	count int
}

// begin is called at the start of each chart and says whether its versions are
// to be parsed.
func (c *collector) begin(name string) (bool, error) {
	c.keeping = c.only != "" && name == c.only
	if !c.all && !c.keeping {
		return false, nil
	}
	if _, again := c.names[name]; again {
		return false, fmt.Errorf("%w: it lists the chart '%s' twice", errInvalid, shorten(name))
	}
	c.names[name] = struct{}{}
	c.count = 0
	c.found = c.found || c.keeping
	return true, nil
}

// add takes a version of the present chart.
func (c *collector) add(e *indexEntry) error {
	if c.count++; c.count > maxVersions {
		return fmt.Errorf("%w: it lists more than %d versions of one chart", errInvalid, maxVersions)
	}
	if entry, ok := e.entry(); ok && c.keeping {
		c.entries = append(c.entries, entry)
	}
	return nil
}

// checkIndex reads an index to its end and says why it is none, if so. It needs
// memory for one chart at a time.
func checkIndex(r io.ReadSeeker) error {
	_, err := readIndex(r, "")
	return err
}

// lookup returns the versions of one chart, and false if there is no such
// chart, in an index that was checked. Of a large one it parses nothing else:
// had it not been in the usual form, the check would have refused it.
func lookup(r io.ReadSeeker, name string) ([]Entry, bool, error) {
	c, err := readIndex(r, name)
	if err != nil {
		return nil, false, err
	}
	return c.entries, c.found, nil
}

// readIndex reads an index in YAML or JSON from its start.
func readIndex(r io.ReadSeeker, only string) (*collector, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, fmt.Errorf("%w: it is empty", errInvalid)
	}
	all := only == "" || size <= maxIrregular
	c, err := readWith(r, only, all, readUsual)
	if errors.Is(err, errIrregular) {
		if size > maxIrregular {
			return nil, fmt.Errorf(
				"%w; it is not in block style, as 'helm repo index' writes it, and only one of at most %d bytes can be read otherwise", err, maxIrregular)
		}
		c, err = readWith(r, only, all, readWhole)
	}
	if err != nil {
		return nil, err
	}
	if !c.version {
		return nil, fmt.Errorf("%w: it has no apiVersion", errInvalid)
	}
	return c, nil
}

func readWith(r io.ReadSeeker, only string, all bool, read func(io.Reader, *collector) error) (*collector, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	c := &collector{only: only, all: all, names: map[string]struct{}{}}
	return c, read(r, c)
}

// readUsual reads JSON, or YAML in block style.
func readUsual(r io.Reader, c *collector) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		first, err := in.Peek(1)
		switch {
		case err != nil:
			return fmt.Errorf("%w: it is empty", errInvalid)
		case first[0] == ' ' || first[0] == '\n' || first[0] == '\r' || first[0] == '\t':
			_, _ = in.Discard(1)
			continue
		case first[0] == '{':
			return readJSON(in, c)
		}
		return readBlocks(in, c)
	}
}

// readWhole reads any YAML.
func readWhole(r io.Reader, c *collector) error {
	var index struct {
		APIVersion string                   `yaml:"apiVersion"`
		Entries    map[string][]*indexEntry `yaml:"entries"`
	}
	if err := yaml.NewDecoder(r).Decode(&index); err != nil {
		return fmt.Errorf("%w%s", errInvalid, lineOf(err))
	}
	c.version = index.APIVersion != ""
	for name, entries := range index.Entries {
		wanted, err := c.begin(name)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if !wanted {
				break
			}
			if err := c.add(entry); err != nil {
				return err
			}
		}
	}
	return nil
}
