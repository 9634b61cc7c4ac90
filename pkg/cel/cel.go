// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package cel evaluates the expressions that specs hold, in the Common
// Expression Language with the functions that Flux offers, and num() where
// there are Facts. Expressions come from tenants: what one costs is limited, in
// time and in memory.
package cel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// CostLimit bounds one evaluation: about one unit for each step, and one for
// every ten bytes of text that a step looks at. To go through the conditions
// of an object takes some tens; at the limit about a second has passed, since
// counting grows with the square of the steps.
const CostLimit = 100_000

// What an evaluation can fail with, beside an ended context; to be told apart
// with errors.Is.
var (
	// ErrMissing says that the expression reads a field or an element that
	// is not there. An expression that asks first, with has() or .?, does
	// not fail.
	ErrMissing = errors.New("missing")
	// ErrCost says that the evaluation would cost more than CostLimit.
	ErrCost = errors.New("too expensive")
	// ErrNumber says that num() was given what is no decimal number.
	ErrNumber = errors.New("not a decimal number")
)

// Program is a compiled expression. It can be used by many at a time.
type Program struct {
	field   string
	source  common.Source
	program cel.Program
	where   func(id int64) common.Location
	// Of expressions over Facts alone: the expression as it is written, and
	// of conditions a program that keeps all values, and does not count costs.
	checked *ast.AST
	tracked cel.Program
}

// Compile compiles an expression over the named variables, each of which
// holds an object as it is in JSON, and checks its types as far as they are
// known: a field of an object can be anything. The expression as a whole has
// to be a bool, as in Flux: a field alone has to be compared with true. Field
// is the path of the expression in the spec; errors, of type *Error, begin
// with it.
func Compile(field, expr string, variables ...string) (*Program, error) {
	env, err := environment(true)
	if err != nil {
		return nil, err
	}
	options := make([]cel.EnvOption, len(variables))
	for i, name := range variables {
		options[i] = cel.Variable(name, cel.MapType(cel.StringType, cel.DynType))
	}
	if env, err = env.Extend(options...); err != nil {
		return nil, &Error{Field: field, Message: shorten("declare the variables: " + err.Error())}
	}
	checked, issues := env.Compile(expr)
	if err := compileError(field, issues); err != nil {
		return nil, err
	}
	if got := checked.OutputType(); !got.IsExactType(cel.BoolType) {
		return nil, &Error{Field: field, Message: fmt.Sprintf("the expression yields %s, want bool%s", got, hint(got))}
	}
	return plan(env, field, expr, checked)
}

func hint(got *cel.Type) string {
	if got.Kind() == types.DynKind {
		return "; compare it with something, such as true"
	}
	return ""
}

// CompileOpen compiles an expression over the fields of one object, which can
// have any names. What they hold is unknown, so only the syntax, the functions
// and the types of constants are checked. Errors are as of Compile.
func CompileOpen(field, expr string) (*Program, error) {
	env, err := environment(false)
	if err != nil {
		return nil, err
	}
	parsed, issues := env.Parse(expr)
	if err := compileError(field, issues); err != nil {
		return nil, err
	}
	if env, err = env.Extend(declareFree(env, parsed)...); err != nil {
		return nil, &Error{Field: field, Message: shorten("declare the fields of the object: " + err.Error())}
	}
	checked, issues := env.Check(parsed)
	if err := compileError(field, issues); err != nil {
		return nil, err
	}
	if got := checked.OutputType(); !got.IsExactType(cel.BoolType) && got.Kind() != types.DynKind {
		return nil, &Error{Field: field, Message: fmt.Sprintf("the expression yields %s, want bool", got)}
	}
	return plan(env, field, expr, checked)
}

func plan(env *cel.Env, field, expr string, checked *cel.Ast) (*Program, error) {
	program, err := env.Program(checked,
		cel.EvalOptions(cel.OptOptimize),
		cel.CustomDecoratorV2(guard),
		cel.CostTracking(prices{}),
		cel.CostLimit(CostLimit),
		cel.InterruptCheckFrequency(100),
	)
	if err != nil {
		return nil, &Error{Field: field, Message: shorten(err.Error())}
	}
	return &Program{
		field:   field,
		source:  common.NewTextSource(expr),
		program: program,
		where:   checked.NativeRep().SourceInfo().GetStartLocation,
	}, nil
}

// String returns the expression.
func (p *Program) String() string { return p.source.Content() }

// Eval evaluates the expression. Vars holds the variables by name, or the
// content of the object if the expression is an open one; it is not changed.
// An error is of type *Error and wraps ErrMissing, ErrCost, the cause of the
// end of ctx, or none of these if the types do not fit.
func (p *Program) Eval(ctx context.Context, vars map[string]any) (bool, error) {
	value, _, err := p.program.ContextEval(ctx, vars)
	if err != nil {
		return false, p.evalError(ctx, err)
	}
	result, ok := value.(types.Bool)
	if !ok {
		return false, &Error{Field: p.field, Message: fmt.Sprintf("the expression yields %s, want bool", value.Type().TypeName())}
	}
	return bool(result), nil
}

// Error says what is wrong with an expression.
type Error struct {
	// Field is the path of the expression in the spec.
	Field string
	// Line and Column of the part at fault, from 1; Line is zero if it is the
	// whole, Column if it is the whole line.
	Line, Column int
	// Message says what is wrong, in one line.
	Message string
	// Err is one of the errors that callers tell apart, or nil.
	Err error
}

func (e *Error) Error() string {
	at := ""
	if e.Line > 0 {
		at = strconv.Itoa(e.Line) + ":" + strconv.Itoa(max(e.Column, 1)) + ": "
	}
	return e.Field + ": " + at + e.Message
}

// Unwrap returns what callers tell apart.
func (e *Error) Unwrap() error { return e.Err }

// compileError returns the first of the issues, or nil.
func compileError(field string, issues *cel.Issues) error {
	if issues == nil || len(issues.Errors()) == 0 {
		return nil
	}
	first := issues.Errors()[0]
	e := &Error{Field: field, Message: shorten(first.Message)}
	e.at(first.Location)
	return e
}

// evalError says where and why an evaluation failed.
func (p *Program) evalError(ctx context.Context, err error) error {
	e := &Error{Field: p.field, Message: shorten(err.Error())}
	at, located := errors.AsType[*types.Err](err)
	if located {
		e.at(p.where(at.NodeID()))
	}
	canceled, interrupted := errors.AsType[interpreter.EvalCancelledError](err)
	switch {
	case interrupted && canceled.Cause == interpreter.CostLimitExceeded, errors.Is(err, errHeavy):
		e.Err, e.Message = ErrCost, fmt.Sprintf("the evaluation takes more than %d steps; look at less, or at smaller fields", CostLimit)
		e.Line, e.Column = 0, 0
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case missing(e.Message):
		e.Err = ErrMissing
	case errors.Is(err, ErrNumber):
		e.Err = ErrNumber
	}
	if located {
		p.describe(e, at.NodeID())
	}
	return e
}

// missing reports whether a message of the interpreter, which has no type for
// it, speaks of something that is not there.
func missing(message string) bool {
	for _, prefix := range []string{"no such key", "no such attribute", "index out of bounds"} {
		if strings.HasPrefix(message, prefix) {
			return true
		}
	}
	return false
}

// at notes the place of an error. Columns are counted from 0 there.
func (e *Error) at(location common.Location) {
	if location != nil && location.Line() > 0 {
		e.Line, e.Column = location.Line(), location.Column()+1
	}
}

// maxMessage bounds the text of an error, which can quote the expression.
const maxMessage = 300

func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		return strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}
