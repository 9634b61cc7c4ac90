// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const gateField = "spec.weir.images[0].gates[0].expression"

func gateFacts() Facts {
	fields := []string{"tag", "annotations", "labels"}
	return Facts{Objects: map[string][]string{"candidate": fields, "baseline": fields}}
}

func gateVars() map[string]any {
	return map[string]any{
		"candidate": map[string]any{
			"tag":         "v1",
			"annotations": map[string]any{"a": "0.931", "ms": "71", "nan": "nan", "s": "a\n\"b" + strings.Repeat("c", 200), "tiny": "0.92600000000000001", "less": "0.92599999999999993"},
			"labels":      map[string]any{"stage": "prod"},
		},
		"baseline": map[string]any{"tag": "v0", "annotations": map[string]any{"a": "0.931"}, "labels": map[string]any{}},
	}
}

func TestExplain(t *testing.T) {
	for name, tc := range map[string]struct {
		expr  string
		want  bool
		terms []string
		err   string
		is    error
	}{
		"comparison":                {expr: "num(candidate.annotations['a']) >= num(baseline.annotations['a']) - 0.005", want: true, terms: []string{"0.931>=0.926"}},
		"comparison, false":         {expr: "num(candidate.annotations['a']) > num(baseline.annotations['a'])", terms: []string{"0.931>0.931"}},
		"numbers alike":             {expr: "num(candidate.annotations['less']) >= num(candidate.annotations['tiny'])", terms: []string{"0.9259999999999999>=0.926"}},
		"conjunction":               {expr: "num(candidate.annotations['a']) > 0.9 && num(candidate.annotations['ms']) <= 80.0 && candidate.labels.stage == 'prod'", want: true, terms: []string{"0.931>0.9", "71<=80", `"prod"=="prod"`}},
		"conjunction, false":        {expr: "num(candidate.annotations['a']) > 0.9 && num(candidate.annotations['ms']) <= 70 && candidate.tag == 'x'", terms: []string{"71<=70"}},
		"alternative, first":        {expr: "candidate.tag == 'v1' || num(candidate.annotations['none']) > 1", want: true, terms: []string{`"v1"=="v1"`}},
		"alternative, second":       {expr: "candidate.tag == 'v2' || num(candidate.annotations['a']) > 0.5", want: true, terms: []string{"0.931>0.5"}},
		"alternative, none":         {expr: "candidate.tag == 'v2' || num(candidate.annotations['a']) > 1", terms: []string{`"v1"=="v2"`, "0.931>1"}},
		"ternary":                   {expr: "candidate.tag == 'v2' ? num(candidate.annotations['none']) > 1 : num(candidate.annotations['a']) > 0.5", want: true, terms: []string{"0.931>0.5"}},
		"negation":                  {expr: "!(num(candidate.annotations['a']) < 0.9)", want: true, terms: []string{"!(0.931<0.9)"}},
		"negation twice":            {expr: "!!(num(candidate.annotations['a']) > 0.9)", want: true, terms: []string{"0.931>0.9"}},
		"functions":                 {expr: "candidate.tag.startsWith('v') && candidate.tag in ['v1', 'v2']", want: true, terms: []string{`"v1".startsWith("v")`, `"v1" in ["v1","v2"]`}},
		"maps":                      {expr: "'a' in candidate.annotations", want: true, terms: []string{`"a" in candidate.annotations`}},
		"long text":                 {expr: "candidate.annotations.s == 'x'", terms: []string{`"a\n\"b` + strings.Repeat("c", 60) + `…"=="x"`}},
		"asked first, has":          {expr: "!has(candidate.annotations.none) || num(candidate.annotations.none) > 1", want: true},
		"asked first, in":           {expr: "'a' in candidate.annotations && num(candidate.annotations['a']) > 0.9", want: true, terms: []string{`"a" in candidate.annotations`, "0.931>0.9"}},
		"asked first, optional":     {expr: "candidate.annotations[?'none'].orValue('1') == '1'", want: true, terms: []string{`"1"=="1"`}},
		"macro":                     {expr: "['a', 'ms'].all(k, num(candidate.annotations[k]) > 0.9)", want: true},
		"constant":                  {expr: "true", want: true},
		"missing":                   {expr: "num(candidate.annotations['x']) > 1", err: `1:26: candidate.annotations["x"] is missing`, is: ErrMissing},
		"missing in baseline":       {expr: "num(candidate.annotations['a']) > num(baseline.annotations.x)", err: `1:59: baseline.annotations.x is missing`, is: ErrMissing},
		"missing, negated":          {expr: "!(num(candidate.annotations['x']) < 1)", err: `1:28: candidate.annotations["x"] is missing`, is: ErrMissing},
		"missing, then true":        {expr: "num(candidate.annotations['x']) > 1 || candidate.tag == 'v1'", err: `1:26: candidate.annotations["x"] is missing`, is: ErrMissing},
		"missing, then false":       {expr: "!(num(candidate.annotations['x']) > 1 && candidate.tag == 'v2')", err: `1:28: candidate.annotations["x"] is missing`, is: ErrMissing},
		"missing in a condition":    {expr: "num(candidate.annotations['x']) > 1 ? false : true", err: `1:26: candidate.annotations["x"] is missing`, is: ErrMissing},
		"missing after a true side": {expr: "candidate.tag == 'v1' && num(candidate.annotations['x']) > 1", err: `1:51: candidate.annotations["x"] is missing`, is: ErrMissing},
		"missing in a macro":        {expr: "['x', 'a'].exists(k, num(candidate.annotations[k]) > 0.5)", err: "1:47: candidate.annotations[k] is missing: no such key: x", is: ErrMissing},
		"missing in all":            {expr: "!['x', 'a'].all(k, num(candidate.annotations[k]) > 5)", err: "1:45: candidate.annotations[k] is missing: no such key: x", is: ErrMissing},
		"no number":                 {expr: "num(candidate.annotations['nan']) > 0 || true", err: `1:4: num(candidate.annotations["nan"]): "nan" is not a decimal number`, is: ErrNumber},
		"no text":                   {expr: "num(candidate.annotations) > 0", err: "1:4: no such overload: num(map)"},
		"no bool":                   {expr: "true && candidate.annotations['a']", err: "1:6: no such overload"},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := gateFacts().Condition(gateField, tc.expr)
			if err != nil {
				t.Fatal(err)
			}
			got, terms, err := program.Explain(t.Context(), gateVars())
			if tc.err != "" {
				if err == nil || err.Error() != gateField+": "+tc.err || tc.is != nil && !errors.Is(err, tc.is) || got {
					t.Errorf("yields %t, %v; want %s", got, err, tc.err)
				}
				return
			}
			if diff := cmp.Diff(tc.terms, terms); err != nil || got != tc.want || diff != "" {
				t.Errorf("yields %t, %v, want %t; terms (-want +got):\n%s", got, err, tc.want, diff)
			}
		})
	}
}

func TestFactsCompile(t *testing.T) {
	order := Facts{Texts: []string{"tag"}, Maps: []string{"annotations", "labels"}}
	for name, tc := range map[string]struct {
		compile func(field, expr string) (*Program, error)
		expr    string
		want    string
	}{
		"unknown field":          {gateFacts().Condition, "candidate.annotation.a == ''", `1:10: candidate has no field "annotation"; it has annotations, labels, tag`},
		"unknown field by index": {gateFacts().Condition, "candidate['digets'] == ''", `1:10: candidate has no field "digets"; it has annotations, labels, tag`},
		"unknown field, asked":   {gateFacts().Condition, "has(baseline.foo)", `1:4: baseline has no field "foo"; it has annotations, labels, tag`},
		"other variables":        {gateFacts().Condition, "secrets.a == ''", "1:1: undeclared reference to 'secrets' (in container '')"},
		"no condition":           {gateFacts().Condition, "num(candidate.tag)", "the expression yields double, want bool"},
		"side that is no bool":   {gateFacts().Condition, "num(candidate.tag) || true", "1:4: expected type 'bool' but found 'double'"},
		"num of a bool":          {gateFacts().Condition, "num(true) > 1.0", "1:4: found no matching overload for 'num' applied to '(bool)'"},
		"number that is a text":  {gateFacts().Number, "'a'", "the expression yields string, want a number"},
		"number of any type":     {gateFacts().Number, "candidate.annotations['a']", "the expression yields dyn, want a number; num() makes it one"},
		"key that is a bool":     {order.Key, "tag == 'a'", "the expression yields bool, want a number or a text"},
		"key that is a time":     {order.Key, "timestamp(tag)", "the expression yields google.protobuf.Timestamp, want a number or a text"},
		"num elsewhere": {func(field, expr string) (*Program, error) { return Compile(field, expr, "self") }, "num(self.a) > 1.0",
			"1:4: undeclared reference to 'num' (in container '')"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.compile(gateField, tc.expr)
			if err == nil || err.Error() != gateField+": "+tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestValue(t *testing.T) {
	facts := Facts{Texts: []string{"tag"}, Maps: []string{"annotations"}}
	value := func(expr string) Value {
		t.Helper()
		program, err := facts.Key("key", expr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := program.Value(t.Context(), map[string]any{"tag": "v10", "annotations": map[string]string{"a": "0.5"}})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	ascending := []string{"-1.5", "num(annotations['a'])", "9007199254740992", "9007199254740993", "9007199254740993u + 1u", "'v1'", "tag", "tag + 'x'", "dyn(tag) + 'y'"}
	for i, a := range ascending {
		for j, b := range ascending {
			want := min(max(i-j, -1), 1)
			if got := value(a).Compare(value(b)); got != want {
				t.Errorf("%s against %s is %d, want %d", a, b, got, want)
			}
		}
	}
	for expr, want := range map[string]error{"1.0 / 0.0": ErrNumber, "double('NaN')": ErrNumber, "annotations['b']": ErrMissing, "dyn(true)": nil} {
		program, err := facts.Key("key", expr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := program.Value(t.Context(), map[string]any{"tag": "v10", "annotations": map[string]string{"a": "0.5"}}); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", expr, err, want)
		}
	}
}

func TestExplainIsBounded(t *testing.T) {
	loop := "true"
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		loop = "[1,2,3,4,5,6,7,8,9].all(" + name + ", " + loop + ")"
	}
	for _, expr := range []string{loop, "false || " + loop, "candidate.tag == 'x' ? true : " + loop, "!(" + loop + " && false)"} {
		program, err := gateFacts().Condition(gateField, expr)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := program.Explain(t.Context(), gateVars()); !errors.Is(err, ErrCost) {
			t.Errorf("%s: error %v, want %v", expr, err, ErrCost)
		}
	}
}

func TestReads(t *testing.T) {
	for expr, want := range map[string]bool{
		"candidate.tag == 'baseline'":                     false,
		"candidate.tag == 'x' || baseline.tag == 'y'":     true,
		"['a'].all(k, num(baseline.annotations[k]) > 1)":  true,
		"has(baseline.tag)":                               true,
		"num(candidate.annotations['baseline.tag']) >= 1": false,
	} {
		program, err := gateFacts().Condition(gateField, expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := program.Reads("baseline"); got != want {
			t.Errorf("%s reads it: %t, want %t", expr, got, want)
		}
	}
}

func FuzzNum(f *testing.F) {
	for _, seed := range []string{"0.931", "-1", "+2.5", "1e-05", ".5", "5.", "", " 1", "1 ", "nan", "NaN", "inf", "-Infinity", "0x1p-2", "0x10", "1_000", "1e999", "1,5", "１", "1.2.3", "e", "+", "--1", "1e"} {
		f.Add(seed)
	}
	facts := Facts{Texts: []string{"tag"}}
	program, err := facts.Number("key", "num(tag)")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := program.Value(t.Context(), map[string]any{"tag": text})
		plain := text != ""
		for _, r := range text {
			plain = plain && strings.ContainsRune("+-.0123456789eE", r)
		}
		want, wrong := strconv.ParseFloat(text, 64)
		plain = plain && wrong == nil && !math.IsInf(want, 0)
		if plain != (err == nil) || err != nil && !errors.Is(err, ErrNumber) {
			t.Fatalf("%q yields %v, %v", text, got, err)
		}
		if err == nil && got.number.Value().(float64) != want {
			t.Errorf("%q yields %v, want %v", text, got, want)
		}
	})
}

func FuzzExplain(f *testing.F) {
	for _, seed := range []string{"a.b > 1 || true", "!(candidate.tag == 'x') && has(candidate.labels.x)", "candidate.tag in [candidate.tag, 'a'] ? true : false", "[1,2].exists(x, x > 1 || x / 0 > 1)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		program, err := gateFacts().Condition(testField, expr)
		check(t, err)
		if err != nil {
			return
		}
		got, terms, err := program.Explain(t.Context(), gateVars())
		check(t, err)
		plain, plainErr := program.Eval(t.Context(), gateVars())
		if plain != got || (plainErr == nil) != (err == nil) {
			t.Errorf("%q: %t, %v and %t, %v", expr, got, err, plain, plainErr)
		}
		for _, term := range terms {
			if strings.ContainsAny(term, "\n\r\x00") {
				t.Errorf("%q: term %q", expr, term)
			}
		}
	})
}

func TestConcurrentExplain(t *testing.T) {
	program, err := gateFacts().Condition(gateField, "num(candidate.annotations['a']) >= num(baseline.annotations['a']) && candidate.tag != baseline.tag")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for n := range 200 {
				a, b := strconv.Itoa(i*1000+n+1), strconv.Itoa(n+1)
				side := func(tag, value string) map[string]any {
					return map[string]any{"tag": tag, "annotations": map[string]string{"a": value}, "labels": map[string]string(nil)}
				}
				got, terms, err := program.Explain(t.Context(), map[string]any{"candidate": side("c", a), "baseline": side("b", b)})
				if diff := cmp.Diff([]string{a + ">=" + b, `"c"!="b"`}, terms); err != nil || !got || diff != "" {
					t.Fatalf("%t, %v; terms (-want +got):\n%s", got, err, diff)
				}
			}
		})
	}
}
