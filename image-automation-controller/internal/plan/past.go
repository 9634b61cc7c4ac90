// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/rollback"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/git"
)

// past is what the history of the branch says of the images.
type past struct {
	// steps are the changes of sites, the newest first, by the name of the
	// image and by the site; values is what was held, by the name of the image.
	steps  map[string]map[string][]rollback.Step
	values map[string][]rollback.Value
	// visited are the commits that were looked at; whole: all there are.
	visited map[string]bool
	whole   bool
}

// history walks the branch, once for a plan.
func (d *decision) history(ctx context.Context) (*past, error) {
	if d.past != nil {
		return d.past, nil
	}
	w := &walk{a: d.a, past: &past{
		steps: map[string]map[string][]rollback.Step{}, values: map[string][]rollback.Value{}, visited: map[string]bool{}, whole: true,
	}, newest: map[[2]string]*snapshot{}}
	w.watch(d.tree)
	err := d.tip.History(MaxHistory, func(c *git.Commit) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		w.past.whole = len(c.Parents) == 0
		return true, w.visit(c)
	})
	if err != nil {
		return nil, fmt.Errorf("read the history of the branch: %w", err)
	}
	d.past = w.past
	return d.past, nil
}

// node is a watched path: a file, or a directory that holds one.
type node struct {
	path     string
	children map[string]*node
	hash     string
	seen     bool
}

// origin is a commit, and what it says of itself.
type origin struct {
	hash, author, automation string
	images                   []string
	// merged are the commits that a merge brought in, as far as they are here.
	merged []*origin
}

// held is what a site held. Its id is the place that it has, or will have, in
// the newest version of the file.
type held struct {
	value rollback.Value
	id    string
}

// snapshot is what a file held for one image, by place, and since when.
type snapshot struct {
	values map[string]held
	// by brought the file back after it was gone; nil if it never was.
	by *origin
}

// walk goes through the history from the tip down.
type walk struct {
	a      *Automation
	past   *past
	root   node
	newest map[[2]string]*snapshot // by image and file
	before *origin                 // the commit above the one that is visited
}

// watch notes the files that hold fields.
func (w *walk) watch(t *tree) {
	for _, sites := range t.sites {
		for _, s := range sites {
			n := &w.root
			for i := range s.File {
				if s.File[i] == '/' {
					n = n.child(s.File[:i])
				}
			}
			n.child(s.File)
		}
	}
}

func (n *node) child(path string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[path] == nil {
		n.children[path] = &node{path: path}
	}
	return n.children[path]
}

func (w *walk) visit(c *git.Commit) error {
	w.past.visited[c.Hash] = true
	if err := w.scan(c, &w.root); err != nil {
		return err
	}
	var err error
	w.before, err = originOfMerge(c)
	return err
}

// originOfMerge is originOf with what the commit merges.
func originOfMerge(c *git.Commit) (*origin, error) {
	o := originOf(c)
	for i := 1; i < len(c.Parents); i++ {
		merged, err := c.Parent(i)
		if err != nil {
			return nil, err
		}
		if merged != nil {
			o.merged = append(o.merged, originOf(merged))
		}
	}
	return o, nil
}

func originOf(c *git.Commit) *origin {
	o := &origin{hash: c.Hash, author: c.Author.Name}
	if o.author == "" {
		o.author = c.Author.Email
	}
	for _, trailer := range message.ParseTrailers(c.Message) {
		switch {
		case trailer.Key == AutomationTrailer && o.automation == "":
			o.automation = trailer.Value
		case trailer.Key == imageTrailer:
			o.images = append(o.images, trailer.Value)
		}
	}
	return o
}

// scan compares watched paths with those of the commit above. Directories with
// the same hash hold the same files.
func (w *walk) scan(c *git.Commit, n *node) error {
	for _, child := range n.children {
		entry, err := c.File(child.path)
		if err != nil && !errors.Is(err, git.ErrPath) {
			return err
		}
		hash := ""
		if err == nil {
			hash = entry.Hash()
		}
		if child.seen && child.hash == hash {
			continue
		}
		child.hash, child.seen = hash, true
		switch {
		case len(child.children) > 0:
			err = w.scan(c, child)
		case err != nil || entry.Kind != git.File && entry.Kind != git.Executable:
			w.gone(child.path)
			err = nil
		default:
			err = w.compare(c, child.path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gone notes that a file does not exist below the commit that was visited
// before.
func (w *walk) gone(file string) {
	for _, img := range w.a.Images {
		if s := w.newest[[2]string{img.Name, file}]; s != nil && s.by == nil {
			s.by = w.before
		}
	}
}

// compare takes the steps between a file and its next version.
func (w *walk) compare(c *git.Commit, file string) error {
	data, err := content(c, file)
	if err != nil {
		return err
	}
	marked, _, err := setter.Find(file, data)
	if err != nil {
		// What does not parse holds nothing that anybody could have written.
		marked = nil
	}
	for _, img := range w.a.Images {
		fields := img.marked(marked)
		for _, t := range img.Targets {
			if w.a.file(t) != file {
				continue
			}
			if field, err := setter.Locate(data, t); err == nil {
				field.File, field.Image = file, t.Image
				fields = append(fields, field)
			}
		}
		if len(fields) > 0 {
			w.step(img, file, img.group(fields))
		}
	}
	return nil
}

// step adds what changed between the sites of a file and those of its next
// version.
func (w *walk) step(img *Image, file string, sites []*site) {
	older := map[string]held{}
	for _, s := range sites {
		place := s.File + "\n" + s.Object + "\n" + s.Parent
		older[place] = held{value: s.Value, id: place}
		w.note(img, s.Value)
	}
	key := [2]string{img.Name, file}
	newer := w.newest[key]
	w.newest[key] = &snapshot{values: older}
	if newer == nil {
		return
	}
	by := newer.by
	if by == nil {
		by = w.before
	}
	for place, next := range pairs(older, newer.values) {
		before := older[place].value
		older[place] = held{value: before, id: next.id}
		if before == next.value || before == (rollback.Value{}) {
			continue
		}
		if w.past.steps[img.Name] == nil {
			w.past.steps[img.Name] = map[string][]rollback.Step{}
		}
		w.past.steps[img.Name][next.id] = append(w.past.steps[img.Name][next.id],
			rollback.Step{Commit: by.hash, Author: by.author, Writer: w.writer(img, by, before, next.value), Before: before, After: next.value})
	}
}

// writer is who wrote a value: the automation that the commit names, the one
// whose proposal a merge brought, or this one if it is what was proposed last,
// which forges squash into a commit that names nobody. What ranks below is a
// person's, whoever wrote that value once.
func (w *walk) writer(img *Image, by *origin, before, value rollback.Value) string {
	if by.automation != "" {
		return rollback.Writer(by.automation, by.images, value)
	}
	if img.relate(value.Tag, before) == below {
		return ""
	}
	for _, o := range by.merged {
		if writer := rollback.Writer(o.automation, o.images, value); writer != "" {
			return writer
		}
	}
	accepted := img.Before.Accepted
	if w.a.Proposes && accepted != nil && value.Same(rollback.Value{Tag: accepted.Tag, Digest: accepted.Digest}) {
		return w.a.Writer()
	}
	return ""
}

// pairs returns, for each place in the older version of a file, what the site
// held in the newer one: at the same place, or, if one is left on each side,
// at another.
func pairs(older, newer map[string]held) map[string]held {
	matched := map[string]held{}
	var left []string
	for place := range older {
		if next, ok := newer[place]; ok {
			matched[place] = next
		} else {
			left = append(left, place)
		}
	}
	var right []held
	for place, next := range newer {
		if _, ok := older[place]; !ok {
			right = append(right, next)
		}
	}
	if len(left) == 1 && len(right) == 1 {
		matched[left[0]] = right[0]
	}
	return matched
}

// note remembers a digest that Git held.
func (w *walk) note(img *Image, v rollback.Value) {
	if v.Digest != "" && !slices.ContainsFunc(w.past.values[img.Name], func(o rollback.Value) bool { return o.Digest == v.Digest }) {
		w.past.values[img.Name] = append(w.past.values[img.Name], v)
	}
}

// forget drops rejections that an annotation cleared, or that somebody took
// back by committing the value.
func (c *contest) forget() {
	c.status.Rejected = slices.DeleteFunc(slices.Clone(c.status.Rejected), func(r imagev1.RejectedImage) bool {
		return c.img.cleared(valueOf(r)) || c.current != nil && c.current.Value.Same(valueOf(r))
	})
}

func valueOf(r imagev1.RejectedImage) rollback.Value {
	return rollback.Value{Tag: r.Tag, Digest: r.Digest}
}

// cleared reports whether an annotation makes a value acceptable again.
func (img *Image) cleared(v rollback.Value) bool {
	return img.Cleared != nil && img.Cleared(v.Tag, v.Digest)
}

// rejected returns what people took out of Git: what history shows, and what
// was known before and lies beyond the part of it that is looked at.
func (c *contest) rejected(ctx context.Context) (rollback.Finding, error) {
	if c.taken != nil {
		return *c.taken, nil
	}
	past, err := c.history(ctx)
	if err != nil {
		return rollback.Finding{}, err
	}
	steps := past.steps[c.img.Name]
	var findings []rollback.Finding
	for _, id := range slices.Sorted(maps.Keys(steps)) {
		findings = append(findings, rollback.Judge(c.a.Writer(), steps[id], c.img.above, c.img.cleared))
	}
	finding := rollback.Join(findings...)
	if conflict := finding.Conflict; conflict != nil {
		return finding, refuse(imagev1.WriteConflictReason,
			"image '%s' is written by two: %s wrote %s, and %s took it back in commit %s; let only one of them refer to the field, or commit what it should hold",
			c.img.Name, conflict.Ours, naming(conflict.Value), conflict.Theirs, short(conflict.Commit))
	}
	for _, r := range c.status.Rejected {
		known := slices.ContainsFunc(finding.Rejected, func(o rollback.Rejected) bool { return o.Same(valueOf(r)) })
		if !known && !past.whole && !past.visited[r.Commit] {
			finding.Rejected = append(finding.Rejected, rollback.Rejected{Value: valueOf(r), Commit: r.Commit, Author: r.Author})
		}
	}
	c.status.Rejected = nil
	for _, r := range finding.Rejected[:min(len(finding.Rejected), imagev1.MaxRejected)] {
		c.status.Rejected = append(c.status.Rejected, imagev1.RejectedImage{Tag: r.Tag, Digest: r.Digest, Commit: r.Commit, Author: r.Author})
	}
	c.taken = &finding
	return finding, nil
}

// recoverPush looks for the newest commit of ours when the process ended
// between the push and the status.
func (d *decision) recoverPush() error {
	if !d.a.Audited || d.a.Proposes || d.tip.Commit.Hash == d.a.LastPush {
		return nil
	}
	ours, found := "", d.a.LastPush == ""
	err := d.tip.History(maxRecovery, func(c *git.Commit) (bool, error) {
		if c.Hash == d.a.LastPush {
			found = true
			return false, nil
		}
		if ours == "" && originOf(c).automation == d.a.Writer() {
			ours = c.Hash
		}
		return ours == "" || d.a.LastPush != "", nil
	})
	if err != nil {
		return fmt.Errorf("look for the last commit of %s: %w", d.a.Self, err)
	}
	if found {
		d.result.LastPush = ours
	}
	return nil
}
