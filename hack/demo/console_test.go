// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	show := func(c *console) {
		c.begin("Do it")
		c.done(1234*time.Millisecond, outcome{line: "Did it", details: []string{"and how"}, table: "A  B\n1  2\n"})
		c.begin("Do more")
		c.failed(90*time.Second, "Do more", errors.New("this\nand that"))
	}
	for name, tc := range map[string]struct {
		console console
		want    string
	}{
		"file": {console{}, "" +
			"  ✔      1.2 s   Did it\n" +
			"                 and how\n" +
			"                 A  B\n" +
			"                 1  2\n" +
			"  ✗     90.0 s   Do more\n" +
			"                 this\n" +
			"                 and that\n"},
		"terminal without colours": {console{terminal: true}, "" +
			"  …              Do it" + erase +
			"  ✔      1.2 s   Did it\n" +
			"                 and how\n" +
			"                 A  B\n" +
			"                 1  2\n" +
			"  …              Do more" + erase +
			"  ✗     90.0 s   Do more\n" +
			"                 this\n" +
			"                 and that\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			tc.console.w = &b
			show(&tc.console)
			if diff := cmp.Diff(tc.want, b.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		line string
		want []string
	}{
		"empty":               {"", []string{""}},
		"fits":                {"ab cd", []string{"ab cd"}},
		"breaks at the space": {"ab cdef", []string{"ab", "cdef"}},
		"several":             {"ab cd ef gh", []string{"ab cd", "ef gh"}},
		"letters, not bytes":  {"äö üé x", []string{"äö üé", "x"}},
		"a long word":         {"abcdefgh", []string{"abcdefgh"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, wrap(tc.line, 5)); diff != "" {
				t.Errorf("wrap (-want +got):\n%s", diff)
			}
		})
	}
}
