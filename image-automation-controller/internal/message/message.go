// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"errors"
	"fmt"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/types"
)

// Default is the message without a template.
const Default = "Update from image update automation"

// maxOutput bounds what a template writes, in bytes.
const maxOutput = 64 << 10

// ErrRemovedField is the class of templates that use a field which Flux has removed. No retry helps.
var ErrRemovedField = errors.New("removed template field")

// ErrTemplate is the class of templates that fail on the data of a commit.
var ErrTemplate = errors.New("template failed")

// runError is such a failure.
type runError struct{ err error }

func (e *runError) Error() string { return "failed to run template from spec: " + e.err.Error() }

// Unwrap returns the cause.
func (e *runError) Unwrap() error { return e.err }

// Is makes it an ErrTemplate.
func (e *runError) Is(target error) bool { return target == ErrTemplate }

// removedFieldError has Flux's text.
type removedFieldError struct{ text string }

func (e *removedFieldError) Error() string { return e.text }

// Is makes it an ErrRemovedField.
func (e *removedFieldError) Is(target error) bool { return target == ErrRemovedField }

// Template is a compiled template. It is safe for concurrent use.
type Template struct{ parsed *template.Template }

// Compile reads a template of Go's package text/template with the functions of sprig that give the same result everywhere
// and always. An empty text is Default. The error is an ErrRemovedField where one is used; a template that only uses one
// on some data fails when it is rendered.
func Compile(text string) (*Template, error) {
	if text == "" {
		text = Default
	}
	parsed, err := template.New("commit message").Funcs(new(budget).functions()).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("unable to create commit message template from spec: %w", err)
	}
	if err := meter(parsed); err != nil {
		return nil, fmt.Errorf("unable to create commit message template from spec: %w", err)
	}
	t := &Template{parsed}
	sample := Data{AutomationObject: types.NamespacedName{Namespace: "default", Name: "sample"}}
	sample.Changed.Add("sample.yaml", Object("v1", "Pod", "default", "sample"), Change{"sample:1", "sample:2", "default:sample"})
	if _, err := t.Render(sample); errors.Is(err, ErrRemovedField) {
		return nil, err
	}
	return t, nil
}

// Render writes a message. Values that come from files and registries are each one printable line of at most 512 bytes,
// and the result holds no control characters but newlines and tabs. Output, memory and time are bounded. A result without
// text is Default.
func (t *Template) Render(d Data) (string, error) {
	d.Changed = d.Changed.printable()
	clone, err := t.parsed.Clone()
	if err != nil {
		return "", &runError{err}
	}
	b := newBudget()
	var out output
	if err := clone.Funcs(b.functions()).Execute(&out, d); err != nil {
		return "", explain(err)
	}
	text := printableText(out.String())
	if strings.TrimSpace(text) == "" {
		return Default, nil
	}
	return text, nil
}

// explain turns an error of execution into one for the user.
func explain(err error) error {
	text := err.Error()
	const more = "See: https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template"
	switch {
	case strings.Contains(text, "can't evaluate field Updated in type message.Data"):
		return &removedFieldError{"template uses removed '.Updated' field. Please use '.Changed' instead. " + more}
	case strings.Contains(text, "can't evaluate field ImageResult in type message.Changed"):
		return &removedFieldError{"template uses removed '.Changed.ImageResult' field. Please use '.Changed.FileChanges' or '.Changed.Objects' instead. " + more}
	}
	if limit, found := errors.AsType[*limitError](err); found {
		return &runError{limit}
	}
	return &runError{err}
}

// output is a text of bounded size.
type output struct{ strings.Builder }

// Write appends, or fails at the bound.
func (o *output) Write(p []byte) (int, error) {
	if o.Len()+len(p) > maxOutput {
		return 0, &limitError{fmt.Sprintf("it writes more than %d bytes", maxOutput)}
	}
	return o.Builder.Write(p)
}
