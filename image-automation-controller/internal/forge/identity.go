// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// maxTitle is how many bytes a title may have. GitLab takes 255
	// characters.
	maxTitle = 240
	// maxBody is how many bytes a body may have before the identity. GitHub
	// takes 65,536 characters.
	maxBody = 60_000
	// cutNote ends a body that was cut.
	cutNote = "\n\n…"
)

// identity finds the comments that hold an ID, however a person or a forge may
// have changed the white space around it.
var identity = regexp.MustCompile(`<!--\s*weir-pull-request:\s*(\S*?)\s*-->`)

// forged finds what a page or a later edit could turn into such a comment.
var forged = regexp.MustCompile(`(?i)<(!--\s*weir-pull-request)`)

// command finds lines that GitLab, or a bot at any forge, would obey: /merge
// among them.
var command = regexp.MustCompile(`(?m)^([ \t]*)/([A-Za-z])`)

// lineEnds are those that are not a line feed.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// inert returns Markdown that shows the same and commands nobody: bodies and
// comments quote commits and registries.
func inert(text string) string {
	return command.ReplaceAllString(lineEnds.Replace(text), `$1\/$2`)
}

// rendered returns r as it is sent: bounded, and with its ID in the body.
func (r Request) rendered() Request {
	r.Title = cut(strings.Join(strings.Fields(r.Title), " "), maxTitle, "…")
	// A quote must not claim an identity either.
	body := forged.ReplaceAllString(inert(r.Body), "&lt;$1")
	// A comment that the body leaves open would swallow ours.
	if strings.LastIndex(body, "<!--") > strings.LastIndex(body, "-->") {
		body = strings.ReplaceAll(body, "<!--", "&lt;!--")
	}
	body = strings.TrimSpace(cut(body, maxBody, cutNote))
	r.Body = strings.TrimSpace(body + "\n\n<!-- weir-pull-request: " + escapeID(r.ID) + " -->")
	return r
}

// hasID reports whether a body holds the identity.
func hasID(body, id string) bool {
	for _, match := range identity.FindAllStringSubmatch(body, -1) {
		if got, err := url.PathUnescape(match[1]); err == nil && got == id {
			return true
		}
	}
	return false
}

// escapeID writes an ID so that it has no white space and cannot end the
// comment around it.
func escapeID(id string) string {
	var out strings.Builder
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("./:_", c) >= 0,
			c == '-' && i > 0 && id[i-1] != '-':
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

// cut shortens s to at most limit bytes, the mark included, at the end of a
// character.
func cut(s string, limit int, mark string) string {
	if len(s) <= limit {
		return s
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
