// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"iter"
	"math"
	"reflect"
	"strings"
)

// maxDepth bounds how deep values are nested. A dictionary may hold itself.
const maxDepth = 64

// weigh takes the size of a value from left: about what it takes to hold or to print it.
func weigh(v reflect.Value, depth int, left *int64) error {
	*left -= 16
	if v.Kind() == reflect.String {
		*left -= int64(v.Len())
	}
	if *left < 0 {
		return &limitError{fmt.Sprintf("a value has more than %d bytes", maxValue)}
	}
	if depth == 0 {
		return &limitError{fmt.Sprintf("a value has more than %d levels", maxDepth)}
	}
	for part := range parts(v) {
		if err := weigh(part, depth-1, left); err != nil {
			return err
		}
	}
	return nil
}

// parts are the values that a value is made of.
func parts(v reflect.Value) iter.Seq[reflect.Value] {
	return func(yield func(reflect.Value) bool) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				yield(v.Elem())
			}
		case reflect.Struct:
			for _, field := range v.Fields() {
				if !yield(field) {
					return
				}
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				if !yield(v.Index(i)) {
					return
				}
			}
		case reflect.Map:
			for each := v.MapRange(); each.Next(); {
				if !yield(each.Key()) || !yield(each.Value()) {
					return
				}
			}
		default: // A number, a text, or nothing.
		}
	}
}

// growth estimates what a function makes that is more than the sum of its arguments, in bytes, or how often it compares.
// It is 0 for the others. The arguments have the types of the function's parameters.
func growth(name string, args []reflect.Value) float64 {
	switch name {
	case "repeat":
		return number(args[0]) * length(args[1])
	case "indent", "nindent":
		return number(args[0]) * (1 + lines(args[1]))
	case "replace":
		return (1 + float64(strings.Count(args[2].String(), args[0].String()))) * length(args[1])
	case "join":
		return length(args[0]) * length(args[1])
	case "wrapWith":
		return length(args[1]) * length(args[2])
	case "until", "untilStep":
		return sum(args)
	case "seq":
		return sum(elements(args[0]))
	case "printf":
		return formatted(args[0].String(), args[1])
	case "uniq", "mustUniq":
		return length(args[0]) * length(args[0])
	case "without", "mustWithout":
		return length(args[0]) * length(args[1])
	}
	if strings.HasPrefix(name, "regex") || strings.HasPrefix(name, "mustRegex") {
		return regex(args)
	}
	return 0
}

// number returns the magnitude of an integer.
func number(v reflect.Value) float64 { return math.Abs(float64(v.Int())) }

func sum(values []reflect.Value) float64 {
	total := 0.0
	for _, v := range values {
		total += number(v)
	}
	return total
}

func elements(list reflect.Value) []reflect.Value {
	all := make([]reflect.Value, list.Len())
	for i := range all {
		all[i] = list.Index(i)
	}
	return all
}

// length returns the length of what has one, in any number of interfaces, and 1 for the rest.
func length(v reflect.Value) float64 {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Array, reflect.Map:
		return float64(v.Len())
	default:
		return 1
	}
}

func lines(v reflect.Value) float64 { return float64(strings.Count(v.String(), "\n")) }

// regex multiplies the lengths of the texts: the time that a match takes, and what replacements make, grow with it.
func regex(args []reflect.Value) float64 {
	product := 1.0
	for _, arg := range args {
		if arg.Kind() == reflect.String {
			product *= 1 + length(arg)
		}
	}
	return product
}

// formatted estimates the result of printf. A format may name an argument many times, and widths beyond what a message
// needs.
func formatted(format string, args reflect.Value) float64 {
	const maxWidth = 1000
	left := int64(maxValue)
	if wide(format) || weigh(args, maxDepth, &left) != nil {
		return math.Inf(1)
	}
	return float64(strings.Count(format, "%")) * min(float64(maxValue-left)+maxWidth, maxValue)
}

// wide tells whether a verb of a format has a width or precision of more than three digits, or takes one from an argument.
func wide(format string) bool {
	for _, verb := range strings.Split(format, "%")[1:] {
		flags := verb[:len(verb)-len(strings.TrimLeft(verb, "+-# .[]*0123456789"))]
		if strings.Contains(flags, "*") {
			return true
		}
		for digits := range strings.FieldsFuncSeq(flags, func(r rune) bool { return r < '0' || r > '9' }) {
			if len(digits) > 3 {
				return true
			}
		}
	}
	return false
}
