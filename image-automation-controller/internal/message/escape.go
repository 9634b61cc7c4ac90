// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxValue bounds the value of a trailer, in bytes.
const MaxValue = 200

// elision stands for what is left out of the middle of a long value.
const elision = "..."

// Line returns a value as one line of at most MaxValue bytes: what is not printable, line breaks and marks of direction
// among it, is escaped as in Go; of a longer one the middle is left out. Applied twice it does what it does once.
func Line(value string) string { return oneLine(value, MaxValue) }

func oneLine(value string, limit int) string {
	value = strings.TrimSpace(value)
	if len(value) <= limit && !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return value
	}
	// More than the limit at both ends need not be looked at.
	if len(value) > 2*limit {
		value = value[:limit] + value[len(value)-limit:]
		return shorten(pieces(value), limit, true)
	}
	return shorten(pieces(value), limit, false)
}

// pieces splits a text into what must not be divided: characters and escapes.
func pieces(value string) []string {
	all := make([]string, 0, len(value))
	for i := 0; i < len(value); {
		r, width := utf8.DecodeRuneInString(value[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			all = append(all, fmt.Sprintf(`\x%02x`, value[i]))
		case r == utf8.RuneError || unicode.IsPrint(r):
			all = append(all, value[i:i+width])
		default:
			all = append(all, escape(r))
		}
		i += width
	}
	return all
}

// escape writes a character as in Go.
func escape(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// shorten joins pieces and leaves out the middle where they are too long, or where something is missing there already:
// references differ at their ends.
func shorten(all []string, limit int, missing bool) string {
	total := 0
	for _, piece := range all {
		total += len(piece)
	}
	if total <= limit && !missing {
		return strings.TrimSpace(strings.Join(all, ""))
	}
	room := limit - len(elision)
	head, start := 0, 0
	for start < len(all) && head+len(all[start]) <= room*3/5 {
		head += len(all[start])
		start++
	}
	tail, end := 0, len(all)
	for end > start && head+tail+len(all[end-1]) <= room {
		end--
		tail += len(all[end])
	}
	return strings.TrimSpace(strings.Join(all[:start], "") + elision + strings.Join(all[end:], ""))
}

// printableText returns a text of lines that holds nothing but printable characters, spaces, newlines and tabs.
func printableText(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	const joiner = '\u200d' // In emoji.
	var b strings.Builder
	for i, r := range text {
		_, width := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n' || r == '\t' || r == joiner || unicode.IsPrint(r) || unicode.Is(unicode.Zs, r):
			b.WriteRune(r)
		default:
			b.WriteString(escape(r))
		}
	}
	return b.String()
}
