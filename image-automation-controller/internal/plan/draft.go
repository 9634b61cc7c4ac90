// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"maps"
	"slices"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/git"
)

// Trailers that are read again.
const (
	// AutomationTrailer names the automation that made a commit.
	AutomationTrailer = "Automation"
	// imageTrailer names an image that a commit writes.
	imageTrailer = "Image"
)

// edit is one field that changes.
type edit struct {
	field setter.Field
	value string
}

// whole is a candidate as a reference.
func (img *Image) whole(tag, digest string) string {
	ref := imagev1.ImageRef{Name: img.Text, Tag: tag}
	if img.writesDigest(digest) {
		ref.Digest = digest
	}
	return ref.String()
}

// edits are the fields that change for a choice.
func (c *choice) edits() []edit {
	var edits []edit
	for _, s := range c.sites {
		for _, field := range s.Fields {
			if value, ok := c.render(s, field); ok && value != field.Value {
				edits = append(edits, edit{field: field, value: value})
			}
		}
	}
	return edits
}

// render returns what a field gets; ok is false for a field that is left
// alone.
func (c *choice) render(s *site, field setter.Field) (value string, ok bool) {
	// How the repository is spelt is no business of ours, as long as it is the
	// one.
	name := c.img.Text
	if c.img.Fixed == nil && s.Name != "" && !s.Foreign {
		name = s.Name
	}
	switch field.Part {
	case imagev1.PartName:
		return field.Written(name), true
	case imagev1.PartTag:
		return c.artifact.Tag, true
	case imagev1.PartDigest:
		return c.artifact.Digest, c.artifact.Digest != ""
	case imagev1.PartImage:
	}
	value = name + ":" + c.artifact.Tag
	if c.img.writesDigest(c.artifact.Digest) {
		value += "@" + c.artifact.Digest
	}
	return field.Written(value), true
}

// draft makes the commit for the choices.
func (d *decision) draft(_ context.Context) error {
	files := map[string][]edit{}
	for _, c := range d.choices {
		edits := c.edits()
		for _, e := range edits {
			files[e.field.File] = append(files[e.field.File], e)
		}
		d.note(c)
	}
	if len(files) == 0 {
		return nil
	}
	draft := &git.Draft{Files: map[string][]byte{}, Sign: d.a.Sign}
	var changed message.Changed
	for _, file := range slices.Sorted(maps.Keys(files)) {
		before, err := content(d.tip.Commit, file)
		if err != nil {
			return err
		}
		fields, values := []setter.Field{}, map[int]string{}
		for i, e := range files[file] {
			fields = append(fields, e.field)
			values[i] = e.value
			changed.Add(file, objectOf(e.field), message.Change{OldValue: e.field.Value, NewValue: e.value, Setter: setterName(e.field)})
		}
		if draft.Files[file], err = setter.Set(before, values, fields); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	text, err := d.a.Message.Render(message.Data{AutomationObject: d.a.Self, Changed: changed, Values: d.a.Values})
	if err != nil {
		return err
	}
	d.result.Message, draft.Message = text, text
	if d.a.Audited {
		draft.Message = message.Append(text, d.trailers())
	}
	draft.Author, draft.Committer = d.a.Author, d.a.Author
	draft.Author.When, draft.Committer.When = d.now, d.now
	d.result.Draft = draft
	return nil
}

func objectOf(field setter.Field) message.ObjectIdentifier {
	return message.Object(field.ID.APIVersion, field.ID.Kind, field.ID.Namespace, field.ID.Name)
}

// setterName is what a marker says.
func setterName(field setter.Field) string {
	name := field.Ref
	if name == "" {
		name = field.Image
	}
	if field.Part != imagev1.PartImage && field.Part != "" {
		name += ":" + string(field.Part)
	}
	return name
}

// note records what a choice changes.
func (d *decision) note(c *choice) {
	change := Change{Image: c.img.Name, New: c.img.whole(c.artifact.Tag, c.artifact.Digest)}
	if c.current != nil {
		change.Old = naming(c.current.Value)
	}
	d.result.Changes = append(d.result.Changes, change)
	written := imagev1.ImageRef{Name: c.img.Text, Tag: c.artifact.Tag}
	if c.img.writesDigest(c.artifact.Digest) {
		written.Digest = c.artifact.Digest
	}
	d.result.Written[c.img.Name] = written
}

// trailers say, for good, what was written and why.
func (d *decision) trailers() []message.Trailer {
	trailers := []message.Trailer{{Key: AutomationTrailer, Value: d.a.Writer()}}
	add := func(key, value string) {
		if value != "" {
			trailers = append(trailers, message.Trailer{Key: key, Value: value})
		}
	}
	for _, c := range d.choices {
		full := imagev1.ImageRef{Name: c.img.Text, Tag: c.artifact.Tag, Digest: c.artifact.Digest}
		add(imageTrailer, full.String())
		if c.current != nil {
			name := c.current.Name
			if name == "" {
				name = c.img.Text
			}
			if tag := c.current.Value.Tag; tag != "" {
				name += ":" + tag
			}
			add("Previous-Image", name)
			add("Previous-Digest", c.current.Value.Digest)
		}
		add("Policy", c.img.Name+" "+c.img.Described)
		for _, result := range c.verdict.Results {
			add("Gate", result.Text)
		}
		if c.artifact.SignedBy != "" {
			add("Signature", "cosign "+c.artifact.SignedBy)
		}
		if c.approved {
			add("Approved-By-Annotation", c.img.Name+"@"+c.artifact.Digest)
		}
	}
	add("Source", d.a.Source)
	return trailers
}
