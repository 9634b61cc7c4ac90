// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// An origin says where an object comes from: "path:line" of the line that it begins in, relative to the root of the
// source, "path" if the line is not certain, and "" if nothing is.

// originOf returns the origin for a line of a file; line 0 is one that is not known.
func originOf(file string, line int) string {
	if file == "" || line <= 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// origins tells where objects come from, by their identity without version and namespace. Each list is sorted and has
// nothing twice.
type origins struct {
	// files are those of the objects that stand in files.
	files map[identity][]string
	// generated are those of ConfigMaps and Secrets that a kustomization file generates, by their names without hash.
	generated map[identity][]string
}

// originsOf returns the origins of what a walker has found.
func originsOf(w *walker) origins {
	o := origins{files: make(map[identity][]string, len(w.sources)), generated: map[identity][]string{}}
	for i := range w.sources {
		s := &w.sources[i]
		id := identifyNode(s.node)
		s.rename.add(o.files, id, originOf(s.file, s.line))
	}
	for _, g := range w.generated {
		g.rename.add(o.generated, identity{kind: g.kind, name: g.name}, g.file)
	}
	for _, index := range []map[identity][]string{o.files, o.generated} {
		for id, found := range index {
			slices.Sort(found)
			index[id] = slices.Compact(found)
		}
	}
	return o
}

func identifyNode(node *kyaml.RNode) identity {
	group, _, ok := strings.Cut(node.GetApiVersion(), "/")
	if !ok {
		group = ""
	}
	return identity{group: group, kind: node.GetKind(), name: node.GetName()}
}

// rename is what the kustomizations between the root and a file put around names. Some kinds keep theirs all the same.
type rename struct {
	prefix, suffix string
}

// inside returns the renaming for what lies below k.
func (r rename) inside(k *types.Kustomization) rename {
	return rename{prefix: r.prefix + k.NamePrefix, suffix: k.NameSuffix + r.suffix}
}

// add notes an origin under the name that an object has and the one that it may get.
func (r rename) add(index map[identity][]string, id identity, origin string) {
	index[id] = append(index[id], origin)
	if renamed := r.prefix + id.name + r.suffix; renamed != id.name {
		id.name = renamed
		index[id] = append(index[id], origin)
	}
}

// with returns the origins of both.
func (o origins) with(more origins) origins {
	return origins{files: joinOrigins(o.files, more.files), generated: joinOrigins(o.generated, more.generated)}
}

func joinOrigins(a, b map[identity][]string) map[identity][]string {
	if len(b) == 0 {
		return a
	}
	joined := maps.Clone(a)
	for id, found := range b {
		all := slices.Concat(joined[id], found)
		slices.Sort(all)
		joined[id] = slices.Compact(all)
	}
	return joined
}

// size is about how many bytes the origins take.
func (o origins) size() int64 {
	var total int64
	for _, index := range []map[identity][]string{o.files, o.generated} {
		for id, found := range index {
			total += int64(len(id.name)+len(id.kind)+len(id.group)) + 160
			for _, origin := range found {
				total += int64(len(origin)) + 16
			}
		}
	}
	return total
}

// hashed is what kustomize puts behind the name of what it generates.
var hashed = regexp.MustCompile(`-[a-z0-9]{10}$`)

// of returns where a built object comes from, as far as that is certain: kustomize does not tell. The prefix and suffix
// are those of the outermost kustomization.
func (o origins) of(content map[string]any, prefix, suffix string) string {
	id := identify(content).withoutPlace()
	if found := o.files[id]; len(found) > 0 {
		return certain(found)
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(id.name, prefix), suffix)
	id.name, bare = bare, id.name
	if found := o.files[id]; len(found) > 0 {
		return certain(found)
	}
	if len(o.generated) == 0 || id.group != "" {
		return ""
	}
	for _, name := range []string{bare, hashed.ReplaceAllString(bare, "")} {
		for _, id.name = range []string{name, strings.TrimSuffix(strings.TrimPrefix(name, prefix), suffix)} {
			if found := o.generated[id]; len(found) > 0 {
				return certain(found)
			}
		}
	}
	return ""
}

// certain returns what several possible origins have in common: all of it, the file, or nothing.
func certain(found []string) string {
	if len(found) == 1 {
		return found[0]
	}
	file := withoutLine(found[0])
	for _, other := range found[1:] {
		if withoutLine(other) != file {
			return ""
		}
	}
	return file
}

// lineSuffix is the line of an origin.
var lineSuffix = regexp.MustCompile(`:\d+$`)

func withoutLine(origin string) string {
	return lineSuffix.ReplaceAllString(origin, "")
}

// generator is something that a kustomization file generates.
type generator struct {
	kind, name, file string
	rename           rename
}

// generators lists what a kustomization at l generates.
func generators(k *types.Kustomization, l *level) []generator {
	var found []generator
	file := path.Join(l.dir, l.file)
	for i := range k.ConfigMapGenerator {
		found = append(found, generator{"ConfigMap", k.ConfigMapGenerator[i].Name, file, l.rename})
	}
	for i := range k.SecretGenerator {
		found = append(found, generator{"Secret", k.SecretGenerator[i].Name, file, l.rename})
	}
	return found
}

// linesOf returns the line of a file that each of the objects decoded from it begins in, and 0 for those where that is not
// certain. It does not parse the file again.
func linesOf(data []byte, nodes []*kyaml.RNode) []int {
	lines := make([]int, len(nodes))
	if !bytes.Contains(data, []byte("\n---")) {
		linesOfOne(data, nodes, lines)
		return lines
	}
	var docs []document
	for _, doc := range split(data) {
		if firstLine(doc.text) > 0 {
			docs = append(docs, doc)
		}
	}
	if len(docs) != len(nodes) {
		return lines // lists, or documents that hold nothing
	}
	for i, node := range nodes {
		if standsIn(docs[i].text, node) {
			lines[i] = docs[i].before + node.YNode().Line
		}
	}
	return lines
}

// linesOfOne is for a file with one document: an object, or a list of them.
func linesOfOne(data []byte, nodes []*kyaml.RNode, lines []int) {
	first := firstLine(string(data))
	last := first - 1
	for i, node := range nodes {
		line := node.YNode().Line
		if line <= last {
			// These objects come from a list that was written anew, and know nothing of their place in the file.
			for j := range lines {
				lines[j] = first
			}
			return
		}
		lines[i], last = line, line
	}
}

// firstLine returns the first line of a document that holds something, and 0 if there is none.
func firstLine(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && line[0] != '#' && line[0] != '%' {
			return n
		}
	}
	return 0
}

// standsIn tells whether the name of node is where node says that it is in the document.
func standsIn(text string, node *kyaml.RNode) bool {
	name := node.Field("metadata")
	if name == nil {
		return false
	}
	if name = name.Value.Field("name"); name == nil {
		return false
	}
	at := name.Value.YNode()
	n := 0
	for line := range strings.Lines(text) {
		if n++; n < at.Line {
			continue
		}
		runes := []rune(line)
		if at.Column < 1 || at.Column > len(runes) {
			return false
		}
		rest, ok := strings.CutPrefix(strings.TrimLeft(string(runes[at.Column-1:]), `"'`), at.Value)
		return ok && (rest == "" || strings.ContainsAny(rest[:1], " \t\r\n,}\"'"))
	}
	return false
}
