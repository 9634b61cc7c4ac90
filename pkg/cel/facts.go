// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Facts are the variables of expressions that judge or order something by what
// is known of it. Beside Flux's functions such expressions have num(), which
// reads a decimal number. They are stricter than CEL in one thing: && and ||
// go from left to right, and a side that is reached and fails fails the whole.
// In CEL, failure || true is true, so that a value which is missing would go
// unnoticed; here an author who wants that asks first, with has() or in. What
// stands to the right of the side that decides is not looked at, as in Go.
type Facts struct {
	// Texts are variables that hold a text.
	Texts []string
	// Maps are variables that hold texts by name.
	Maps []string
	// Objects are variables that hold an object, with the names of its
	// fields; to select another one by name does not compile.
	Objects map[string][]string
}

// Condition compiles an expression that is true or false. Field is the path of
// the expression in the spec; errors, of type *Error, begin with it.
func (f Facts) Condition(field, expr string) (*Program, error) {
	return f.compile(field, expr, "bool", types.BoolKind)
}

// Key compiles an expression that is a number or a text. Errors are as of
// Condition.
func (f Facts) Key(field, expr string) (*Program, error) {
	return f.compile(field, expr, "a number or a text", types.DoubleKind, types.IntKind, types.UintKind, types.StringKind, types.DynKind)
}

// Number compiles an expression that is a number. Errors are as of Condition.
func (f Facts) Number(field, expr string) (*Program, error) {
	return f.compile(field, expr, "a number", types.DoubleKind, types.IntKind, types.UintKind)
}

func (f Facts) compile(field, expr, want string, kinds ...types.Kind) (*Program, error) {
	env, err := f.environment()
	if err != nil {
		return nil, &Error{Field: field, Message: shorten("declare the variables: " + err.Error())}
	}
	checked, issues := env.Compile(expr)
	if err := compileError(field, issues); err != nil {
		return nil, err
	}
	if got := checked.OutputType(); !slices.Contains(kinds, got.Kind()) {
		return nil, &Error{Field: field, Message: fmt.Sprintf("the expression yields %s, want %s%s", got, want, wayOut(got, want))}
	}
	if err := f.checkFields(field, checked); err != nil {
		return nil, err
	}
	parsed, issues := env.Parse(expr)
	if err := compileError(field, issues); err != nil {
		return nil, err
	}
	inOrder(parsed.NativeRep())
	ordered, issues := env.Check(parsed)
	if err := compileError(field, issues); err != nil {
		return nil, err
	}
	p, err := plan(env, field, expr, ordered)
	if err != nil {
		return nil, err
	}
	p.checked = checked.NativeRep()
	if want == "bool" {
		// What keeps values counts no costs: the interpreter lets only one of
		// the two observe it, and says nothing.
		p.tracked, err = env.Program(ordered, cel.EvalOptions(cel.OptOptimize|cel.OptTrackState), cel.CustomDecoratorV2(guard), cel.InterruptCheckFrequency(100))
	}
	if err != nil {
		return nil, &Error{Field: field, Message: shorten(err.Error())}
	}
	return p, nil
}

func wayOut(got *cel.Type, want string) string {
	if got.Kind() == types.DynKind && want != "bool" {
		return "; num() makes it one"
	}
	return hint(got)
}

func (f Facts) environment() (*cel.Env, error) {
	env, err := factsEnvironment()
	if err != nil {
		return nil, err
	}
	var options []cel.EnvOption
	for _, name := range f.Texts {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	for _, name := range f.Maps {
		options = append(options, cel.Variable(name, cel.MapType(cel.StringType, cel.StringType)))
	}
	for name := range f.Objects {
		options = append(options, cel.Variable(name, cel.MapType(cel.StringType, cel.DynType)))
	}
	return env.Extend(options...)
}

// checkFields refuses to select a field that no object of that name has: at
// run time it would be missing for ever, and nobody would know whose fault
// that is.
func (f Facts) checkFields(field string, checked *cel.Ast) error {
	var found error
	info := checked.NativeRep().SourceInfo()
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		object, name := selected(e)
		known, ok := f.Objects[object]
		if !ok || found != nil || slices.Contains(known, name) {
			return
		}
		problem := &Error{Field: field, Message: shorten(fmt.Sprintf("%s has no field %q; it has %s", object, name, strings.Join(slices.Sorted(slices.Values(known)), ", ")))}
		problem.at(info.GetStartLocation(e.ID()))
		found = problem
	}))
	return found
}

// selected returns the names if an expression is a field of a variable.
func selected(e ast.Expr) (variable, field string) {
	var operand ast.Expr
	switch {
	case e.Kind() == ast.SelectKind:
		operand, field = e.AsSelect().Operand(), e.AsSelect().FieldName()
	case e.Kind() == ast.CallKind && indexes[e.AsCall().FunctionName()] && len(e.AsCall().Args()) == 2:
		index := e.AsCall().Args()[1]
		text, ok := types.String(""), false
		if index.Kind() == ast.LiteralKind {
			text, ok = index.AsLiteral().(types.String)
		}
		if !ok {
			return "", ""
		}
		operand, field = e.AsCall().Args()[0], string(text)
	}
	if operand == nil || operand.Kind() != ast.IdentKind {
		return "", ""
	}
	return operand.AsIdent(), field
}

var indexes = map[string]bool{operators.Index: true, operators.OptIndex: true, operators.OptSelect: true}

// inOrder turns a || b into a ? true : (b ? true : false), and a && b likewise,
// in place. The condition of a ternary has to be a bool, and if it fails so
// does the whole: that makes them strict from left to right. Macros such as
// exists() are made of the same operators, and become strict with them.
func inOrder(parsed *ast.AST) {
	factory, next := ast.NewExprFactory(), ast.MaxID(parsed)
	place := parsed.SourceInfo()
	ast.PostOrderVisit(parsed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
			return
		}
		left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
		fresh := func() int64 {
			next++
			if at, ok := place.GetOffsetRange(right.ID()); ok {
				place.SetOffsetRange(next, at)
			}
			return next
		}
		constant := func(value bool) ast.Expr { return factory.NewLiteral(fresh(), types.Bool(value)) }
		switch e.AsCall().FunctionName() {
		case operators.LogicalOr:
			second := factory.NewCall(fresh(), operators.Conditional, right, constant(true), constant(false))
			e.SetKindCase(factory.NewCall(e.ID(), operators.Conditional, left, constant(true), second))
		case operators.LogicalAnd:
			second := factory.NewCall(fresh(), operators.Conditional, right, constant(true), constant(false))
			e.SetKindCase(factory.NewCall(e.ID(), operators.Conditional, left, second, constant(false)))
		}
	}))
}

// Reads reports whether the expression, one over Facts, reads a variable.
func (p *Program) Reads(variable string) bool {
	found := false
	ast.PreOrderVisit(p.checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.IdentKind && e.AsIdent() == variable
	}))
	return found
}

// Value is what an expression over Facts came to: a number or a text. The zero
// value is an empty text.
type Value struct {
	number ref.Val // nil for a text
	text   string
}

// Compare returns -1, 0 or 1. Numbers are compared exactly, whatever their
// type, texts by their bytes; every number is below every text.
func (v Value) Compare(w Value) int {
	switch {
	case v.number == nil && w.number == nil:
		return strings.Compare(v.text, w.text)
	case v.number == nil:
		return 1
	case w.number == nil:
		return -1
	}
	order, _ := v.number.(traits.Comparer).Compare(w.number).(types.Int)
	return int(order)
}

// Value evaluates an expression that Key or Number made. Vars and errors are as
// of Eval; a number that is not finite is an error too.
func (p *Program) Value(ctx context.Context, vars map[string]any) (Value, error) {
	value, _, err := p.program.ContextEval(ctx, vars)
	if err != nil {
		return Value{}, p.evalError(ctx, err)
	}
	switch v := value.(type) {
	case types.String:
		return Value{text: string(v)}, nil
	case types.Int, types.Uint:
		return Value{number: value}, nil
	case types.Double:
		if !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) {
			return Value{number: v}, nil
		}
		return Value{}, &Error{Field: p.field, Message: "the expression yields a number that is not finite", Err: ErrNumber}
	}
	return Value{}, &Error{Field: p.field, Message: fmt.Sprintf("the expression yields %s, want a number or a text", value.Type().TypeName())}
}

// number declares num(), which is a double for a number, and for a text that is
// a decimal number such as -0.25 or 1e-05.
func number() cel.EnvOption {
	convert := cel.UnaryBinding(func(value ref.Val) ref.Val {
		n, err := parseNumber(value)
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Double(n)
	})
	var overloads []cel.FunctionOpt
	args := map[string]*cel.Type{"num_string": cel.StringType, "num_double": cel.DoubleType, "num_int": cel.IntType}
	for _, id := range slices.Sorted(maps.Keys(args)) {
		overloads = append(overloads, cel.Overload(id, []*cel.Type{args[id]}, cel.DoubleType, convert))
	}
	return cel.Function("num", overloads...)
}

// parseNumber reads a number. What else strconv takes (hexadecimals, words for
// what is not a number) has letters, and is refused by them.
func parseNumber(value ref.Val) (float64, error) {
	n := math.NaN()
	switch v := value.(type) {
	case types.Int:
		return float64(v), nil
	case types.Double:
		n = float64(v)
	case types.String:
		if parsed, err := strconv.ParseFloat(string(v), 64); err == nil && strings.Trim(string(v), "+-.0123456789eE") == "" {
			n = parsed
		}
	}
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("num: %s is %w", render(value), ErrNumber)
	}
	return n, nil
}
