// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testField = "spec.dependsOn[0].readyExpr"

func TestCompile(t *testing.T) {
	for name, tc := range map[string]struct {
		expr string
		want *Error
	}{
		"constant":            {"true", nil},
		"versions in step":    {`dep.metadata.labels['app/version'] == self.metadata.labels['app/version']`, nil},
		"field, compared":     {"dep.status.ok == true", nil},
		"over several lines":  {"dep.status.phase == 'Ready' &&\n  dep.status.observedGeneration == dep.metadata.generation", nil},
		"conditions":          {"dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')", nil},
		"optional field":      {"dep.?status.?ready.orValue(false) == true", nil},
		"optional label":      {"dep.metadata.?labels.?open.orValue('no') == 'yes'", nil},
		"has":                 {"has(dep.status.phase) && dep.status.phase == 'Done' && dep.spec.suspend == false", nil},
		"negated field":       {"!dep.spec.suspend", nil},
		"functions of Flux":   {"sets.contains(dep.spec.a, self.spec.a) && 'a-b'.split('-').join('.') == 'a.b' && base64.encode(b'x') == 'eA=='", nil},
		"numbers of two kind": {"dep.status.replicas >= 1.5 && 1 < 2.0", nil},

		"empty":             {"", &Error{Field: testField, Line: 1}},
		"syntax":            {"self.", &Error{Field: testField, Line: 1, Column: 6, Message: "Syntax error: no viable alternative at input '.'"}},
		"second line":       {"true &&\n  deb.x == 1", &Error{Field: testField, Line: 2, Column: 3, Message: "undeclared reference to 'deb' (in container '')"}},
		"unknown function":  {"self.foo() == 1", &Error{Field: testField, Line: 1, Column: 9, Message: "undeclared reference to 'foo' (in container '')"}},
		"types":             {"self == 'x'", &Error{Field: testField, Line: 1, Column: 6, Message: "found no matching overload for '_==_' applied to '(map(string, dyn), string)'"}},
		"string":            {"'x'", &Error{Field: testField, Message: "the expression yields string, want bool"}},
		"field alone":       {"dep.status.ok", &Error{Field: testField, Message: "the expression yields dyn, want bool; compare it with something, such as true"}},
		"mixed list":        {"dep.x in [1, 'a']", &Error{Field: testField, Line: 1, Column: 14}},
		"regex too large":   {"'x'.matches('(a{100}){10}b{1000}')", &Error{Field: testField, Message: "a regular expression has more than 2000 steps; repeat less"}},
		"regex too long":    {"'x'.matches('" + strings.Repeat("a", 2001) + "')", &Error{Field: testField, Message: "a regular expression has more than 2000 bytes"}},
		"regex, repeating":  {"'x'.matches('a{1,100}')", nil},
		"regex, not one":    {"'x'.matches('a(')", &Error{Field: testField, Message: "error parsing regexp: missing closing ): `a(`"}},
		"constant that ill": {"int('x') == 1", &Error{Field: testField}},
		"too long":          {strings.Repeat("true && ", 20_000) + "true", &Error{Field: testField}},
		"too deep":          {strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), &Error{Field: testField}},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := Compile(testField, tc.expr, "self", "dep")
			if tc.want == nil {
				if err != nil || program.String() != tc.expr {
					t.Fatalf("compiles to %v, %v", program, err)
				}
				return
			}
			got, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("error %v, want one of type *Error", err)
			}
			if tc.want.Message == "" {
				tc.want.Message = got.Message
			}
			if tc.want.Line == 0 && tc.want.Message == got.Message {
				tc.want.Line, tc.want.Column = got.Line, got.Column
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if len(got.Message) > maxMessage+4 || strings.ContainsAny(got.Message, "\n") {
				t.Errorf("message is long or has several lines: %q", got.Message)
			}
		})
	}
}

func TestCompileOpen(t *testing.T) {
	obj := map[string]any{
		"kind":   "Model",
		"status": map[string]any{"ready": true, "phase": "Ready", "conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
		"widget": map[string]any{"size": int64(3)},
	}
	for name, tc := range map[string]struct {
		expr    string
		want    bool
		compile string
		err     error
	}{
		"any field":           {expr: "widget.size == 3", want: true},
		"field alone":         {expr: "status.ready", want: true},
		"macro":               {expr: "status.conditions.exists(e, e.type == 'Ready' && e.status == 'True')", want: true},
		"macro over a name":   {expr: "status.conditions.all(kind, kind.type == 'Ready') && kind == 'Model'", want: true},
		"mixed list":          {expr: "status.phase in [1, 'Ready']", want: true},
		"namespaced function": {expr: "sets.contains(['Ready'], [status.phase])", want: true},
		"type":                {expr: "type(widget.size) == int", want: true},
		"has":                 {expr: "has(status.x) && status.x == 1"},
		"optional":            {expr: "status.?x.orValue('a') == 'a'", want: true},
		"missing field":       {expr: "status.x == 1", err: ErrMissing},
		"missing object":      {expr: "spec.x == 1", err: ErrMissing},
		"unknown function":    {expr: "foo(status)", compile: "spec.expr: 1:4: undeclared reference to 'foo' (in container '')"},
		"string":              {expr: "'a' + 'b'", compile: "spec.expr: the expression yields string, want bool"},
		"syntax":              {expr: "status..x", compile: "spec.expr: 1:8: Syntax error: no viable alternative at input '..'"},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := CompileOpen("spec.expr", tc.expr)
			if tc.compile != "" {
				if err == nil || err.Error() != tc.compile {
					t.Errorf("error %v, want %s", err, tc.compile)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := program.Eval(t.Context(), obj)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("yields %t, %v; want %t, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestEval(t *testing.T) {
	dep := map[string]any{
		"metadata": map[string]any{"generation": int64(2), "labels": map[string]any{"v": "1.2"}},
		"status":   map[string]any{"ok": true, "name": "x", "list": []any{int64(1), "a", nil, 2.5}},
	}
	self := map[string]any{"metadata": map[string]any{"labels": map[string]any{"v": "1.2"}}}
	for name, tc := range map[string]struct {
		expr string
		want bool
		err  string
		is   error
	}{
		"equal":           {expr: "self.metadata.labels.v == dep.metadata.labels.v", want: true},
		"not equal":       {expr: "self.metadata.labels.v != dep.metadata.labels.v"},
		"objects":         {expr: "self == dep"},
		"number":          {expr: "dep.metadata.generation == 2 && dep.status.list[3] > 2", want: true},
		"null":            {expr: "dep.status.list[2] == null", want: true},
		"in":              {expr: "'a' in dep.status.list && !('b' in dep.status.list) && 'v' in self.metadata.labels", want: true},
		"in constants":    {expr: "dep.status.name in ['x', 'y']", want: true},
		"or, one missing": {expr: "dep.status.x == 1 || dep.status.ok == true", want: true},
		"has":             {expr: "has(dep.status.x)"},
		"missing key":     {expr: "true &&\n dep.status.x == 1", err: testField + ": 2:12: no such key: x", is: ErrMissing},
		"missing element": {expr: "dep.status.list[9] == 1", is: ErrMissing},
		"types":           {expr: "dep.status.name > 1", err: testField + ": 1:17: no such overload"},
		"in no list":      {expr: "'x' in dep.status.name", err: testField + ": no such overload: string in string"},
		"too expensive": {
			expr: strings.Repeat("dep.status.list.all(x, ", 12) + "true" + strings.Repeat(")", 12),
			err:  testField + ": the evaluation takes more than 100000 steps; look at less, or at smaller fields", is: ErrCost,
		},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := Compile(testField, tc.expr, "self", "dep")
			if err != nil {
				t.Fatal(err)
			}
			got, err := program.Eval(t.Context(), map[string]any{"self": self, "dep": dep})
			if got != tc.want || (err != nil) != (tc.err != "" || tc.is != nil) || (tc.is != nil && !errors.Is(err, tc.is)) {
				t.Errorf("yields %t, %v; want %t, %v", got, err, tc.want, tc.is)
			}
			if tc.err != "" && (err == nil || err.Error() != tc.err) {
				t.Errorf("error %v, want %s", err, tc.err)
			}
		})
	}
}

func TestEvalEndsWithItsContext(t *testing.T) {
	program, err := Compile(testField, "self.list.all(a, self.list.all(b, true))", "self")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	because := errors.New("a newer revision came")
	cancel(because)
	list := make([]any, 400)
	if _, err = program.Eval(ctx, map[string]any{"self": map[string]any{"list": list}}); !errors.Is(err, because) {
		t.Errorf("error %v, want %v", err, because)
	}
}

// Each of these makes a value that grows with a power of what the expression
// looks at. None may take the time or the memory that it asks for.
func TestEvalIsBounded(t *testing.T) {
	text := strings.Repeat("a", 200_000)
	self := map[string]any{"text": text, "list": make([]any, 100_000), "regex": "((a|b){900}c){900}", "format": "%.999999999f"}
	nest := func(levels int, each, seed string) string {
		for range levels {
			seed = fmt.Sprintf("[%s].map(x, %s)[0]", seed, each)
		}
		return seed
	}
	for name, expr := range map[string]string{
		"replace":        nest(6, "x.replace('', x)", "self.text") + " == ''",
		"replace typed":  nest(6, "x.replace('a', x)", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'") + " == ''",
		"join":           nest(4, "x.split('').join(x)", "self.text") + " == ''",
		"format":         nest(8, "'%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s'.format([x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x])", "self.text") + " == ''",
		"sum":            nest(50, "x + x", "self.text") + " == ''",
		"list sum":       nest(50, "x + x", "self.list") + " == []",
		"nested lists":   nest(60, "[x, x]", "[1]") + " == " + nest(60, "[x, x]", "[1]"),
		"nested maps":    nest(60, "{'a': x, 'b': x}", "[1]") + " == " + nest(60, "{'a': x, 'b': x}", "[1]"),
		"in nested":      nest(60, "[x, x]", "[1]") + " in [" + nest(60, "[x, x]", "[1]") + "]",
		"sets":           "sets.intersects(self.text.split(''), self.list)",
		"nested, shown":  "'%s'.format([" + nest(60, "[x, x]", "[1]") + "]) == ''",
		"nested, JSON":   "json.encode(" + nest(60, "[x, x]", "[1]") + ") == ''",
		"search":         "(self.text + 'b').indexOf(self.text + 'c') > 0",
		"regex":          "self.text.matches('(a*)*' + self.text)",
		"large regex":    "self.text.matches(self.regex)",
		"iterations":     "self.list.all(a, self.list.all(b, self.list.all(c, true)))",
		"optional binds": "optional.of(self.list)" + strings.Repeat(".optMap(x, x + x)", 40) + ".hasValue()",
		"precision":      "self.format.format([1.0]) == ''",
	} {
		t.Run(name, func(t *testing.T) {
			program, err := Compile(testField, expr, "self")
			if err != nil {
				t.Fatal(err)
			}
			// Without a bound none of these would end before the test's own time.
			if _, err = program.Eval(t.Context(), map[string]any{"self": self}); err == nil {
				t.Error("it came to an end without an error")
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	program, err := Compile(testField, "self.n == dep.n && 'x' in self.list", "self", "dep")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for n := range int64(200) {
				vars := map[string]any{"self": map[string]any{"n": n, "list": []any{"x"}}, "dep": map[string]any{"n": n % 100}}
				got, err := program.Eval(t.Context(), vars)
				if err != nil || got != (n < 100) {
					t.Fatalf("%d yields %t, %v", n, got, err)
				}
			}
		})
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"", "true", "self.a == dep.b", "dep.status.conditions.exists(e, e.type == 'Ready')", "self.a.b.c.d[0] in [1,2]",
		"'%s'.format([self])", "self == dep", "dep.?a.?b.orValue(1) == 1", "'a'.replace('', 'b') == self.t", "[self].map(x, [x, x])[0] == dep",
		"sets.equivalent(self.l, dep.l)", "timestamp(self.t) > timestamp('2026-01-01T00:00:00Z')", "((((", "'\\u0000' + b'\\xff'",
		"self.l.map(x, x + x).size() > 2 ? true : false", "'a'.matches('a{1000}')", "{1: 2}[self.x] == 3", "`", "\"\"\"", "//x", ".e",
	} {
		f.Add(seed)
	}
	vars := map[string]any{
		"a": int64(1), "t": "text", "l": []any{"x", int64(2), nil, map[string]any{"k": 1.5}},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
	}
	both := map[string]any{"self": vars, "dep": vars}
	f.Fuzz(func(t *testing.T, expr string) {
		start := time.Now()
		program, err := Compile(testField, expr, "self", "dep")
		check(t, err)
		if err == nil {
			_, err = program.Eval(t.Context(), both)
			check(t, err)
		}
		program, err = CompileOpen(testField, expr)
		check(t, err)
		if err == nil {
			_, err = program.Eval(t.Context(), both)
			check(t, err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%q took %s", expr, took)
		}
	})
}

// check holds an error to what is promised of all.
func check(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Field != testField || e.Message == "" || strings.Contains(e.Message, "\n") || strings.Contains(e.Message, "internal error") {
		t.Errorf("error %q", err)
	}
}
