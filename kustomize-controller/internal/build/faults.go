// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"

	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
	"github.com/weir-gitops/weir/pkg/redact"
)

// PathError is what a build fails with when there is nothing to build at spec.path.
type PathError struct {
	// Path is what was looked for, relative to the root of the source.
	Path string
	// Cause is why it cannot be built.
	Cause error
	// Near are directories that could have been meant: those with a kustomization file next to where the path ends.
	Near []string
}

// Error implements error.
func (e *PathError) Error() string {
	text := fmt.Sprintf("spec.path %s: %v", e.Path, e.Cause)
	if len(e.Near) > 0 {
		text += "; near it there are " + joinSome(e.Near)
	}
	return text
}

// Unwrap returns the cause.
func (e *PathError) Unwrap() error { return e.Cause }

// maxFault is how much of an error of kustomize is kept, in bytes.
const maxFault = 1024

// rewrite is a change to an error of kustomize.
type rewrite struct {
	from *regexp.Regexp
	to   string
}

// rewrites take out of kustomize's errors what they quote of objects, patches and the values of Secrets.
var rewrites = []rewrite{
	{regexp.MustCompile("(?s) with config: `.*`: "), ": "},
	{regexp.MustCompile(`\[patch: "(?:[^"\\]|\\.)*"\]`), "the inline patch"},
	{regexp.MustCompile(`fatal: \d{4}/\d\d/\d\d \d\d:\d\d:\d\d `), "fatal: "},
	{regexp.MustCompile(`(?s)literal sources .*`), "a literal is not key=value"},
	{regexp.MustCompile(`(?s)has invalid utf8 bytes.*`), "is not valid UTF-8"},
	{regexp.MustCompile(`"(?:[^"\\]|\\.)*" is not a valid`), "a key is not a valid"},
	{regexp.MustCompile(`(?s)(is out of bounds) for value .*`), "$1"},
	{regexp.MustCompile(`(?s)\s*\*\*\*\* Too many possible.*`), ""},
	{regexp.MustCompile(`(?s)(cannot be found in) (\S+:\s|apiVersion).*`), "$1 it"},
	{regexp.MustCompile(`(?s)(in object|following resource|nodes unequal):?\s.*`), "$1"},
	{regexp.MustCompile(`(?s)(must specify a target for patch|decoding|set at the same time|patch and path in)\s.*`), "$1"},
	{regexp.MustCompile(`(?s)(^|\s)[[{]*"?apiVersion"?:.*`), ""},
}

// registered finds the object that kustomize has come across a second time, as kind.version.group/name.namespace.
var registered = regexp.MustCompile(`already registered id: (\S+)`)

// conflict is what kustomize says when objects become one by a change of the namespace.
const conflict = "namespace transformation produces ID conflict"

// spaces are runs of white space, which a condition shows as one space.
var spaces = regexp.MustCompile(`\s+`)

// readable turns an error of kustomize into one for people: without paths of this machine, without the contents of
// objects, without credentials, on one line and not too long. files tells which objects are in more than one file.
func readable(err error, files map[identity][]string) error {
	text := err.Error()
	if match := registered.FindStringSubmatch(text); match != nil {
		return errors.New(twice(match[1], files))
	}
	if strings.Contains(text, conflict) {
		return errors.New("two objects become one when they are put into the same namespace" + suspects(files))
	}
	for _, r := range rewrites {
		text = r.from.ReplaceAllString(text, r.to)
	}
	text = strings.ReplaceAll(text, overlay.Base+"/", "")
	text = strings.ReplaceAll(text, overlay.Base, "the root of the source")
	text = cloneDirs().ReplaceAllString(text, "the remote base")
	text = noTarget.ReplaceAllString(text, "there is no $1 to patch")
	text = resourceID.ReplaceAllStringFunc(text, shortID)
	text = spaces.ReplaceAllString(redact.String(text), " ")
	text = strings.TrimRight(text, ":;,[({ ")
	if len(text) > maxFault {
		text = strings.ToValidUTF8(text[:maxFault], "") + "…"
	}
	return errors.New(text)
}

// noTarget is what kustomize says when the object that a patch names does not exist.
var noTarget = regexp.MustCompile(`no resource matches strategic merge patch "([^"]*)": no matches for Id \S+; ` +
	`failed to find unique target for patch \S+`)

// resourceID finds objects in kustomize's notation, kind.version.group/name.namespace.
var resourceID = regexp.MustCompile(`\b[A-Z]\w*\.[^./\s"]+\.(?:\[noGrp\]|[\w.-]+)/[^\s"]+\.(?:\[noNs\]|[\w-]+)`)

// shortID turns kustomize's notation of an object into kind and name, with the namespace if there is one.
func shortID(id string) string {
	gvk, place, _ := strings.Cut(id, "/")
	kind, _, _ := strings.Cut(gvk, ".")
	at := strings.LastIndexByte(place, '.')
	name, namespace := place[:at], place[at+1:]
	if namespace == "[noNs]" {
		namespace = ""
	}
	return identity{kind: kind, namespace: namespace, name: name}.String()
}

// patchPath finds the field that a JSON patch has failed at.
var patchPath = regexp.MustCompile(`path: '([^']+)'`)

// blame says which patch of k an error of kustomize may be about, since kustomize does not. The first ones are those of
// the file, the others those of the spec.
func blame(fault error, patches []types.Patch, ofFile int) error {
	match := patchPath.FindStringSubmatch(fault.Error())
	if match == nil {
		return fault
	}
	found := ""
	for i, patch := range patches {
		if !strings.Contains(patch.Patch, match[1]) {
			continue
		}
		if found != "" {
			return fault
		}
		found = fmt.Sprintf("patches[%d] of the kustomization file", i)
		if i >= ofFile {
			found = fmt.Sprintf("spec.patches[%d]", i-ofFile)
		}
		if patch.Target != nil && patch.Target.Kind != "" {
			found += " for " + patch.Target.Kind
		}
	}
	if found == "" {
		return fault
	}
	return fmt.Errorf("%s: %w", found, fault)
}

// cloneDirs finds the directories for clones of remote bases, whose names are random.
func cloneDirs() *regexp.Regexp {
	return regexp.MustCompile(regexp.QuoteMeta(filepath.Clean(os.TempDir())) + `/kustomize-\d+`)
}

// twice says that an object is defined twice, and where.
func twice(id string, files map[identity][]string) string {
	gvk, place, _ := strings.Cut(id, "/")
	kind, rest, _ := strings.Cut(gvk, ".")
	_, group, _ := strings.Cut(rest, ".")
	if group == "[noGrp]" {
		group = ""
	}
	for key, in := range files {
		// The name may hold dots, so that it cannot be told from the namespace behind it.
		if key.kind == kind && key.group == group && strings.HasPrefix(place, key.name+".") {
			return fmt.Sprintf("%s %s is defined twice, in %s", kind, key.name, strings.Join(in, " and "))
		}
	}
	return fmt.Sprintf("%s %s is defined twice", kind, strings.TrimSuffix(place, ".[noNs]"))
}

// suspects names the objects that are in more than one file.
func suspects(files map[identity][]string) string {
	var names []string
	for key, in := range files {
		if len(in) > 1 {
			names = append(names, fmt.Sprintf("%s %s in %s", key.kind, key.name, strings.Join(in, " and ")))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + joinSome(names)
}

// maxListed is how many of several things a message names.
const maxListed = 5

// joinSome lists names in order, and after the first few says how many more there are.
func joinSome(names []string) string {
	names = slices.Sorted(slices.Values(names))
	if more := len(names) - maxListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// joinErrors makes one error of several, in their order.
func joinErrors(errs []error) error {
	if len(errs) <= 1 {
		return errors.Join(errs...)
	}
	texts := make([]string, 0, maxListed)
	for _, err := range errs[:min(len(errs), maxListed)] {
		texts = append(texts, err.Error())
	}
	text := strings.Join(texts, "; ")
	if more := len(errs) - maxListed; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return errors.New(text)
}
