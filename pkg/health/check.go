// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/cel"
)

// Checks are the expressions by which one owner has its objects judged. They
// come before the table and kstatus. A nil *Checks has none.
type Checks struct {
	// byKind has the checks; one without a kind serves its whole group.
	byKind map[schema.GroupKind]*check
	meter  *meter
	// over is set once they have taken too long. That ends when the spec is
	// another one.
	over atomic.Bool
}

// check is the expressions for one kind or group. inProgress and failed may be
// nil.
type check struct {
	field                       string
	id                          string
	inProgress, failed, current *cel.Program
}

// Compile compiles the health checks of a spec. field is their path in it, with
// which errors begin. It returns nil if there are none.
func Compile(field string, specs []meta.CustomHealthCheck) (*Checks, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	checks := &Checks{byKind: map[schema.GroupKind]*check{}, meter: &meter{}}
	for i, spec := range specs {
		at := fmt.Sprintf("%s[%d]", field, i)
		gk := schema.FromAPIVersionAndKind(spec.APIVersion, spec.Kind).GroupKind()
		if other := checks.byKind[gk]; other != nil {
			return nil, fmt.Errorf("%s is for the same kind as %s, %s; versions make no difference", at, other.field, name(gk))
		}
		compiled, err := compile(at, spec)
		if err != nil {
			return nil, err
		}
		checks.byKind[gk] = compiled
	}
	return checks, nil
}

func name(gk schema.GroupKind) string {
	if gk.Kind == "" {
		return "all kinds of " + cmp.Or(gk.Group, "the core group")
	}
	return gk.String()
}

func compile(field string, spec meta.CustomHealthCheck) (*check, error) {
	if spec.Current == "" {
		return nil, fmt.Errorf("%s.current is empty; say when an object is healthy", field)
	}
	hash := sha256.New()
	c := &check{field: field}
	for _, part := range []struct {
		name, expr string
		into       **cel.Program
	}{
		{"inProgress", spec.InProgress, &c.inProgress},
		{"failed", spec.Failed, &c.failed},
		{"current", spec.Current, &c.current},
	} {
		fmt.Fprintf(hash, "%s.%s %d %s\n", field, part.name, len(part.expr), part.expr)
		if part.expr == "" {
			continue
		}
		program, err := cel.CompileOpen(field+"."+part.name, part.expr)
		if err != nil {
			return nil, err
		}
		*part.into = program
	}
	c.id = hex.EncodeToString(hash.Sum(nil)[:16])
	return c, nil
}

// Continue has the checks answer for what the ones before them have spent: a
// new spec is no new allowance.
func (c *Checks) Continue(before *Checks) {
	if c != nil && before != nil {
		c.meter = before.meter
	}
}

// ID identifies what an object of a kind is judged by; empty for the table and
// kstatus. Expressions that are written alike have the same.
func (c *Checks) ID(gk schema.GroupKind) string {
	if found := c.find(gk); found != nil {
		return found.id
	}
	return ""
}

func (c *Checks) find(gk schema.GroupKind) *check {
	if c == nil {
		return nil
	}
	if found := c.byKind[gk]; found != nil {
		return found
	}
	return c.byKind[schema.GroupKind{Group: gk.Group}]
}

// Of computes the health of a live object, by the expressions for its kind if
// there are any. One that fails to evaluate leaves the object Unknown.
func (c *Checks) Of(obj *unstructured.Unstructured) Result {
	found := c.find(obj.GroupVersionKind().GroupKind())
	if found == nil {
		return Of(obj)
	}
	usual := Of(obj)
	result := found.judge(obj, usual, c.eval)
	result.Message = clip(result.Message)
	result.Ends = usual.Ends
	result.Finished = usual.Finished && (result.Status == Current || result.Status == Failed)
	if result.Status == InProgress && usual.Status == Queued {
		// The order of the expressions has no word for that.
		result.Status, result.Message = Queued, usual.Message
	}
	return result
}

// errSpent says that an owner's expressions have taken more time than is good
// for the others.
var errSpent = errors.New("the expressions take too long for the objects that they judge; look at less")

// judge asks the expressions. The order is Flux's.
func (c *check) judge(obj *unstructured.Unstructured, usual Result, eval func(*cel.Program, map[string]any) (bool, error)) Result {
	// A generation that is not a number is left to the expressions.
	observed, found, err := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	if err == nil && found && observed != obj.GetGeneration() {
		return Result{Status: InProgress, Message: unseen(obj)}
	}
	content := obj.Object
	if _, found := content["status"]; !found {
		// An object that no controller has seen has none; to look into it is
		// no fault of the expression.
		content = maps.Clone(content)
		content["status"] = map[string]any{}
	}
	for _, ask := range []struct {
		program *cel.Program
		name    string
		status  Status
	}{{c.inProgress, "inProgress", InProgress}, {c.failed, "failed", Failed}, {c.current, "current", Current}} {
		if ask.program == nil {
			continue
		}
		yes, err := eval(ask.program, content)
		switch {
		case errors.Is(err, errSpent):
			return Result{Status: Unknown, Message: c.field + ": " + err.Error()}
		case err != nil:
			return Result{Status: Unknown, Message: err.Error()}
		case yes && ask.status == Current:
			return Result{Status: Current}
		case yes:
			return Result{Status: ask.status, Message: cmp.Or(usual.Message, c.field+"."+ask.name+" is true")}
		}
	}
	return Result{Status: InProgress, Message: cmp.Or(usual.Message, c.field+".current is not true")}
}

// eval evaluates an expression, unless they have taken too long before.
func (c *Checks) eval(program *cel.Program, content map[string]any) (bool, error) {
	if c.over.Load() {
		return false, errSpent
	}
	start := time.Now()
	yes, err := program.Eval(context.Background(), content)
	if now := time.Now(); !c.meter.take(now.Sub(start), now) {
		c.over.Store(true)
	}
	return yes, err
}
