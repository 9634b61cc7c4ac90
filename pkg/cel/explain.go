// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// Explain evaluates an expression that Condition made and tells with what
// values it came to its result: the comparisons and other conditions that were
// looked at, that &&, ||, ! and ?: combine, and that speak for the result, each
// with the values in place of what they were read from, such as 0.931>=0.926.
// Texts are quoted, printable and shortened. Vars and errors are as of Eval.
func (p *Program) Explain(ctx context.Context, vars map[string]any) (result bool, terms []string, err error) {
	// The first evaluation is the one whose cost is limited.
	met, err := p.Eval(ctx, vars)
	if err != nil {
		return false, nil, err
	}
	_, details, err := p.tracked.ContextEval(ctx, vars)
	if err != nil {
		return false, nil, p.evalError(ctx, err)
	}
	e := explainer{checked: p.checked, state: details.State()}
	e.walk(p.checked.Expr(), met, "")
	return met, e.terms, nil
}

type explainer struct {
	checked *ast.AST
	state   interpreter.EvalState
	terms   []string
}

// walk adds those conditions of an expression that were evaluated to want.
func (e *explainer) walk(expr ast.Expr, want bool, prefix string) {
	if expr.Kind() == ast.CallKind {
		call := expr.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			e.walk(args[0], want, prefix)
			e.walk(args[1], want, prefix)
			return
		case operators.Conditional:
			e.walk(args[1], want, prefix)
			e.walk(args[2], want, prefix)
			return
		case operators.LogicalNot:
			if prefix == "" {
				e.walk(args[0], !want, "!")
			} else {
				e.walk(args[0], !want, "")
			}
			return
		}
	}
	value, evaluated := e.state.Value(expr.ID())
	if met, ok := value.(types.Bool); !evaluated || !ok || bool(met) != want {
		return
	}
	text := e.condition(expr)
	if text == "" {
		return
	}
	if prefix != "" {
		text = prefix + "(" + text + ")"
	}
	e.terms = append(e.terms, text)
}

var comparisons = map[string]string{
	operators.Equals: "==", operators.NotEquals: "!=", operators.In: " in ",
	operators.Less: "<", operators.LessEquals: "<=", operators.Greater: ">", operators.GreaterEquals: ">=",
}

// condition writes one condition with values, or nothing if it has none, as
// has() and constants.
func (e *explainer) condition(expr ast.Expr) string {
	if expr.Kind() != ast.CallKind {
		return ""
	}
	call := expr.AsCall()
	if sign, ok := comparisons[call.FunctionName()]; ok {
		return e.comparison(call.Args()[0], call.Args()[1], sign)
	}
	args := make([]string, len(call.Args()))
	for i, arg := range call.Args() {
		args[i] = e.show(arg)
	}
	text := call.FunctionName() + "(" + strings.Join(args, ",") + ")"
	if call.IsMemberFunction() {
		text = e.show(call.Target()) + "." + text
	}
	return text
}

func (e *explainer) comparison(left, right ast.Expr, sign string) string {
	l, r := e.show(left), e.show(right)
	if l == r {
		// Numbers that differ only in digits which render leaves out.
		a, isNumber := e.value(left).(types.Double)
		b, both := e.value(right).(types.Double)
		if isNumber && both && a != b {
			l, r = strconv.FormatFloat(float64(a), 'g', -1, 64), strconv.FormatFloat(float64(b), 'g', -1, 64)
		}
	}
	return l + sign + r
}

func (e *explainer) value(expr ast.Expr) ref.Val {
	if expr.Kind() == ast.LiteralKind {
		return expr.AsLiteral()
	}
	value, _ := e.state.Value(expr.ID())
	return value
}

// show writes the value of an expression, or the expression itself if that is
// shorter than what it stands for.
func (e *explainer) show(expr ast.Expr) string {
	if expr.Kind() == ast.ListKind {
		elements := expr.AsList().Elements()
		var parts []string
		for i, element := range elements {
			if i == maxElements {
				parts = append(parts, "…")
				break
			}
			parts = append(parts, e.show(element))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	if text := render(e.value(expr)); text != "" {
		return text
	}
	return written(e.checked, expr)
}

// written returns an expression as it is written, in one line and shortened.
func written(in *ast.AST, expr ast.Expr) string {
	text, err := cel.ExprToString(expr, in.SourceInfo())
	if err != nil {
		return "?"
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxWritten {
		return strings.ToValidUTF8(text[:maxWritten], "") + "…"
	}
	return text
}

// describe says what an evaluation failed with in the words of the expression:
// the interpreter names the key that is missing, but not of what.
func (p *Program) describe(e *Error, id int64) {
	if p.checked == nil || e.Err == nil {
		return
	}
	var at ast.Expr
	ast.PreOrderVisit(p.checked.Expr(), ast.NewExprVisitor(func(expr ast.Expr) {
		if expr.ID() == id {
			at = expr
		}
	}))
	if at == nil {
		return
	}
	switch {
	case errors.Is(e.Err, ErrNumber):
		e.Message = shorten(written(p.checked, at) + ": " + strings.TrimPrefix(e.Message, "num: "))
	case errors.Is(e.Err, ErrMissing) && at.Kind() == ast.CallKind && at.AsCall().Args()[len(at.AsCall().Args())-1].Kind() != ast.LiteralKind:
		e.Message = shorten(written(p.checked, at) + " is missing: " + e.Message)
	case errors.Is(e.Err, ErrMissing):
		e.Message = shorten(written(p.checked, at) + " is missing")
	}
}

// How many bytes of a text and of an expression are shown, and how many
// elements of a list.
const (
	maxText     = 64
	maxWritten  = 120
	maxElements = 8
)

// render writes a number, a text, a bool or null in one printable line, and
// nothing of what is larger.
func render(value ref.Val) string {
	switch v := value.(type) {
	case types.String:
		return quote(string(v))
	case types.Double:
		// Twelve digits leave out what is an artefact of binary fractions.
		return strconv.FormatFloat(float64(v), 'g', 12, 64)
	case types.Int:
		return strconv.FormatInt(int64(v), 10)
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10)
	case types.Bool:
		return strconv.FormatBool(bool(v))
	case types.Null:
		return "null"
	}
	return ""
}

func quote(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return strconv.Quote(text)
}
