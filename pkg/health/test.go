// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// test is one thing that a rule asks of an object. Its text, in Markdown, is
// what the documentation says.
type test interface {
	fmt.Stringer
	// ask reports whether the object passes, and what the object itself
	// says about that, if anything.
	ask(object map[string]any) (bool, answer)
}

// answer is what an object says in the place that a test has looked at.
type answer struct {
	message string
	// fact is what was found, for want of a message.
	fact string
	// since is when that came to be; zero if the object does not say.
	since time.Time
}

// condition asks whether an object has a condition of a type with a status and
// one of the reasons.
type condition struct {
	kind, status string
	reasons      []string // a trailing * stands for any ending; none for all
	unless       []string // reasons that do not count
	words        []string // one of which the message has to contain
}

func isTrue(kind string, reasons ...string) condition {
	return condition{kind: kind, status: "True", reasons: reasons}
}

func isFalse(kind string, reasons ...string) condition {
	return condition{kind: kind, status: "False", reasons: reasons}
}

func (c condition) except(reasons ...string) condition {
	c.unless = reasons
	return c
}

func (c condition) saying(words ...string) condition {
	c.words = words
	return c
}

func (c condition) ask(object map[string]any) (bool, answer) {
	found := findCondition(object, c.kind)
	if found == nil {
		return false, answer{}
	}
	reason, message := text(found, "reason"), text(found, "message")
	said := answer{message: message, fact: c.kind + " is " + text(found, "status")}
	if message == "" {
		said.message = reason
	}
	// What cannot be parsed has no time.
	said.since, _ = time.Parse(time.RFC3339, text(found, "lastTransitionTime"))
	ok := text(found, "status") == c.status &&
		(len(c.reasons) == 0 || slices.ContainsFunc(c.reasons, func(want string) bool { return matches(reason, want) })) &&
		!slices.Contains(c.unless, reason) &&
		(len(c.words) == 0 || slices.ContainsFunc(c.words, func(word string) bool { return strings.Contains(message, word) }))
	return ok, said
}

func matches(reason, want string) bool {
	if prefix, open := strings.CutSuffix(want, "*"); open {
		return strings.HasPrefix(reason, prefix)
	}
	return reason == want
}

func (c condition) String() string {
	out := "`" + c.kind + "=" + c.status + "`"
	if len(c.reasons) > 0 {
		out += " (" + either(c.reasons) + ")"
	}
	if len(c.unless) > 0 {
		out += " (not " + either(c.unless) + ")"
	}
	if len(c.words) > 0 {
		out += " (message with " + either(c.words) + ")"
	}
	return out
}

// findCondition returns the condition of a type, or nil.
func findCondition(object map[string]any, kind string) map[string]any {
	status, _ := object["status"].(map[string]any)
	list, _ := status["conditions"].([]any)
	for _, item := range list {
		if found, _ := item.(map[string]any); text(found, "type") == kind {
			return found
		}
	}
	return nil
}

func text(object map[string]any, key string) string {
	value, _ := object[key].(string)
	return value
}

// path of a field. A field that is absent, zero or empty is "".
type path []string

func at(fields string) path { return strings.Split(fields, ".") }

func (p path) String() string { return "`" + strings.Join(p, ".") + "`" }

func (p path) get(object map[string]any) any {
	value, _, _ := unstructured.NestedFieldNoCopy(object, p...)
	return value
}

func (p path) text(object map[string]any) string {
	switch value := p.get(object).(type) {
	case string:
		return value
	case bool:
		return strconv.FormatBool(value)
	case int64:
		if value != 0 {
			return strconv.FormatInt(value, 10)
		}
	}
	return ""
}

// oneOf asks whether a field has one of some values.
type oneOf struct {
	path
	values []string
}

func (p path) is(values ...string) oneOf { return oneOf{p, values} }

func (o oneOf) ask(object map[string]any) (bool, answer) {
	value := o.text(object)
	return slices.Contains(o.values, value), answer{fact: o.path[len(o.path)-1] + " is " + cmp.Or(value, "not set")}
}

func (o oneOf) String() string {
	if slices.Equal(o.values, []string{""}) {
		return o.path.String() + " unset"
	}
	return o.path.String() + " " + either(o.values)
}

// present asks whether a field exists, whatever its value.
type present struct{ path }

func (p present) ask(object map[string]any) (bool, answer) {
	_, found, _ := unstructured.NestedFieldNoCopy(object, p.path...)
	return found, answer{}
}

func (p present) String() string { return p.path.String() + " set" }

// listed asks whether a list has an item whose field has one of some values.
type listed struct {
	path
	field  string
	values []string
}

func (l listed) ask(object map[string]any) (bool, answer) {
	list, _ := l.get(object).([]any)
	return slices.ContainsFunc(list, func(item any) bool {
		fields, _ := item.(map[string]any)
		return slices.Contains(l.values, text(fields, l.field))
	}), answer{}
}

func (l listed) String() string { return l.path.String() + " has " + either(l.values) }

// amount is a number: that of a field, or how many values of a map are one of
// some.
type amount struct {
	path
	values    []string
	otherwise int64 // if the field is absent
}

func (a amount) of(object map[string]any) int64 {
	value := a.get(object)
	if len(a.values) > 0 {
		entries, _ := value.(map[string]any)
		var count int64
		for _, entry := range entries {
			if state, _ := entry.(string); slices.Contains(a.values, state) {
				count++
			}
		}
		return count
	}
	switch n := value.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return a.otherwise
}

func (a amount) String() string {
	switch {
	case len(a.values) > 0:
		return "number of " + a.path.String() + " " + either(a.values)
	case a.path == nil:
		return strconv.FormatInt(a.otherwise, 10)
	}
	return a.path.String()
}

// enough asks whether one number is at least another.
type enough struct{ have, want amount }

func (e enough) ask(object map[string]any) (bool, answer) {
	have, want := e.have.of(object), e.want.of(object)
	name := "items"
	if len(e.have.path) > 0 {
		name = e.have.path[len(e.have.path)-1]
	}
	return have >= want, answer{message: fmt.Sprintf("%s: %d/%d", name, have, want)}
}

func (e enough) String() string { return e.have.String() + " ≥ " + e.want.String() }

// all asks for several things at once. What it answers is what the first one
// says that is not so, or else the first that says anything.
type all []test

func (a all) ask(object map[string]any) (bool, answer) {
	var first answer
	for _, one := range a {
		ok, said := one.ask(object)
		if !ok {
			return false, said
		}
		if first.message == "" && (said.message != "" || first.fact == "") {
			first = said
		}
	}
	return true, first
}

func (a all) String() string {
	texts := make([]string, len(a))
	for i, one := range a {
		texts[i] = one.String()
	}
	return strings.Join(texts, " and ")
}

// not asks for the opposite.
type not struct{ test }

func (n not) ask(object map[string]any) (bool, answer) {
	ok, said := n.test.ask(object)
	return !ok, said
}

func (n not) String() string { return "not " + n.test.String() }

// always is passed by every object.
type always struct{}

func (always) ask(map[string]any) (bool, answer) { return true, answer{} }

func (always) String() string { return "always" }

// either lists alternatives for a reader.
func either(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = "`" + value + "`"
		if value == "" {
			quoted[i] = "unset"
		}
	}
	return strings.Join(quoted, " or ")
}
