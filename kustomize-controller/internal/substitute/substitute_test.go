// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package substitute

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"
)

// object returns a ConfigMap with one value.
func object(value any) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"key": value},
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"word": "word", "number": "5", "truth": "true", "empty": "", "lines": "a\nb\n", "list": "[a, b]", "map": "{a: b}",
		"quoted": `"5"`, "spaced": "a b", "_x1": "u",
	}
	tests := map[string]struct {
		in, want any
	}{
		"nothing":                       {"text", "text"},
		"a string":                      {"${word}", "word"},
		"inside a string":               {"a-${word}-b", "a-word-b"},
		"a number":                      {"${number}", int64(5)},
		"a boolean":                     {"${truth}", true},
		"a quoted number":               {"${quoted}", "5"},
		"a number inside a string":      {"v${number}", "v5"},
		"a list":                        {"${list}", []any{"a", "b"}},
		"a map":                         {"${map}", map[string]any{"a": "b"}},
		"nothing becomes null":          {"${empty}", nil},
		"line breaks are taken out":     {"${lines}", "ab"},
		"a name with an underscore":     {"${_x1}", "u"},
		"an escaped dollar":             {"$${word}", "${word}"},
		"a dollar without a brace":      {"$word $ $5", "$word $ $5"},
		"two dollars":                   {"a$$b", "a$b"},
		"an escaped dollar, then a var": {"$$${word}", "$word"},
		"a default":                     {"${missing:=x}", "x"},
		"a default, set":                {"${word:=x}", "word"},
		"a default with a dash":         {"${missing:-x}", "x"},
		"a default for an empty one":    {"${empty:=x}", "x"},
		"a default that is a variable":  {"${missing:=${word}}", "word"},
		"upper case":                    {"${word^^}", "WORD"},
		"the first in upper case":       {"${word^}", "Word"},
		"length":                        {"${#word}", int64(4)},
		"a part":                        {"${word:1:2}", "or"},
		"without a prefix":              {"${word#w}", "ord"},
		"without a suffix":              {"${word%d}", "wor"},
		"one replaced":                  {"${word/o/0}", "w0rd"},
		"all replaced":                  {"${spaced// /-}", "a-b"},
		"more than one":                 {"${word}${number}", "word5"},
		"many lines":                    {"a ${word}\nb ${number}\n", "a word\nb 5\n"},
		"in a list":                     {[]any{"${word}", int64(1)}, []any{"word", int64(1)}},
		"a key":                         {map[string]any{"${word}": "x"}, map[string]any{"word": "x"}},
		"numbers stay":                  {[]any{int64(1 << 60), 1.5, "${word}"}, []any{int64(1 << 60), 1.5, "word"}},
		"strings like numbers stay":     {[]any{"5", "true", "null", "1e3", "${word}"}, []any{"5", "true", "null", "1e3", "word"}},
	}
	variables, err := New(values, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := object(tc.in)
			before := (&unstructured.Unstructured{Object: in}).DeepCopy().Object
			got, err := variables.Apply(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(tc.want), got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, in); diff != "" {
				t.Errorf("the object itself has changed:\n%s", diff)
			}
		})
	}
}

func TestApplyFails(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	long := strings.Repeat("x", 1<<20)
	tests := map[string]struct {
		in   map[string]any
		want string
	}{
		"not set": {
			object("${missing}"),
			"the variable missing has no value and no default; set it in spec.postBuild, write ${missing:=default}, or $${missing} to keep the text",
		},
		"not set, changed": {
			object("${missing^^}"),
			"the variable missing has no value and no default; set it in spec.postBuild, write ${missing:=default}, or $${missing} to keep the text",
		},
		"not closed":   {object("${secret"), "an expression that begins with ${ cannot be read (missing closing brace); write $${ for the text"},
		"a shell's":    {object("${secret@Q}"), "an expression that begins with ${ cannot be read (missing closing brace); write $${ for the text"},
		"no name":      {object("${}"), "an expression that begins with ${ cannot be read (unable to parse variable name); write $${ for the text"},
		"too much":     {object(strings.Repeat("${long}", 17)), "the values put into it have more than 16 MiB"},
		"many escapes": {object(strings.Repeat("$$", 50_000)), "it has too many escaped dollars for its size; label it kustomize.toolkit.fluxcd.io/substitute: disabled"},
		"not YAML":     {object("${alias}"), `with the variables replaced it is not valid YAML; quote the values that hold special characters, as in the line "key: ${alias}"`},
		"one of many":  {object([]any{"${close}", "${close}", "${open}", "${close}"}), `with the variables replaced it is not valid YAML; quote the values that hold special characters, as in the line "- ${open}"`},
		"in a Secret":  {map[string]any{"kind": "Secret", "a": "${open}"}, `with the variables replaced it is not valid YAML; quote the values that hold special characters`},
		"two lines":    {object([]any{"${open}", "${open}"}), `with the variables replaced it is not valid YAML; quote the values that hold special characters`},
	}
	variables, err := New(map[string]string{"secret": value, "long": long, "alias": "*" + value, "open": "[" + value, "close": "a"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := variables.Apply(tc.in)
			if err == nil {
				t.Fatalf("Apply = %v", got)
			}
			if err.Error() != tc.want {
				t.Errorf("got  %q\nwant %q", err, tc.want)
			}
			if strings.Contains(err.Error(), value) {
				t.Errorf("the error holds a value: %v", err)
			}
			var missing *MissingError
			if errors.As(err, &missing) != strings.HasPrefix(name, "not set") {
				t.Errorf("%v is a MissingError only by chance", err)
			}
		})
	}
}

func TestLenient(t *testing.T) {
	t.Parallel()
	variables, err := New(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := variables.Apply(object("a${missing}b${#missing}"))
	if diff := cmp.Diff(object("ab0"), got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "_": true, "A_1": true, "": false, "1a": false, "a-b": false, "a.b": false, "é": false, "a\n": false,
	} {
		if _, err := New(map[string]string{name: "x"}, false); (err == nil) != want {
			t.Errorf("New with %q: %v", name, err)
		}
	}
}

func TestSkips(t *testing.T) {
	t.Parallel()
	with := func(field string, value any) map[string]any {
		return map[string]any{"metadata": map[string]any{field: map[string]any{Key: value}}}
	}
	for name, tc := range map[string]struct {
		object map[string]any
		want   bool
	}{
		"neither":          {map[string]any{}, false},
		"label":            {with("labels", "disabled"), true},
		"annotation":       {with("annotations", "disabled"), true},
		"another value":    {with("labels", "enabled"), false},
		"in another case":  {with("labels", "Disabled"), false},
		"not a string":     {with("labels", true), false},
		"labels not a map": {map[string]any{"metadata": map[string]any{"labels": "x"}}, false},
	} {
		if got := Skips(tc.object); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzApply compares with Flux's library, on text that is anywhere in an object.
func FuzzApply(f *testing.F) {
	for _, text := range []string{
		"${a}", "$${a}", "${a:=b}", "${a^^}", "x: ${a}\ny: $${b}\n", "$$$$", "${a/b/c}", "${a:1:2}", "- ${a}\n- 5\n", "${a}: ${b}", "'${a}'", "a\u0085b ${a}", "é${a}",
		"${a:=\n}", "${a", "$", "${#a}", "# ${a}", "1e3", "0x1f ${b}", "~", "<&>${a}",
	} {
		f.Add(text, "value", "5")
		f.Add(text, "[a, {b: c}]", "\n")
	}
	factory := provider.NewDefaultDepProvider().GetResourceFactory()
	f.Fuzz(func(t *testing.T, text, a, b string) {
		var content map[string]any
		data, err := yaml.Marshal(object(map[string]any{"text": text, text: []any{text, 1.5, int64(7), nil, true}}))
		if err != nil || yaml.Unmarshal(data, &content) != nil {
			return
		}
		built, err := factory.FromBytes(data)
		if err != nil {
			return
		}
		in, err := decode(data)
		if err != nil {
			return
		}
		values := map[string]string{"a": a, "b": b}
		want, wantErr := flux(t, built, values)
		variables, err := New(values, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := variables.Apply(in)
		if wantErr != nil || err != nil {
			// Flux's errors come from more steps than ours, such as writing what has no name any more.
			if wantErr == nil {
				t.Fatalf("we fail and Flux does not: %v\n%s", err, data)
			}
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("not what Flux makes of it (-flux +ours):\n%s\n%s", diff, data)
		}
	})
}

// flux replaces variables with Flux's library.
func flux(t *testing.T, res *resource.Resource, values map[string]string) (map[string]any, error) {
	t.Helper()
	substitute := map[string]any{}
	for name, value := range values {
		substitute[name] = value
	}
	ks := unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"postBuild": map[string]any{"substitute": substitute}}}}
	replaced, err := fluxkustomize.SubstituteVariables(t.Context(), nil, ks, res,
		fluxkustomize.SubstituteWithDryRun(true), fluxkustomize.SubstituteWithStrict(true))
	if err != nil {
		return nil, err
	}
	data, err := replaced.AsYAML()
	if err != nil {
		return nil, err
	}
	return decode(data)
}

// decode reads an object as clients of the API server do.
func decode(data []byte) (map[string]any, error) {
	var object unstructured.Unstructured
	if err := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader(data), 2048).Decode(&object); err != nil {
		return nil, err
	}
	return maps.Clone(object.Object), nil
}
