// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// removed matches what sprig calls hermetic and is not, or is costly by design: functions that read the clock, draw random
// numbers, make keys or hash passwords.
var removed = regexp.MustCompile(`^(?:ago|durationRound|must_date_modify|mustDateModify|shuffle|rand.*|uuid.*|` +
	`bcrypt|htpasswd|derivePassword|genPrivateKey|buildCustomCert|gen(?:CA|SelfSigned|Signed).*|encryptAES|decryptAES)$`)

// functions returns all functions of templates, each of which takes what it handles from the budget.
func (b *budget) functions() template.FuncMap {
	all := template.FuncMap{
		// Those of text/template that format their arguments.
		"print": fmt.Sprint, "printf": fmt.Sprintf, "println": fmt.Sprintln,
		"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper,
	}
	for name, function := range sprig.HermeticTxtFuncMap() {
		if !removed.MatchString(name) {
			all[name] = function
		}
	}
	all["keys"], all["values"] = keys, values
	for name, function := range all {
		all[name] = b.wrap(name, function)
	}
	all[tickName], all[printName] = b.tick, b.print
	return all
}

// keys returns the keys of dictionaries, those of each sorted. Sprig's order is random.
func keys(dicts ...map[string]any) []string {
	all := []string{}
	for _, dict := range dicts {
		all = append(all, sorted(dict)...)
	}
	return all
}

// values returns the values of a dictionary in the order of its keys. Sprig's order is random.
func values(dict map[string]any) []any {
	all := []any{}
	for _, key := range sorted(dict) {
		all = append(all, dict[key])
	}
	return all
}

func sorted(dict map[string]any) []string {
	names := make([]string, 0, len(dict))
	for name := range dict {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// wrap returns the function with the same parameters that checks the budget before and after.
func (b *budget) wrap(name string, function any) any {
	f := reflect.ValueOf(function)
	t := f.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	failure := reflect.TypeFor[error]()
	wrapped := reflect.FuncOf(in, []reflect.Type{t.Out(0), failure}, t.IsVariadic())
	fail := func(err error) []reflect.Value {
		return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
	}
	return reflect.MakeFunc(wrapped, func(args []reflect.Value) []reflect.Value {
		if err := b.admit(name, args); err != nil {
			return fail(err)
		}
		call := f.Call
		if t.IsVariadic() {
			call = f.CallSlice
		}
		results := call(args)
		if len(results) > 1 {
			if err, failed := reflect.TypeAssert[error](results[1]); failed {
				return fail(err)
			}
		}
		if err := b.weighValue(results[0]); err != nil {
			return fail(err)
		}
		return []reflect.Value{results[0], reflect.Zero(failure)}
	}).Interface()
}

// admit weighs the arguments of a function, and estimates what it will make of them where that is more than their sum.
func (b *budget) admit(name string, args []reflect.Value) error {
	for _, arg := range args {
		if err := b.weighValue(arg); err != nil {
			return err
		}
	}
	if growth(name, args) > maxValue {
		return &limitError{name + " would make, or compare, too much"}
	}
	return nil
}

func (b *budget) weigh(v any) error { return b.weighValue(reflect.ValueOf(v)) }

// weighValue takes the weight of a value from the budget. A part that occurs twice counts twice, as when it is printed.
func (b *budget) weighValue(v reflect.Value) error {
	left := int64(maxValue)
	if err := weigh(v, maxDepth, &left); err != nil {
		return err
	}
	return b.spend(maxValue - left)
}
