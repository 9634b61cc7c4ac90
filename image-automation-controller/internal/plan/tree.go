// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/rollback"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/oci"
)

// RefusalError is why nothing is planned until somebody edits the repository or
// the spec.
type RefusalError struct {
	// Reason of the condition.
	Reason string
	text   string
}

func (r *RefusalError) Error() string { return r.text }

func refuse(reason, format string, args ...any) error {
	return &RefusalError{Reason: reason, text: fmt.Sprintf(format, args...)}
}

// tree is what a commit holds for the images of an automation.
type tree struct {
	// sites by the name of the image.
	sites map[string][]*site
	// problems are markers and files that are left out.
	problems []setter.Problem
}

// site is one place that names one image: a whole reference, or a repository,
// a tag and a digest that belong together.
type site struct {
	// Object tells the document from the others of the file.
	File, Object, Parent string
	Fields               []setter.Field
	// Name is the repository as it stands there, "" if it does not.
	Name string
	// Value is what it names. It is zero where it is of another repository.
	Value rollback.Value
	// Foreign: it names another repository.
	Foreign bool
}

// read finds what the automation may write.
func (a *Automation) read(ctx context.Context, commit *git.Commit) (*tree, error) {
	marked, problems, err := a.Index.Fields(ctx, commit, a.Dir)
	if errors.Is(err, git.ErrPath) {
		return nil, fmt.Errorf("spec.update.path: %w", err)
	}
	if err != nil {
		return nil, err
	}
	t := &tree{sites: map[string][]*site{}, problems: problems}
	for _, img := range a.Images {
		fields := img.marked(marked)
		for i := range img.Targets {
			field, err := a.locate(commit, img.Targets[i])
			if err != nil {
				return nil, err
			}
			if field.Part == imagev1.PartImage || field.Part == imagev1.PartName {
				field.Repository = field.Value
			}
			if !img.Repository.Same(field.Repository) {
				return nil, fmt.Errorf("%s:%d: %s names '%s', which is not the repository '%s' of image '%s'; a target has to name it before it is written",
					field.File, field.Line, img.Targets[i].Path, field.Repository, img.Text, img.Name)
			}
			fields = append(fields, field)
		}
		t.sites[img.Name] = img.group(fields)
	}
	return t, nil
}

// marked returns the fields whose marker names the image.
func (img *Image) marked(fields []setter.Field) []setter.Field {
	var own []setter.Field
	for _, field := range fields {
		if field.Ref == img.Ref {
			own = append(own, field)
		}
	}
	return own
}

// file is the path of a target's file in the repository.
func (a *Automation) file(t imagev1.Target) string { return path.Join(a.Dir, t.File) }

func (a *Automation) locate(commit *git.Commit, t imagev1.Target) (setter.Field, error) {
	file := a.file(t)
	content, err := content(commit, file)
	if err != nil {
		return setter.Field{}, fmt.Errorf("target of image '%s': %w", t.Image, err)
	}
	t.File = file
	field, err := setter.Locate(content, t)
	if err != nil {
		return setter.Field{}, fmt.Errorf("target of image '%s': %w", t.Image, err)
	}
	return field, nil
}

// content reads a file of a commit. A symlink is no file.
func content(commit *git.Commit, file string) ([]byte, error) {
	data, err := setter.Read(commit, file)
	if errors.Is(err, git.ErrPath) {
		return nil, fmt.Errorf("%s does not exist in the repository", file)
	}
	return data, err
}

// group puts the fields of one image that belong together into sites. A
// document with one tag is one site, whatever the fields' places in it; one
// with several has a site for each map that holds a part.
func (img *Image) group(fields []setter.Field) []*site {
	document := func(field setter.Field) string {
		if field.Twin == 0 {
			return field.Object
		}
		return fmt.Sprintf("%s #%d", field.Object, field.Twin)
	}
	tags := map[[2]string]int{}
	for _, field := range fields {
		if field.Part == imagev1.PartTag {
			tags[[2]string{field.File, document(field)}]++
		}
	}
	var sites []*site
	known := map[[3]string]*site{}
	for _, field := range fields {
		key := [3]string{field.File, document(field), ""}
		switch {
		case field.Part == imagev1.PartImage || field.Part == "":
			key[2] = field.Path
		case tags[[2]string{field.File, document(field)}] > 1:
			key[2] = parent(field.Path) + "."
		default:
			key[2] = "."
		}
		s := known[key]
		if s == nil {
			s = &site{File: field.File, Object: key[1], Parent: key[2]}
			known[key] = s
			sites = append(sites, s)
		}
		s.Fields = append(s.Fields, field)
	}
	for _, s := range sites {
		img.interpret(s)
	}
	return sites
}

// parent is the path of what holds the field of a path.
func parent(field string) string {
	if strings.HasSuffix(field, "\"]") {
		above, _, _ := strings.CutLast(field, "[\"")
		return above
	}
	return field[:max(0, strings.LastIndexAny(field, ".["))]
}

// interpret says what a site names.
func (img *Image) interpret(s *site) {
	for _, field := range s.Fields {
		switch field.Part {
		case imagev1.PartName:
			s.Name = field.Value
		case imagev1.PartTag:
			s.Value.Tag, s.Value.Digest = cutDigest(field.Value, s.Value.Digest)
		case imagev1.PartDigest:
			s.Value.Digest = field.Value
		default:
			repository, tag, digest, err := oci.SplitReference(field.Value)
			if err == nil {
				s.Name, s.Value = repository, rollback.Value{Tag: tag, Digest: digest}
			} else {
				s.Name, s.Foreign = field.Value, true
			}
		}
		if s.Name == "" {
			s.Name = field.Repository
		}
	}
	if s.Name != "" && !img.Repository.Same(s.Name) {
		s.Foreign = true
	}
	if s.Foreign {
		s.Value = rollback.Value{}
	}
	if !oci.ValidDigest(s.Value.Digest) {
		// A placeholder stands for nothing.
		s.Value.Digest = ""
	}
}

// cutDigest splits what a tag field holds; kept is the digest of another
// field.
func cutDigest(value, kept string) (tag, digest string) {
	tag, digest, found := strings.Cut(value, "@")
	if !found || kept != "" {
		digest = kept
	}
	return tag, digest
}

// checkPins refuses images whose digest has to be written where some place
// cannot hold it.
func (t *tree) checkPins(images []*Image) error {
	for _, img := range images {
		for _, s := range t.sites[img.Name] {
			digest, whole := s.part(imagev1.PartDigest), s.part(imagev1.PartImage)
			first := s.Fields[0]
			switch {
			case img.Pinned && digest == nil && whole == nil:
				return refuse(imagev1.DigestRequiredReason,
					"%s:%d: image '%s' is judged by its digest, and %s holds no digest; mark the whole reference, or mark a field of the same object with \"%s:digest\" too",
					first.File, first.Line, img.Name, shown(first), img.Ref)
			case digest != nil && img.Fixed == nil && img.Reflection == imagev1.ReflectNever:
				return refuse(imagev1.DigestRequiredReason,
					"%s:%d: %s holds the digest of image '%s', whose digestReflectionPolicy is Never; it would become that of another tag",
					digest.File, digest.Line, shown(*digest), img.Name)
			}
		}
	}
	return nil
}

func shown(field setter.Field) string {
	if field.Path == "" {
		return "the field"
	}
	return field.Path
}

// part returns the first field of the site for a part, or nil.
func (s *site) part(part imagev1.Part) *setter.Field {
	for i := range s.Fields {
		if s.Fields[i].Part == part {
			return &s.Fields[i]
		}
	}
	return nil
}
