// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func sample() Data {
	d := Data{
		AutomationObject: types.NamespacedName{Namespace: "ml", Name: "models"},
		Values:           map[string]string{"team": "fraud", "ticket": "OPS-1"},
	}
	deployment := Object("apps/v1", "Deployment", "prod", "web")
	d.Changed.Add("b.yaml", deployment, Change{"web:1", "web:2", "ml:web"}, Change{"1", "2", "ml:web:tag"})
	d.Changed.Add("a.yaml", Object("v1", "Pod", "", "one"), Change{"web:1", "web:2", "ml:web"})
	d.Changed.Add("c.yaml", deployment, Change{"db:1", "db:3", "ml:db"})
	return d
}

func TestRender(t *testing.T) {
	tests := map[string]struct{ template, want string }{
		"default":     {"", "Update from image update automation"},
		"the object":  {"{{ .AutomationObject }} {{ .AutomationObject.Name }} {{ .AutomationObject.Namespace }}", "ml/models models ml"},
		"the values":  {"{{ .Values.team }}: {{ index .Values \"ticket\" }}", "fraud: OPS-1"},
		"no value":    {"{{ .Values.other }}{{ if .Values.other }}no{{ else }}none{{ end }}{{ default \"x\" .Values.other }}", "<no value>nonex"},
		"the changes": {"{{ range .Changed.Changes }}{{ .Setter }}: {{ .OldValue }} -> {{ .NewValue }}\n{{ end }}", "ml:db: db:1 -> db:3\nml:web: web:1 -> web:2\nml:web:tag: 1 -> 2\n"},
		"the files": {
			"{{ range $file, $objects := .Changed.FileChanges }}{{ $file }}{{ range $object, $changes := $objects }} {{ $object.Kind }}/{{ $object.Name }}({{ len $changes }}){{ end }}\n{{ end }}",
			"a.yaml Pod/one(1)\nb.yaml Deployment/web(2)\nc.yaml Deployment/web(1)\n",
		},
		"the objects": {
			"{{- range $resource, $changes := .Changed.Objects -}}\n- {{ $resource.APIVersion }} {{ $resource.Kind }} {{ $resource.Namespace }} {{ $resource.Name }}:{{ range $_, $change := $changes }} {{ $change.NewValue }}{{ end }}\n{{ end -}}",
			"- apps/v1 Deployment prod web: web:2 2 db:3\n- v1 Pod  one: web:2\n",
		},
		"sprig":                 {`{{ .Values.team | upper | quote }} {{ list 3 1 2 | join "," }} {{ dict "b" 1 "a" 2 | keys | join "," }} {{ splitList ":" "a:b" | last }} {{ regexReplaceAll "[0-9]+" "a1b22" "#" }}`, `"FRAUD" 3,1,2 a,b b a#b#`},
		"values in order":       {`{{ dict "b" 1 "a" 2 | values | join "," }} {{ printf "%-5s|%05d" "x" 7 }} {{ html "<" }}`, "2,1 x    |00007 &lt;"},
		"variables and calls":   {`{{ define "t" }}[{{ . }}]{{ end }}{{ $x := "y" }}{{ with $x }}{{ template "t" . }}{{ end }}{{ $x = "z" }}{{ $x }}`, "[y]z"},
		"only spaces":           {" \n\t", Default},
		"control characters":    {"a\r\nb\x1b[31m\u202e{{ \"\\x00\" }}é👩\u200d💻\u00a0.", "a\nb\\x1b[31m\\u202e\\x00é👩\u200d💻\u00a0."},
		"a loop over a number":  {"{{ range $i := until 3 }}{{ $i }}{{ if eq $i 1 }}{{ break }}{{ end }}{{ end }}{{ range 2 }}x{{ else }}y{{ end }}", "01xx"},
		"a function that fails": {`{{ regexMatch "^a" "ab" }}`, "true"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			compiled, err := Compile(test.template)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := compiled.Render(sample())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error("(-want +got):\n" + diff)
				}
			}
		})
	}
}

func TestRemovedFields(t *testing.T) {
	const more = " See: https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template"
	for text, want := range map[string]string{
		"{{ range .Updated.Files }}{{ end }}":            "template uses removed '.Updated' field. Please use '.Changed' instead." + more,
		"{{ range .Changed.ImageResult.Images }}{{end}}": "template uses removed '.Changed.ImageResult' field. Please use '.Changed.FileChanges' or '.Changed.Objects' instead." + more,
	} {
		if _, err := Compile(text); !errors.Is(err, ErrRemovedField) || err.Error() != want {
			t.Errorf("%s: got error %v, want %s", text, err, want)
		}
	}
	late, err := Compile("{{ if .Values.team }}{{ .Updated }}{{ end }}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Render(sample()); !errors.Is(err, ErrRemovedField) {
		t.Errorf("got error %v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	const prefix = "unable to create commit message template from spec: template: commit message:1: "
	for text, want := range map[string]string{
		"{{ .X ":                    prefix + "unclosed action",
		`{{ env "HOME" }}`:          prefix + `function "env" not defined`,
		`{{ now }}`:                 prefix + `function "now" not defined`,
		`{{ ago 1 }}`:               prefix + `function "ago" not defined`,
		`{{ randInt 1 2 }}`:         prefix + `function "randInt" not defined`,
		`{{ shuffle "ab" }}`:        prefix + `function "shuffle" not defined`,
		`{{ uuidv4 }}`:              prefix + `function "uuidv4" not defined`,
		`{{ genPrivateKey "rsa" }}`: prefix + `function "genPrivateKey" not defined`,
		`{{ getHostByName "x" }}`:   prefix + `function "getHostByName" not defined`,
	} {
		if _, err := Compile(text); err == nil || err.Error() != want {
			t.Errorf("%s: got error %v, want %s", text, err, want)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	const prefix = "failed to run template from spec: "
	const costly = prefix + "the template is too costly: "
	tests := map[string]struct{ template, want string }{
		"an unknown field":      {"{{ .Foo }}", prefix + `template: commit message:1:3: executing "commit message" at <.Foo>: can't evaluate field Foo in type message.Data`},
		"fail":                  {`{{ fail "no" }}`, prefix + `template: commit message:1:3: executing "commit message" at <fail "no">: error calling fail: no`},
		"a panic":               {`{{ div 1 0 }}`, prefix + `template: commit message:1:3: executing "commit message" at <div 1 0>: error calling div: runtime error: integer divide by zero`},
		"a long text":           {`{{ range 70 }}{{ repeat 1000 "x" }}{{ end }}`, costly + "it writes more than 65536 bytes"},
		"repeat":                {`{{ repeat 2000000000 "x" }}`, costly + "repeat would make, or compare, too much"},
		"until":                 {`{{ until 2000000000 }}`, costly + "until would make, or compare, too much"},
		"seq":                   {`{{ seq 1 2000000000 }}`, costly + "seq would make, or compare, too much"},
		"a step that overflows": {`{{ untilStep 9223372036854775800 9223372036854775807 100 }}`, costly + "untilStep would make, or compare, too much"},
		"indent":                {`{{ indent 2000000000 "x" }}`, costly + "indent would make, or compare, too much"},
		"a wide format":         {`{{ printf "%1000000d" 1 }}`, costly + "printf would make, or compare, too much"},
		"a width by argument":   {`{{ printf "%[2]*[1]d" 1 1000000 }}`, costly + "printf would make, or compare, too much"},
		"a format of many":      {`{{ printf (repeat 20000 "%[1]v") (repeat 50000 "x") }}`, costly + "printf would make, or compare, too much"},
		"replace":               {`{{ replace "" (repeat 10000 "x") (repeat 10000 "y") }}`, costly + "replace would make, or compare, too much"},
		"an expression":         {`{{ regexReplaceAll "a*" (repeat 10000 "x") (repeat 10000 "y") }}`, costly + "regexReplaceAll would make, or compare, too much"},
		"a doubled text":        {`{{ $x := "x" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}`, costly + "a value has more than 1048576 bytes"},
		"a doubled list":        {`{{ $x := list "x" }}{{ range 40 }}{{ $x = list $x $x }}{{ end }}{{ $x }}`, costly + "a value has more than 1048576 bytes"},
		"a list in itself":      {`{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}`, costly + "a value has more than 64 levels"},
		"grown behind the back": {`{{ $a := dict }}{{ $x := dict "a" $a }}{{ range 15 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ range until 100 }}{{ $_ := set $a (toString .) "x" }}{{ end }}{{ $x }}`, costly + "a value has more than 1048576 bytes"},
		"an endless loop":       {`{{ range 9000000000000000000 }}{{ end }}`, costly + "its loops and functions handle more than 33554432 bytes"},
		"loops in loops":        {`{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}`, costly + "its loops and functions handle more than 33554432 bytes"},
		"a template of itself":  {`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, costly + "its loops and functions handle more than 33554432 bytes"},
		"twice as many each":    {`{{ define "a" }}{{ if lt (len .) 60 }}{{ template "a" (append . 1) }}{{ template "a" (append . 1) }}{{ end }}{{ end }}{{ template "a" list }}`, costly + "its loops and functions handle more than 33554432 bytes"},
		"many dictionaries":     {`{{ $o := dict }}{{ range $i := until 1000 }}{{ $_ := set $o (toString $i) (dict) }}{{ end }}{{ range $o }}{{ $_ := set . "x" (repeat 900000 "x") }}{{ end }}`, costly + "its loops and functions handle more than 33554432 bytes"},
		"the same, many times":  {`{{ uniq (until 5000) }}`, costly + "uniq would make, or compare, too much"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			compiled, err := Compile(test.template)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			got, err := compiled.Render(sample())
			if err == nil || err.Error() != test.want {
				t.Errorf("got %.100q and error %v, want %s", got, err, test.want)
			}
			if took := time.Since(begun); took > 2*maxTime {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestRenderEndsInTime(t *testing.T) {
	b := newBudget()
	b.deadline = time.Now().Add(-time.Second)
	if _, err := b.tick(); err == nil || err.Error() != "the template is too costly: it runs for more than 10s" {
		t.Errorf("got error %v", err)
	}
}

// What comes from files and registries stays on its line, whatever it holds.
func TestRenderCleansValues(t *testing.T) {
	d := Data{}
	evil := "v1\n\nImage: forged\u2028\u202e\xff" + strings.Repeat("x", 1000)
	d.Changed.Add("a\nb.yaml", Object("v1\n", "Pod\r", "n\x00", "x\ty"), Change{evil, evil, "ml:web"})
	compiled, err := Compile("{{ .Changed }}\n{{ range .Changed.Changes }}{{ .NewValue }}{{ end }}\n{{ range $f, $_ := .Changed.FileChanges }}{{ $f }}{{ end }}")
	if err != nil {
		t.Fatal(err)
	}
	got, err := compiled.Render(d)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(got, "\n")
	if len(lines) != 3 || strings.ContainsAny(got, "\u2028\u202e\x00") || len(lines[1]) > maxBody || lines[2] != `a\nb.yaml` {
		t.Errorf("got %d lines: %q", len(lines), got)
	}
	if !strings.HasPrefix(lines[1], `v1\n\nImage: forged\u2028\u202e\xffxx`) {
		t.Errorf("got %q", lines[1])
	}
	if len(d.Changed.FileChanges) != 1 || d.Changed.FileChanges["a\nb.yaml"] == nil {
		t.Error("the caller's data changed")
	}
}

func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"{{ range .Changed.Changes }}{{ .NewValue }}{{ end }}", `{{ $x := dict "a" 1 }}{{ set $x "b" $x | toJson }}`,
		`{{ repeat 10 "x" | splitList "" | chunk 3 | toPrettyJson }}`, `{{ range until 10 }}{{ printf "%v" . }}{{ end }}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compiled, err := Compile(text)
		if err != nil {
			return
		}
		got, err := compiled.Render(sample())
		if err == nil && printableText(got) != got {
			t.Errorf("%q wrote %q", text, got)
		}
	})
}
