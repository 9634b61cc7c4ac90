// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package oci reads OCI registries: which tags a repository has, what a
// tag stands for, and what manifests and configs say.
//
// It never writes to a registry. Everything that is read by digest is checked
// against the digest, every answer is bounded in size, and how often a registry
// is asked is limited for each host and credential.
package oci

import (
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// maxReference is the longest text that is taken for a reference.
const maxReference = 1024

var (
	tagPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	hostPattern   = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	pathPattern   = regexp.MustCompile(`^[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*$`)
)

// Repository is the name of a repository in a registry. Two of them are the
// same repository if they are equal. The zero value names none.
type Repository struct{ host, path string }

// ParseRepository reads the name of a repository without scheme, tag and
// digest, such as alpine or ghcr.io/team/model. Its error wraps ErrImage and
// reads well after the path of a field: "value should not …".
func ParseRepository(image string) (Repository, error) {
	if scheme, _, found := strings.Cut(image, "://"); found {
		return Repository{}, failf(ErrImage, "value should not start with URL scheme; remove '%.64s://'", scheme)
	}
	repo, tag, digest, err := SplitReference(image)
	switch {
	case err != nil:
		return Repository{}, err
	case tag != "":
		return Repository{}, failf(ErrImage, "value should not contain a tag; remove ':%s'", tag)
	case digest != "":
		return Repository{}, failf(ErrImage, "value should not contain a digest; remove '@%s'", digest)
	}
	return parse(repo)
}

// parse reads the name of a repository that holds no tag.
func parse(repo string) (Repository, error) {
	parsed, err := name.NewRepository(repo)
	// What follows becomes a part of URLs: it must not lead elsewhere.
	if err != nil || !hostPattern.MatchString(parsed.RegistryStr()) || !pathPattern.MatchString(parsed.RepositoryStr()) {
		return Repository{}, failf(ErrImage, "value is not the name of a repository: %q", shorten(repo))
	}
	return Repository{host: parsed.RegistryStr(), path: parsed.RepositoryStr()}, nil
}

// String returns the whole name, such as index.docker.io/library/alpine.
func (r Repository) String() string { return r.host + "/" + r.path }

// Host returns the registry, with the port if one was given.
func (r Repository) Host() string { return r.host }

// Same says whether reference, with or without tag, digest and the prefixes
// oci:// and docker://, names this repository.
func (r Repository) Same(reference string) bool {
	repo, _, _, err := SplitReference(reference)
	if err != nil {
		return false
	}
	other, err := parse(repo)
	return err == nil && other == r
}

// SplitReference takes what a file holds apart: [oci://|docker://]repository
// [:tag][@digest]. The repository is returned as it was written, without the
// prefix. Its error wraps ErrImage.
func SplitReference(s string) (repo, tag, digest string, err error) {
	if len(s) > maxReference {
		return "", "", "", failf(ErrImage, "value is longer than %d bytes", maxReference)
	}
	repo = s
	for _, prefix := range [...]string{"oci://", "docker://"} {
		if rest, found := strings.CutPrefix(s, prefix); found {
			repo = rest
			break
		}
	}
	if before, after, found := strings.Cut(repo, "@"); found {
		if repo, digest = before, after; !digestPattern.MatchString(digest) {
			return "", "", "", failf(ErrImage, "value holds a digest that is not sha256 and 64 hexadecimal digits: %q", shorten(digest))
		}
	}
	if colon := strings.LastIndexByte(repo, ':'); colon > strings.LastIndexByte(repo, '/') {
		if repo, tag = repo[:colon], repo[colon+1:]; !tagPattern.MatchString(tag) {
			return "", "", "", failf(ErrImage, "value holds a tag that no registry can have: %q", shorten(tag))
		}
	}
	if _, err := parse(repo); err != nil {
		return "", "", "", err
	}
	return repo, tag, digest, nil
}

// ValidTag says whether a registry can have such a tag.
func ValidTag(tag string) bool { return tagPattern.MatchString(tag) }

// ValidDigest says whether this is a digest that can be read and checked.
func ValidDigest(digest string) bool { return digestPattern.MatchString(digest) }

// shorten keeps a text that somebody else wrote from filling a message.
func shorten(s string) string {
	const limit = 100
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
