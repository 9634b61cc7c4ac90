// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"regexp"
	"strings"
)

// Trailer is one line at the end of a message that programs read.
type Trailer struct{ Key, Value string }

// trailerLine is how Git recognizes a trailer.
var trailerLine = regexp.MustCompile(`^([A-Za-z0-9-]+)[ \t]*:(.*)$`)

// cut is the line behind which Git takes nothing for the message.
const cut = "------------------------ >8 ------------------------"

// Append puts trailers behind a message, as its last paragraph and with nothing else in it. Each value goes through Line,
// so that it can neither be two trailers nor end the paragraph. Lines of the message that would hide the trailers from
// Git, because it takes what follows for a patch, are indented by a space. An empty message becomes Default, because the
// first paragraph cannot be one of trailers.
func Append(message string, trailers []Trailer) string {
	body := strings.TrimSpace(printableText(message))
	if body == "" {
		body = Default
	}
	if len(trailers) == 0 {
		return body + "\n"
	}
	var b strings.Builder
	for line := range strings.SplitSeq(body, "\n") {
		if divides(line) {
			b.WriteByte(' ')
		}
		b.WriteString(line + "\n")
	}
	b.WriteByte('\n')
	for _, t := range trailers {
		b.WriteString(key(t.Key) + ": " + Line(t.Value) + "\n")
	}
	return b.String()
}

// divides tells whether Git ends a message at the line.
func divides(line string) bool {
	rest, found := strings.CutPrefix(line, "---")
	return found && (rest == "" || rest[0] == ' ' || rest[0] == '\t') || strings.Contains(line, cut)
}

// key replaces what cannot stand in a key.
func key(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, text)
	if text == "" {
		return "-"
	}
	return text
}

// ParseTrailers returns the trailers of a message, as git interpret-trailers --parse --no-divider does: those of the last
// paragraph, if it is not the first one and holds nothing else. Beside lines that Git itself writes, a quarter of the
// lines may be something else.
func ParseTrailers(message string) []Trailer {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(message, "\r\n", "\n"), " \t\n"), "\n")
	start := len(lines)
	for start > 0 && strings.TrimSpace(lines[start-1]) != "" {
		start--
	}
	if start == 0 {
		return nil
	}
	var p paragraph
	for _, line := range lines[start:] {
		p.add(line)
	}
	if p.found == 0 || p.others > 0 && (!p.generated || 3*p.found < p.others) {
		return nil
	}
	return p.trailers
}

// paragraph is the last one of a message, as far as it was read.
type paragraph struct {
	trailers  []Trailer
	found     int
	others    int
	generated bool
	// open tells that an indented line continues the last trailer; ignored, that it continues something else.
	open, ignored bool
}

func (p *paragraph) add(line string) {
	if strings.HasPrefix(line, "#") {
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		switch {
		case p.open:
			last := &p.trailers[len(p.trailers)-1]
			last.Value = strings.TrimSpace(last.Value + " " + strings.TrimSpace(line))
		case !p.ignored:
			p.others++
		}
		return
	}
	cherry := strings.HasPrefix(line, "(cherry picked from commit ")
	match := trailerLine.FindStringSubmatch(line)
	p.generated = p.generated || cherry || strings.HasPrefix(line, "Signed-off-by: ")
	p.open, p.ignored = match != nil, cherry
	switch {
	case match != nil:
		p.found++
		p.trailers = append(p.trailers, Trailer{match[1], strings.TrimSpace(match[2])})
	case cherry:
		p.found++
	default:
		p.others++
	}
}
