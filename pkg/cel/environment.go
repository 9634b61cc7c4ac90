// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
)

// environment returns the environment without variables. A strict one also
// refuses lists and maps of mixed types, as Flux does where it knows the
// variables.
func environment(strict bool) (*cel.Env, error) {
	if strict {
		return strictEnvironment()
	}
	return openEnvironment()
}

var (
	strictEnvironment = sync.OnceValues(func() (*cel.Env, error) { return newEnvironment(cel.HomogeneousAggregateLiterals()) })
	openEnvironment   = sync.OnceValues(func() (*cel.Env, error) { return newEnvironment() })
	factsEnvironment  = sync.OnceValues(func() (*cel.Env, error) { return newEnvironment(cel.HomogeneousAggregateLiterals(), number()) })
)

func newEnvironment(more ...cel.EnvOption) (*cel.Env, error) {
	guarded, err := guardedFunctions()
	if err != nil {
		return nil, err
	}
	options := append(libraries(),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
	)
	options = append(options, guarded...)
	env, err := cel.NewEnv(append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("make the environment of expressions: %w", err)
	}
	return env, nil
}

// libraries are those that Flux offers beside the standard one.
func libraries() []cel.EnvOption {
	return []cel.EnvOption{ext.Strings(), ext.Sets(), ext.Encoders()}
}

// guardedFunctions declares the functions of the libraries once more, such
// that they look at the size of their arguments before they begin: the cost of
// a call is charged when it has returned, which is too late for one that
// multiplies what it is given.
func guardedFunctions() ([]cel.EnvOption, error) {
	env, err := cel.NewCustomEnv(libraries()...)
	if err != nil {
		return nil, fmt.Errorf("make the environment of the libraries: %w", err)
	}
	var options []cel.EnvOption
	for name, function := range env.Functions() {
		bindings, err := function.Bindings()
		if err != nil {
			return nil, fmt.Errorf("find the code of %s: %w", name, err)
		}
		var overloads []cel.FunctionOpt
		for _, overload := range function.OverloadDecls() {
			for _, binding := range bindings {
				if binding.Operator == overload.ID() {
					overloads = append(overloads, guarded(overload, binding))
				}
			}
		}
		options = append(options, cel.Function(name, overloads...))
	}
	return options, nil
}

// guarded declares an overload with a look at the arguments put first.
func guarded(overload *decls.OverloadDecl, binding *functions.Overload) cel.FunctionOpt {
	declare, id := cel.Overload, overload.ID()
	if overload.IsMemberFunction() {
		declare = cel.MemberOverload
	}
	args := overload.ArgTypes()
	refuse := func(values ...ref.Val) ref.Val {
		if heavy(id, values) {
			return tooHeavy()
		}
		return nil
	}
	var code cel.OverloadOpt
	switch {
	case binding.Unary != nil:
		code = cel.UnaryBinding(func(value ref.Val) ref.Val {
			if no := refuse(value); no != nil {
				return no
			}
			return binding.Unary(value)
		})
	case binding.Binary != nil:
		code = cel.BinaryBinding(func(left, right ref.Val) ref.Val {
			if no := refuse(left, right); no != nil {
				return no
			}
			return binding.Binary(left, right)
		})
	default:
		code = cel.FunctionBinding(func(values ...ref.Val) ref.Val {
			if no := refuse(values...); no != nil {
				return no
			}
			return binding.Function(values...)
		})
	}
	return declare(id, args, overload.ResultType(), code)
}

// declareFree declares the names that an expression uses and the environment
// does not know. A name that the expression itself introduces, in a macro,
// does no harm: the inner one wins.
func declareFree(env *cel.Env, parsed *cel.Ast) []cel.EnvOption {
	seen := map[string]bool{}
	var options []cel.EnvOption
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.IdentKind {
			return
		}
		name := strings.TrimPrefix(e.AsIdent(), ".")
		if _, known := env.CELTypeProvider().FindIdent(name); known || seen[name] || name == "" || name[0] == '@' {
			return
		}
		seen[name] = true
		options = append(options, cel.Variable(name, cel.DynType))
	}))
	return options
}
