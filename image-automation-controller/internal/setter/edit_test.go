// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

const (
	newTag    = "2.0"
	newDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// update sets every marked field of ns:app to the new image.
func update(t *testing.T, content string) (string, error) {
	t.Helper()
	fields, _, err := Find("f.yaml", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	changes := map[int]string{}
	for i, f := range fields {
		if f.Ref != "ns:app" {
			continue
		}
		changes[i] = map[imagev1.Part]string{
			imagev1.PartImage: "new/app:" + newTag, imagev1.PartName: "new/app", imagev1.PartTag: newTag, imagev1.PartDigest: newDigest,
		}[f.Part]
	}
	result, err := Set([]byte(content), changes, fields)
	return string(result), err
}

func TestSetKeepsEveryOtherByte(t *testing.T) {
	const tag = ` # {"$imagepolicy": "ns:app:tag"}`
	tests := map[string]struct{ content, old, new string }{
		"plain":                         {"a: app:v1" + m + "\nb: app:v1\n", "a: app:v1", "a: new/app:2.0"},
		"single quotes":                 {"a:   'app:v1'" + m + "\n", "'app:v1'", "'new/app:2.0'"},
		"double quotes":                 {"a: \"app:v1\"" + m + "\n", `"app:v1"`, `"new/app:2.0"`},
		"double quotes with escapes":    {"a: \"\\\"\\x61\\\\\"" + m + "\n", `"\"\x61\\"`, `"new/app:2.0"`},
		"single quotes with quotes":     {"a: 'it''s'" + m + "\n", `'it''s'`, `'new/app:2.0'`},
		"a tag that would be a number":  {"a: 1.9" + tag + "\n", "1.9", `"2.0"`},
		"a number in single quotes":     {"a: '1.9'" + tag + "\n", "'1.9'", "'2.0'"},
		"empty quotes":                  {"a: \"\"" + tag + "\n", `""`, `"2.0"`},
		"no newline at the end":         {"a: v1" + tag, "v1", `"2.0"`},
		"CRLF":                          {"# é\r\na: v1" + tag + "\r\nb:\r\n  - c # d\r\n", "v1", `"2.0"`},
		"CR alone":                      {"x: y\ra: v1" + tag + "\rb: c\r", "v1", `"2.0"`},
		"other breaks":                  {"x: y # \u2028a: v1" + tag + "\u0085b: c\n", "v1", `"2.0"`},
		"BOM":                           {"\ufeffa: v1" + tag + "\n", "v1", `"2.0"`},
		"tab before the comment":        {"a: v1\t\t#\t{\"$imagepolicy\":\t\"ns:app:tag\"}\t\n", "v1", `"2.0"`},
		"non-ASCII before and behind":   {"日本: {é: ü, a: v1," + tag + "\n ñ: 😀}\n", "v1", `"2.0"`},
		"flow list":                     {"l: [ a,v1 ," + tag + "\n  b ]\n", "v1", `"2.0"`},
		"flow mapping before its end":   {"l: {a: v1" + tag + "\n}\n", "v1", `"2.0"`},
		"item of a list":                {"l:\n    -   v1" + tag + "\n    - v1\n", "-   v1", `-   "2.0"`},
		"item of a list of lists":       {"- - - v1" + tag + "\n", "v1", `"2.0"`},
		"anchor":                        {"a: &x v1" + tag + "\nb: *x\n", "&x v1", `&x "2.0"`},
		"anchor and tag":                {"a: !!str &x v1" + tag + "\nb: *x\n", "&x v1", `&x "2.0"`},
		"verbatim tag":                  {"a: !<tag:yaml.org,2002:str> v1" + tag + "\n", "> v1", `> "2.0"`},
		"anchor above the value":        {"a: &x\n\n  # above\n  v1" + tag + "\nb: c\n", "  v1", `  "2.0"`},
		"key with anchor, tag, quotes":  {"&k !!str \"a b\" : v1" + tag + "\nc: *k\n", ": v1", `: "2.0"`},
		"explicit key":                  {"? a\n: v1" + tag + "\n", "v1", `"2.0"`},
		"several documents":             {"%YAML 1.1\n---\nx: y\n--- # two\na: v1" + tag + "\n...\n---\n# three\n", "v1", `"2.0"`},
		"the document is the value":     {"--- v1" + tag + "\n", "v1", `"2.0"`},
		"quoted over lines":             {"a: \"v1\\\n   .0\"" + tag + "\nb: c\n", "\"v1\\\n   .0\"", `"2.0"`},
		"blocks, merges and long lines": {"a: v1" + tag + "\nb: &b |+\n  v1" + tag + "\n\n\nc: >-\n  x\n\n   y\nd:\n  <<: *b\ne: " + strings.Repeat("long ", 500) + "\n", "a: v1", `a: "2.0"`},
		"odd indentation":               {"a:\n       b:\n        - c:   v1" + tag + "\n          d:\t e\n", "v1", `"2.0"`},
		"a prefix":                      {"a: oci://ghcr.io/x/app:v1" + m + "\n", "ghcr.io/x/app:v1", "new/app:2.0"},
		"a duplicate key":               {"a: v1\na: v1" + tag + "\n", "\na: v1", "\na: \"2.0\""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := update(t, test.content)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(test.content, test.old, test.new, 1)
			if want == test.content {
				t.Fatal("the case changes nothing")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
			if again, err := update(t, got); err != nil || again != got {
				t.Errorf("the second time: %q, %v", again, err)
			}
		})
	}
}

func TestSetGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatal(inputs, err)
	}
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			content, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(input + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			got, err := update(t, string(content))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	content := []byte("a: x" + m + "\nb: \"x\n  y\"\nc: x\n  y # {\"$imagepolicy\": \"ns:lines\"}\n")
	fields, _, err := Find("f.yaml", content)
	if err != nil || len(fields) != 2 {
		t.Fatal(fields, err)
	}
	stale := fields[0]
	stale.Value = "z"
	tests := map[string]struct {
		changes map[int]string
		fields  []Field
		want    string
	}{
		"a newline":         {map[int]string{0: "x\ny: z"}, fields, `set f.yaml:1: the value "x\ny: z" is not one line of printable ASCII`},
		"no ASCII":          {map[int]string{0: "é"}, fields, `set f.yaml:1: the value "é" is not one line of printable ASCII`},
		"nothing":           {map[int]string{0: ""}, fields, "set f.yaml:1: the value is empty"},
		"no such field":     {map[int]string{2: "y"}, fields, "set field 2: there are 2 fields"},
		"another content":   {map[int]string{0: "y"}, []Field{stale}, `set f.yaml: line 1: the file no longer holds "z" there`},
		"two values":        {map[int]string{0: "y", 1: "z"}, []Field{fields[0], fields[0]}, `set f.yaml:1: two values are wanted for the same field: "y" and "z"`},
		"plain over lines":  {map[int]string{1: "y"}, fields, "set f.yaml: line 4: the value is spread over several lines; write it in one"},
		"outside the lines": {map[int]string{0: "y"}, []Field{{File: "f.yaml", Line: 99, Value: "x"}}, `set f.yaml: line 99: the file no longer holds "x" there`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Set(content, test.changes, test.fields)
			if err == nil || err.Error() != test.want || got != nil {
				t.Errorf("got %q and error %q, want error %q", got, err, test.want)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	tests := map[string]string{
		"ghcr.io/org/app:v1.2.3@sha256:00": "ghcr.io/org/app:v1.2.3@sha256:00",
		"1.2.3":                            "1.2.3", "v1": "v1", "1.10-rc.1": "1.10-rc.1", "2024.01.02": "2024.01.02", "latest": "latest", "nope": "nope",
		"20241122-101500": "20241122-101500", "0a1b2c": "0a1b2c", "1e5f": "1e5f", "main-1e5": "main-1e5",
		"1.10": `"1.10"`, "007": `"007"`, "1_000": `"1_000"`, "0x1F": `"0x1F"`, "0o17": `"0o17"`, "0b11": `"0b11"`, "1e5": `"1e5"`, "12e03": `"12e03"`,
		".5": `".5"`, "1.": `"1."`, ".inf": `".inf"`, ".NaN": `".NaN"`, "true": `"true"`, "Yes": `"Yes"`, "n": `"n"`, "off": `"off"`, "null": `"null"`,
		"2024-01-02": `"2024-01-02"`, "1:30": `"1:30"`, "~": `"~"`, "-x": `"-x"`, "a b": `"a b"`, "a:": `"a:"`, `a"\b`: `"a\"\\b"`, "a,b": `"a,b"`, "#x": `"#x"`,
	}
	for value, want := range tests {
		t.Run(value, func(t *testing.T) {
			if got := encode(value, 0); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			content := []byte("a: [old, # {\"$imagepolicy\": \"ns:app\"}\n  b]\n")
			fields, _, err := Find("f.yaml", content)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Set(content, map[int]string{0: value}, fields); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzSet(f *testing.F) {
	f.Add("a: app:v1"+m+"\nb: [x, 'y', \"z\"]\n", "new:2", uint8(0))
	f.Add("\ufeffa: &x !!str 'v'"+m+"\r\nb: *x\r\n---\n- - k: |\n    t\n", "1.10", uint8(1))
	f.Add("l:\n#"+m[2:]+"\n- x\n- {a: 1,"+m+"\n }\n", "'\"\\", uint8(0))
	f.Add("? [a, b]\n: \u2028 \"x\\\n y\""+m, "y: z", uint8(0))
	f.Fuzz(func(t *testing.T, content, value string, index uint8) {
		fields, _, err := Find("f.yaml", []byte(content))
		if err != nil || len(fields) == 0 {
			return
		}
		i := int(index) % len(fields)
		result, err := Set([]byte(content), map[int]string{i: value}, fields)
		if err != nil {
			return
		}
		removed, added := difference(content, string(result))
		if forms := encode(fields[i].Written(value), 0) + encode(fields[i].Written(value), yaml.SingleQuotedStyle) +
			encode(fields[i].Written(value), yaml.DoubleQuotedStyle); !strings.Contains(forms, added) {
			t.Errorf("%q became %q: %q is not of the value", content, result, added)
		}
		if !strings.ContainsAny(removed, "\"'\\\r\n\u0085\u2028\u2029") && !strings.Contains(fields[i].Value, removed) {
			t.Errorf("%q became %q: %q was not of the value", content, result, removed)
		}
		after, _, err := Find("f.yaml", result)
		if err != nil || len(after) != len(fields) {
			t.Fatalf("%q became %q with the fields %v (%v)", content, result, after, err)
		}
		for j := range fields {
			want := fields[j].Value
			if j == i {
				want = fields[i].Written(value)
			}
			if after[j].Value != want || after[j].Path != fields[j].Path {
				t.Errorf("field %d of %q became %+v in %q", j, content, after[j], result)
			}
		}
	})
}

// difference returns what is between the common beginning and the common end of two texts.
func difference(a, b string) (string, string) {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}
