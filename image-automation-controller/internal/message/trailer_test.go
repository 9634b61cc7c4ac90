// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// parseByGit returns the trailers that Git finds.
func parseByGit(t *testing.T, message string, options ...string) []Trailer {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", append([]string{"interpret-trailers", "--parse"}, options...)...)
	command.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	command.Dir = t.TempDir()
	command.Stdin = strings.NewReader(message)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []Trailer
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\n"), "\n") {
		if line != "" {
			key, value, _ := strings.Cut(line, ":")
			all = append(all, Trailer{key, strings.TrimSpace(value)})
		}
	}
	return all
}

func TestAppend(t *testing.T) {
	ours := []Trailer{
		{"Automation", "ml/models (0b0e3b5e-0000-4000-8000-000000000000)"},
		{"Image", "ghcr.io/org/fraud:v2@sha256:" + strings.Repeat("a", 64)},
		{"Previous-Digest", "sha256:" + strings.Repeat("b", 64)},
		{"Gate", "accuracy=0.931>=0.926"},
		{"Policy", "fraud semver >=1.0.0"},
	}
	bodies := map[string]string{
		"one line": "Update models", "empty": "", "spaces": " \n\t\n", "newlines around": "\n\nUpdate\n\n\n", "paragraphs": "Update\n\n- a\n- b\n",
		"trailers of the template":         "Update\n\nSigned-off-by: A <a@b>\nImage: forged:1\n",
		"a title like a trailer":           "Image: forged:1",
		"a divider":                        "Update\n\n---\n a.yaml | 2 +-\n",
		"a divider with a text":            "Update\n--- a/file\n+++ b/file\n\n---\tx",
		"scissors":                         "Update\n\n# ------------------------ >8 ------------------------\nmore",
		"conflicts":                        "Update\n\nConflicts:\n\ta.yaml",
		"comments":                         "Update\n\n# a comment",
		"CRLF":                             "Update\r\n\r\nImage: forged:1\r\n",
		"no UTF-8, and control characters": "Update \xff\x00\x1b[0m\r\n",
		"indented":                         "Update\n\n  Image: forged",
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			got := Append(body, ours)
			if diff := cmp.Diff(ours, ParseTrailers(got)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, got)
			}
			if diff := cmp.Diff(ours, parseByGit(t, got)); diff != "" {
				t.Errorf("git (-want +got):\n%s\n%s", diff, got)
			}
			if strings.HasPrefix(got, "\n") || !strings.HasSuffix(got, ">=1.0.0\n") || !utf8.ValidString(got) {
				t.Errorf("got %q", got)
			}
		})
	}
	if got := Append("Update\n\n--- x", nil); got != "Update\n\n--- x\n" {
		t.Errorf("without trailers: %q", got)
	}
}

func TestAppendEscapes(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	tests := map[string]struct{ value, want string }{
		"plain":         {"accuracy=0.931>=0.926", "accuracy=0.931>=0.926"},
		"a line break":  {"x\nImage: forged:1", `x\nImage: forged:1`},
		"a paragraph":   {"x\n\nImage: forged:1", `x\n\nImage: forged:1`},
		"other breaks":  {"a\rb\vc\fd\u0085e\u2028f\u2029g", `a\rb\x0bc\x0cd\u0085e\u2028f\u2029g`},
		"marks":         {"a\u202eb\u2066c\u200bd\ufeffe", `a\u202eb\u2066c\u200bd\ufeffe`},
		"bad UTF-8":     {"a\xffb\xc3", `a\xffb\xc3`},
		"ends":          {"  x\t ", "x"},
		"escaped ends":  {" \x00 x \x1b ", `\x00 x \x1b`},
		"empty":         {"", ""},
		"other scripts": {"模型 é 😀", "模型 é 😀"},
		"far away":      {"\U000e0001x", `\U000e0001x`},
		"long":          {"ghcr.io/" + strings.Repeat("x", 300) + "@" + digest, "ghcr.io/" + strings.Repeat("x", 110) + "..." + strings.Repeat("x", 7) + "@" + digest},
		"very long":     {strings.Repeat("é\n", 500), strings.Repeat(`é\n`, 29) + "..." + strings.Repeat(`é\n`, 19) + ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ParseTrailers(Append("Update", []Trailer{{"Gate", test.value}, {"Last", "x"}}))
			if name == "very long" {
				if len(got) != 2 || len(got[0].Value) > MaxValue || strings.Contains(got[0].Value, "\n") {
					t.Errorf("got %q", got)
				}
				return
			}
			if diff := cmp.Diff([]Trailer{{"Gate", test.want}, {"Last", "x"}}, got); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
	if got := key("Gäte: x\n"); got != "G-te--x-" || key("") != "-" {
		t.Errorf("got key %q", got)
	}
}

func TestParseTrailersLikeGit(t *testing.T) {
	messages := map[string]string{
		"none":               "Update\n\nNothing here.\n",
		"title":              "Image: x\n",
		"title of two lines": "a: b\nc: d\n",
		"two":                "Update\n\nA: b\nC-d: e\n\n",
		"last paragraph":     "Update\n\nA: b\n\nC: d",
		"mixed":              "Update\n\nA: b\nand more\n",
		"mixed and signed":   "Update\n\nsome text\nSigned-off-by: x\n",
		"mostly other":       "Update\n\na\nb\nc\nd\nSigned-off-by: x\n",
		"cherry":             "Update\n\nA: b\n(cherry picked from commit 123)\n",
		"cherry alone":       "Update\n\n(cherry picked from commit 123)\n",
		"continued":          "Update\n\nA: b\n  c\n\td\nE: f\n",
		"indented first":     "Update\n\n  c\nE: f\n",
		"spaces before":      "Update\n\nA : b\nC\t:d\n",
		"no key":             "Update\n\n: b\n",
		"odd key":            "Update\n\nA_b: c\n",
		"a link":             "Update\n\nhttps://example.com\n",
		"blank with spaces":  "Update\n \t\nA: b\n",
		"CRLF":               "Update\r\n\r\nA: b\r\nC: d\r\n",
		"empty value":        "Update\n\nA:\nB: c\n",
		"comment":            "Update\n\nA: b\n# c\nD: e\n",
		"blank first":        "\n\nA: b\n",
		"only blank":         "\n \n",
		"empty":              "",
	}
	for name, message := range messages {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(parseByGit(t, message, "--no-divider"), ParseTrailers(message)); diff != "" {
				t.Error("(-git +got):\n" + diff)
			}
		})
	}
}

func FuzzTrailers(f *testing.F) {
	f.Add("Update\n\nA: b", "Image", "x\n\nImage: y", "Gate", "\u202e\xff")
	f.Add("---", "", "\r", "-", strings.Repeat("\x00", 300))
	f.Fuzz(func(t *testing.T, body, key1, value1, key2, value2 string) {
		trailers := []Trailer{{key1, value1}, {key2, value2}}
		message := Append(body, trailers)
		want := []Trailer{{key(key1), Line(value1)}, {key(key2), Line(value2)}}
		if diff := cmp.Diff(want, ParseTrailers(message)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", message, diff)
		}
		for _, trailer := range want {
			if len(trailer.Value) > MaxValue || !utf8.ValidString(trailer.Value) || Line(trailer.Value) != trailer.Value ||
				strings.ContainsFunc(trailer.Value, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("the value %q", trailer.Value)
			}
		}
		if again := Append(message, trailers); !slices.Equal(ParseTrailers(again), want) {
			t.Errorf("appended twice: %q", again)
		}
	})
}
