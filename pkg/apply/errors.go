// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// ObjectError says what the API server refused to do with one object.
type ObjectError struct {
	Ref inventory.Ref
	// Doing is what was tried: "dry-run", "apply", "delete".
	Doing string
	// Origin is where the object comes from, or "".
	Origin string
	// Advice is the way out if a change is immutable. Empty: the force
	// annotation.
	Advice string
	Err    error
}

func (e *ObjectError) Error() string {
	reason := ""
	if r := apierrors.ReasonForError(e.Err); r != metav1.StatusReasonUnknown {
		reason = fmt.Sprintf(" (%s)", r)
	}
	if e.Origin != "" {
		reason += " (" + e.Origin + ")"
	}
	return fmt.Sprintf("%s %s failed%s: %s%s", e.Ref, e.Doing, reason, e.cause(), e.hint())
}

// Unwrap returns the API server's error.
func (e *ObjectError) Unwrap() error { return e.Err }

// cause is the API server's text. What it says of a Secret may quote the
// Secret, so that is reduced to the fields at fault.
func (e *ObjectError) cause() string {
	if e.Ref.Group != "" || e.Ref.Kind != "Secret" {
		return e.Err.Error()
	}
	var fields []string
	var status apierrors.APIStatus // not an error type, so AsType does not do
	if errors.As(e.Err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Field != "" {
				fields = append(fields, fmt.Sprintf("%s: %s", cause.Field, cause.Type))
			}
		}
	}
	switch {
	case len(fields) > 0:
		slices.Sort(fields)
		return strings.Join(slices.Compact(fields), ", ")
	case apierrors.IsInvalid(e.Err), apierrors.IsBadRequest(e.Err), apierrors.IsInternalError(e.Err):
		return "the API server rejects its content"
	}
	return e.Err.Error()
}

func (e *ObjectError) hint() string {
	switch {
	case meta.IsNoMatchError(e.Err):
		return "; install its CustomResourceDefinition first, or declare it in the same set"
	case strings.Contains(e.Err.Error(), "field not declared in schema"):
		return "; its metadata.managedFields are of another version of the kind: reset them to [{}] with a JSON patch"
	case e.Advice != "" && immutable(e.Err):
		return "; " + e.Advice
	case strings.Contains(e.Err.Error(), "immutable"):
		return "; to have it deleted and created anew, set its force annotation to enabled"
	}
	return ""
}

// maxErrors is how many errors a message spells out.
const maxErrors = 5

// joinErrors makes one error of many: the first five in the order given, then
// how many more there are.
func joinErrors(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	if rest := len(errs) - maxErrors; rest > 0 {
		errs = append(slices.Clone(errs[:maxErrors]), fmt.Errorf("and %d more", rest))
	}
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return &joined{text: strings.Join(texts, "; "), errs: errs}
}

// joined is errors.Join on one line.
type joined struct {
	text string
	errs []error
}

func (j *joined) Error() string   { return j.text }
func (j *joined) Unwrap() []error { return j.errs }

// Join makes one error of those that are not nil: the first five in the order
// given, then how many more there are. It returns nil if there are none.
func Join(errs []error) error {
	return joinErrors(slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil }))
}
