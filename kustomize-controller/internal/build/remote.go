// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/weir-gitops/weir/pkg/redact"
)

// loginPrefix is the user of an address in the form that scp takes, user@host:path.
var loginPrefix = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]*@`)

// isURL tells whether kustomize would fetch entry over HTTP wherever it expects the name of a file.
func isURL(entry string) bool {
	u, err := url.Parse(entry)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}

// isRepository tells whether kustomize may take entry for a Git repository where it expects a directory. It is wider than
// kustomize's own rule, which also wants a host and a path.
func isRepository(entry string) bool {
	entry = trimPrefixFold(entry, "git::")
	for _, scheme := range []string{"ssh://", "https://", "http://", "file://"} {
		if hasPrefixFold(entry, scheme) {
			return true
		}
	}
	if loginPrefix.MatchString(entry) {
		return true
	}
	return hasPrefixFold(entry, "github.com/") || hasPrefixFold(entry, "github.com:")
}

// isMachinePath tells whether entry names a file or a repository on this machine. No artifact has business there.
func isMachinePath(entry string) bool {
	return strings.HasPrefix(entry, "/") || hasPrefixFold(trimPrefixFold(entry, "git::"), "file://")
}

// display returns an address that may be shown to people.
func display(entry string) string {
	// An address in scp's form is no URL, and so keeps what looks like a user name.
	entry, _, _ = strings.Cut(redact.String(entry), "?")
	return entry
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func trimPrefixFold(s, prefix string) string {
	if hasPrefixFold(s, prefix) {
		return s[len(prefix):]
	}
	return s
}
