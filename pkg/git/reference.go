// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// DefaultBranch is what an empty Reference means.
const DefaultBranch = "master"

const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
	peeledSuffix = "^{}"
)

// Reference says which commit of a repository is wanted. The first field set,
// in this order, decides; the later ones add at most a name to the revision.
type Reference struct {
	// Commit is a full SHA-1.
	Commit string
	// Name is a full reference such as "refs/pull/7/head".
	Name string
	// SemVer is a range; the highest tag in it wins.
	SemVer string
	// Tag is the short name of a tag.
	Tag string
	// Branch is the short name of a branch.
	Branch string
}

// FromSpec returns what the reference of a GitRepository asks for. Nil asks for
// the default branch.
func FromSpec(ref *sourcev1.GitRepositoryRef) Reference {
	if ref == nil {
		return Reference{}
	}
	return Reference{Commit: ref.Commit, Name: ref.Name, SemVer: ref.SemVer, Tag: ref.Tag, Branch: ref.Branch}
}

// Target is the commit that a Reference stands for at the moment.
type Target struct {
	// Hash of the commit.
	Hash string
	// Revision names reference and commit in the notation of artifacts,
	// such as "main@sha1:…".
	Revision string

	// pinned: Hash comes from the spec and not from the server.
	pinned bool
	// branch is the tip of the branch that is to hold a pinned commit.
	branch string
}

// target builds the Target of a hash that was found as the full reference ref.
func (r Reference) target(ref, hash string) Target {
	shown := ref
	if r.Name == "" {
		// The first two parts of a full reference say only what it is.
		if parts := strings.SplitN(ref, "/", 3); len(parts) == 3 {
			shown = parts[2]
		} else {
			shown = ""
		}
	}
	t := Target{Hash: hash, Revision: "sha1:" + hash}
	if shown != "" {
		t.Revision = shown + "@" + t.Revision
	}
	return t
}

// full returns the full name of the one reference that r names, and "" for a
// commit alone and for a range.
func (r Reference) full() string {
	switch {
	case r.Name != "":
		return r.Name
	case r.Commit != "" && r.Branch == "", r.SemVer != "" && r.Commit == "":
		return ""
	case r.Commit != "":
		return branchPrefix + r.Branch
	case r.Tag != "":
		return tagPrefix + r.Tag
	case r.Branch != "":
		return branchPrefix + r.Branch
	}
	return branchPrefix + DefaultBranch
}

// prefixes returns what to ask a server for. HEAD is among it to tell an empty
// repository from one without the wanted reference.
func (r Reference) prefixes() []string {
	if r.SemVer != "" && r.Commit == "" && r.Name == "" {
		return []string{"HEAD", tagPrefix}
	}
	if name := r.full(); name != "" {
		return []string{"HEAD", strings.TrimSuffix(name, peeledSuffix)}
	}
	return []string{"HEAD"}
}

// pick chooses from what the server listed. More than one Target comes back
// only for a range, where versions differ in nothing but their build metadata.
func (r Reference) pick(refs []ref) ([]Target, error) {
	name := r.full()
	switch {
	case r.Commit != "":
		return r.pickCommit(name, refs)
	case r.Name == "" && r.SemVer != "":
		return r.pickVersions(refs)
	case strings.HasPrefix(name, "/"), strings.HasSuffix(name, "/"):
		return nil, failf(ErrReference, "'%s' is not a valid reference: it begins or ends with a slash", name)
	}
	bare := strings.TrimSuffix(name, peeledSuffix)
	for _, found := range refs {
		if found.name == bare {
			return []Target{r.target(name, found.commit())}, nil
		}
	}
	return nil, notFound(bare, refs)
}

func (r Reference) pickCommit(name string, refs []ref) ([]Target, error) {
	hash := strings.ToLower(r.Commit)
	if !validHash(hash) {
		return nil, failf(ErrReference, "'%s' is not a full commit hash of 40 hexadecimal digits", r.Commit)
	}
	t := r.target(name, hash)
	t.pinned = true
	if r.Branch == "" || r.Name != "" {
		return []Target{t}, nil
	}
	for _, found := range refs {
		if found.name == name {
			t.branch = found.hash
			return []Target{t}, nil
		}
	}
	return nil, notFound(name, refs)
}

// notFound says that a reference is missing and which branch is the default
// one, as that is what people mean most often.
func notFound(name string, refs []ref) error {
	for _, found := range refs {
		if found.name == "HEAD" && strings.HasPrefix(found.symref, branchPrefix) {
			return failf(ErrReference, "couldn't find remote ref '%s'; the default branch of the repository is '%s'",
				name, strings.TrimPrefix(found.symref, branchPrefix))
		}
	}
	return failf(ErrReference, "couldn't find remote ref '%s'", name)
}

// pickVersions returns the highest version in the range, with its equals.
func (r Reference) pickVersions(refs []ref) ([]Target, error) {
	constraint, err := semver.NewConstraint(r.SemVer)
	if err != nil {
		return nil, failf(ErrReference, "'%s' is not a valid semver range", r.SemVer)
	}
	type candidate struct {
		version *semver.Version
		ref     ref
	}
	var matches []candidate
	for _, found := range refs {
		tag, isTag := strings.CutPrefix(found.name, tagPrefix)
		if !isTag {
			continue
		}
		if version := parseVersion(tag); version != nil && constraint.Check(version) {
			matches = append(matches, candidate{version, found})
		}
	}
	if len(matches) == 0 {
		return nil, failf(ErrReference, "no tag matches the semver range '%s'", r.SemVer)
	}
	slices.SortStableFunc(matches, func(a, b candidate) int {
		return cmp.Or(b.version.Compare(a.version), cmp.Compare(a.ref.name, b.ref.name))
	})
	var targets []Target
	for _, match := range matches {
		if !match.version.Equal(matches[0].version) {
			break
		}
		targets = append(targets, r.target(match.ref.name, match.ref.commit()))
	}
	return targets, nil
}

// parseVersion reads a tag as a version with all three numbers and an optional
// "v", or returns nil.
func parseVersion(tag string) *semver.Version {
	if strings.Count(tag, ".") < 2 {
		return nil
	}
	version, err := semver.NewVersion(tag)
	if err != nil {
		return nil
	}
	return version
}

// lookup asks the remote what the reference stands for.
func (r *Remote) lookup(ctx context.Context, reference Reference) ([]Target, error) {
	refs, err := r.list(ctx, reference.prefixes()...)
	if err != nil {
		return nil, r.wrap("unable to list remote for", err)
	}
	if len(refs) == 0 {
		// Not even HEAD: it may point to a branch that does not exist.
		if refs, err = r.list(ctx, branchPrefix, tagPrefix); err != nil {
			return nil, r.wrap("unable to list remote for", err)
		}
		if len(refs) == 0 {
			return nil, &classed{class: ErrEmpty, text: ErrEmpty.Error()}
		}
	}
	targets, err := reference.pick(refs)
	if err != nil {
		return nil, r.wrap("unable to resolve a revision of", err)
	}
	return targets, nil
}
