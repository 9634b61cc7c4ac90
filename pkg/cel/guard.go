// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"errors"
	"fmt"
	"regexp/syntax"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// errHeavy is what a call fails with whose arguments are too large.
var errHeavy = errors.New("the values are too large")

func tooHeavy() ref.Val { return types.WrapErr(errHeavy) }

// Weights of values: one for each value, and one for this many bytes of text.
const bytesPerUnit = 10

// weight returns about how long it takes to look at all of a value, and stops
// counting at limit. A list can hold another one many times over, and that one
// again, so that a short expression makes a value which nobody can walk.
func weight(value ref.Val, limit uint64) uint64 {
	total := uint64(1)
	switch v := value.(type) {
	case types.String:
		total += uint64(len(v)) / bytesPerUnit
	case types.Bytes:
		total += uint64(len(v)) / bytesPerUnit
	case *types.Optional:
		if v.HasValue() {
			total += weight(v.GetValue(), limit)
		}
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && total < limit; {
			key := it.Next()
			total += weight(key, limit-total)
			if total < limit {
				total += weight(v.Get(key), limit-total)
			}
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && total < limit; {
			total += weight(it.Next(), limit-total)
		}
	}
	return total
}

// work is what a call does with its arguments: as much as they weigh together,
// and for those that combine each with each, as much as they weigh multiplied.
func work(overload string, args []ref.Val) uint64 {
	sum, product := uint64(0), uint64(1)
	for i, arg := range args {
		w := weight(arg, CostLimit+1)
		sum += w
		// What is searched for does not multiply what takes its place.
		if i != 1 || !replaces[overload] {
			product = min(product*w, CostLimit+1)
		}
		if sum > CostLimit {
			return sum
		}
	}
	if multiplies[overload] {
		return max(sum, product)
	}
	return sum
}

var replaces = map[string]bool{
	"string_replace_string_string":     true,
	"string_replace_string_string_int": true,
}

var multiplies = map[string]bool{
	"string_replace_string_string":     true,
	"string_replace_string_string_int": true,
	"string_index_of_string":           true,
	"string_index_of_string_int":       true,
	"string_last_index_of_string":      true,
	"string_last_index_of_string_int":  true,
	"list_join_string":                 true,
	"list_sets_contains_list":          true,
	"list_sets_equivalent_list":        true,
	"list_sets_intersects_list":        true,
}

func heavy(overload string, args []ref.Val) bool { return work(overload, args) > CostLimit }

// guard makes those operators look at the weight of their operands first that
// walk through them, and bounds regular expressions.
func guard(step interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := step.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 {
		return step, nil
	}
	switch call.Function() {
	case operators.Equals:
		return &guardedCall{call, types.Equal}, nil
	case operators.NotEquals:
		return &guardedCall{call, func(left, right ref.Val) ref.Val {
			return types.Bool(types.Equal(left, right) != types.True)
		}}, nil
	case operators.In, operators.OldIn:
		return &guardedCall{call, contains}, nil
	case overloads.Matches:
		constant, ok := call.Args()[1].(interpreter.InterpretableConst)
		if !ok {
			return &guardedCall{call, matches}, nil
		}
		if pattern, ok := constant.Value().(types.String); ok {
			return step, checkRegex(string(pattern))
		}
	}
	return step, nil
}

func matches(text, pattern ref.Val) ref.Val {
	matcher, ok := text.(traits.Matcher)
	expr, isText := pattern.(types.String)
	if !ok || !isText {
		return types.NewErr("no such overload: %s.matches(%s)", text.Type().TypeName(), pattern.Type().TypeName())
	}
	if err := checkRegex(string(expr)); err != nil {
		return types.WrapErr(err)
	}
	return matcher.Match(pattern)
}

// maxRegex bounds how many steps a regular expression may have.
const maxRegex = 2000

// checkRegex refuses an expression that is too large. The interpreter has a
// limit of its own, but its measure cannot take repetitions.
func checkRegex(expr string) error {
	if len(expr) > maxRegex {
		return fmt.Errorf("a regular expression has more than %d bytes", maxRegex)
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return err
	}
	if regexSize(parsed) > maxRegex {
		return fmt.Errorf("a regular expression has more than %d steps; repeat less", maxRegex)
	}
	return nil
}

// regexSize counts the steps of an expression, repetitions written out, and
// about no further than maxRegex.
func regexSize(re *syntax.Regexp) int {
	size := 1
	if re.Op == syntax.OpLiteral {
		size = len(re.Rune)
	}
	for _, sub := range re.Sub {
		size = min(size+regexSize(sub), maxRegex+1)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, maxRegex+1)
}

func contains(element, list ref.Val) ref.Val {
	if container, ok := list.(traits.Container); ok {
		return container.Contains(element)
	}
	return types.NewErr("no such overload: %s in %s", element.Type().TypeName(), list.Type().TypeName())
}

// guardedCall is an operator of two operands.
type guardedCall struct {
	interpreter.InterpretableCall
	operate func(left, right ref.Val) ref.Val
}

// Exec implements interpreter.InterpretableV2.
func (g *guardedCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	args := g.Args()
	left := args[0].Exec(frame)
	if types.IsUnknownOrError(left) {
		return left
	}
	right := args[1].Exec(frame)
	if types.IsUnknownOrError(right) {
		return right
	}
	if heavy("", []ref.Val{left, right}) {
		return tooHeavy()
	}
	return g.operate(left, right)
}

// Eval implements interpreter.Interpretable.
func (g *guardedCall) Eval(vars interpreter.Activation) ref.Val {
	return g.Exec(interpreter.AsFrame(vars))
}

// prices says what calls cost, by the name of the function: what is known of
// the types does not always tell which overload it will be, and then the
// interpreter charges one unit whatever the size.
type prices struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (prices) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	cost := uint64(1)
	switch function {
	case operators.Index, operators.OptIndex, operators.OptSelect, operators.Conditional, operators.LogicalAnd, operators.LogicalOr,
		operators.LogicalNot, operators.NotStrictlyFalse, overloads.Size, overloads.TypeConvertType, overloads.TypeConvertDyn:
	case operators.Add:
		cost += sumCost(args, result)
	case overloads.Matches:
		if len(args) == 2 {
			cost += textCost(args[0]) * (1 + textCost(args[1]))
		}
	default:
		cost += work(overload, args)
	}
	return &cost
}

// sumCost charges a text for every byte, since it is there from then on, and a
// list for the shorter half: so that doubling costs what it makes, and adding
// one element, as macros do, costs one.
func sumCost(args []ref.Val, result ref.Val) uint64 {
	switch sum := result.(type) {
	case types.String:
		return uint64(len(sum))
	case types.Bytes:
		return uint64(len(sum))
	case traits.Lister:
		shorter := uint64(CostLimit)
		for _, arg := range args {
			if part, ok := arg.(traits.Sizer); ok {
				if size, ok := part.Size().(types.Int); ok && size >= 0 {
					shorter = min(shorter, uint64(size))
				}
			}
		}
		return shorter
	}
	return 0
}

func textCost(value ref.Val) uint64 {
	text, _ := value.(types.String)
	return 1 + uint64(len(text))/bytesPerUnit
}
