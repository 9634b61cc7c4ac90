// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// Escape sequences of terminals.
const (
	green = "\x1b[32m"
	red   = "\x1b[31m"
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	plain = "\x1b[0m"
	erase = "\r\x1b[K"
)

const (
	// indent puts text below the text of a step.
	indent = "                 "
	// width is where prose is wrapped.
	width = 120
)

// A console is what a person looks at. On a terminal it shows the step that is
// under way, and colours unless NO_COLOR is set; elsewhere it prints lines.
type console struct {
	w        io.Writer
	terminal bool
	colours  bool
}

func newConsole(f *os.File) *console {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return &console{w: f, terminal: terminal, colours: terminal && os.Getenv("NO_COLOR") == ""}
}

func (c *console) paint(colour, text string) string {
	if !c.colours {
		return text
	}
	return colour + text + plain
}

// heading begins a part.
func (c *console) heading(text string) {
	fmt.Fprintf(c.w, "\n%s\n\n", c.paint(bold, text))
}

// begin shows what is under way, until done or failed.
func (c *console) begin(title string) {
	if c.terminal {
		fmt.Fprint(c.w, c.paint(dim, "  …              "+title))
	}
}

// done says what was seen, and how long that took.
func (c *console) done(took time.Duration, seen outcome) {
	c.line(c.paint(green, "✔"), took, seen.line)
	for _, detail := range seen.details {
		c.detail(detail)
	}
	c.print(indent, dim, seen.table)
}

// failed says what was not seen.
func (c *console) failed(took time.Duration, title string, err error) {
	c.line(c.paint(red, "✗"), took, title)
	c.detail(err.Error())
}

func (c *console) line(mark string, took time.Duration, text string) {
	if c.terminal {
		fmt.Fprint(c.w, erase)
	}
	fmt.Fprintf(c.w, "  %s  %7.1f s   %s\n", mark, took.Seconds(), text)
}

// detail prints prose below a step.
func (c *console) detail(text string) {
	for line := range strings.Lines(text) {
		c.print(indent, dim, strings.Join(wrap(strings.TrimRight(line, "\n"), width-len(indent)), "\n"))
	}
}

// block prints text as it is: tables, and what is meant to be copied.
func (c *console) block(text string) {
	c.print("  ", plain, text)
}

func (c *console) print(indent, colour, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(c.w, indent+c.paint(colour, strings.TrimRight(line, "\n")))
	}
}

// wrap breaks a line at spaces so that no part is longer than limit, as far as
// its words let it.
func wrap(line string, limit int) []string {
	var parts []string
	for utf8.RuneCountInString(line) > limit {
		runes := []rune(line)
		at := strings.LastIndexByte(string(runes[:limit+1]), ' ')
		if at <= 0 {
			break
		}
		parts = append(parts, line[:at])
		line = line[at+1:]
	}
	return append(parts, line)
}

// note prints a paragraph that belongs to no step.
func (c *console) note(text string) {
	fmt.Fprintf(c.w, "\n%s\n", text)
}
