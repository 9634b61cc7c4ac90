// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package redact takes credentials out of text before it reaches a condition,
// an event or a log. Users put tokens into URLs, and libraries put URLs into
// errors.
package redact

import (
	"regexp"
	"strings"
)

// urls finds anything that looks like a URL. It is wider than the grammar of
// URLs on purpose: an invalid one may hold a password just as well, and the
// error that calls it invalid quotes it.
var urls = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s]+`)

// headers finds the value of an Authorization header that a client quotes.
var headers = regexp.MustCompile(`(?i)(authorization["']?\s*[:=]\s*["'\[]*(?:(?:basic|bearer|token)\s+)?)[^\s"'\]]+`)

// String returns s without the user information, the query and the fragment
// of the URLs in it, and without the values of Authorization headers.
func String(s string) string {
	s = urls.ReplaceAllStringFunc(s, stripURL)
	return headers.ReplaceAllString(s, "${1}[redacted]")
}

// Error returns the text of err as String leaves it, and "" for nil.
func Error(err error) string {
	if err == nil {
		return ""
	}
	return String(err.Error())
}

// stripURL takes one match of urls, which may end in the punctuation of the
// sentence around it, and keeps scheme, host and path.
func stripURL(raw string) string {
	scheme, rest, _ := strings.Cut(raw, "://")
	rest = stripUserinfo(rest)

	end := ""
	if cut := strings.IndexAny(rest, "?#"); cut >= 0 {
		rest, end = rest[:cut], trailing(rest[cut:])
	}
	// A proxy's URL may hold another one in its path.
	return scheme + "://" + urls.ReplaceAllStringFunc(rest, stripURL) + end
}

// stripUserinfo removes what stands before the "@" of the authority. Where the
// authority is not valid, as with a slash in a password, it removes up to the
// last "@" of all, because nobody can tell where the password ends.
func stripUserinfo(rest string) string {
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		return rest[at+1:]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 && !plausibleHost(authority) {
		return rest[at+1:]
	}
	return rest
}

// plausibleHost reports whether authority may be a host with an optional
// numeric port, which a user name with a password never is by accident unless
// the password is a number.
func plausibleHost(authority string) bool {
	if strings.HasPrefix(authority, "[") {
		return true
	}
	host, port, found := strings.Cut(authority, ":")
	if !found {
		return host != ""
	}
	if port == "" || len(port) > 5 {
		return false
	}
	return strings.Trim(port, "0123456789") == ""
}

// trailing returns the punctuation at the end of a match that belongs to the
// sentence and not to the URL, so that quotes stay balanced.
func trailing(s string) string {
	return s[len(strings.TrimRight(s, `"'.,:;)]}>`)):]
}
