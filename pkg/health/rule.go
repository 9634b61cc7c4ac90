// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rule tells the health of the objects of some kinds. Of each list of tests
// one has to pass.
type rule struct {
	group string
	kinds []string

	// ends is passed by objects that run to completion. They are finished
	// once done or failed.
	ends test
	done []test
	// suspend is a field that holds the object back while it is true. In a
	// queue that means that it waits, otherwise that somebody wants it so.
	suspend path
	// waits is passed by objects that wait in a queue, if they are neither
	// failed nor current.
	waits []test
	// idle is passed by objects that are stopped because somebody wants it.
	idle []test

	// inProgress goes before failed, and failed before current. An object
	// that passes none of them is in progress.
	inProgress, failed, current []test

	// confirm is how long a failure has to stand before it counts: a failure
	// of this kind may be over by itself.
	confirm time.Duration
	// message is where the object says what is wrong, other than in the
	// conditions that the tests look at.
	message path
	// why are the tests that tell best what an object waits for.
	why []test
	// progress is what is done of what there is to do.
	progress *enough
	// others leaves what is neither in progress nor failed to kstatus.
	others bool

	// source says where the meaning of all this is written down.
	source string
}

// judge computes the health of an object of the rule's kind.
func (r *rule) judge(obj *unstructured.Unstructured) Result {
	object := obj.Object
	ends := r.ends != nil && passes(r.ends, object)
	result := Result{Ends: ends}
	if finished, ok := r.finished(object, ends); ok {
		return finished
	}
	if obj.GetDeletionTimestamp() != nil {
		result.Status, result.Message = Terminating, obj.GetKind()+" is being deleted"
		return result
	}
	if r.suspend.text(object) == "true" {
		return r.held(obj, result)
	}
	if message := unseen(obj); message != "" {
		result.Status, result.Message = InProgress, message
		return result
	}
	if ok, said := first(r.inProgress, object); ok {
		result.Status, result.Message = InProgress, r.explain(obj.Object, said)
		return result
	}
	if ok, said := first(r.failed, object); ok {
		return r.failure(obj, result, said)
	}
	if some(r.idle, object) || some(r.current, object) || some(r.done, object) {
		result.Status = Current
		return result
	}
	if some(r.waits, object) {
		result.Status, result.Message = Queued, waitingFor(obj)
		return result
	}
	if r.others {
		return byKstatus(obj)
	}
	result.Status, result.Message = InProgress, r.missing(obj, ends)
	return result
}

// finished judges objects that have run to completion. That is final: it
// counts even while the object is being deleted, or suspended.
func (r *rule) finished(object map[string]any, ends bool) (Result, bool) {
	if !ends || some(r.inProgress, object) {
		return Result{}, false
	}
	if ok, said := first(r.failed, object); ok {
		return Result{Status: Failed, Message: r.explain(object, said), Finished: true, Ends: true}, true
	}
	if some(r.done, object) {
		return Result{Status: Current, Finished: true, Ends: true}, true
	}
	return Result{}, false
}

// held judges an object that is suspended: by its queue, or because somebody
// wants it so.
func (r *rule) held(obj *unstructured.Unstructured, result Result) Result {
	if InQueue(obj) {
		result.Status, result.Message = Queued, waitingFor(obj)
		return result
	}
	if ok, said := first(r.inProgress, obj.Object); ok {
		result.Status, result.Message = InProgress, r.explain(obj.Object, said)
		return result
	}
	result.Status = Current
	return result
}

// failure is a failure that may have to stand for a while before it counts.
func (r *rule) failure(obj *unstructured.Unstructured, result Result, said answer) Result {
	result.Status, result.Message = Failed, r.explain(obj.Object, said)
	if r.confirm > 0 && !said.since.IsZero() {
		result.FailedAt = said.since.Add(r.confirm).Unix()
	}
	return result
}

// explain is what the object says where a test has passed, or elsewhere.
func (r *rule) explain(object map[string]any, said answer) string {
	return cmp.Or(said.message, r.message.text(object), said.fact)
}

// missing says what keeps an object from being current.
func (r *rule) missing(obj *unstructured.Unstructured, ends bool) string {
	if r.progress != nil {
		return fmt.Sprintf("%s has completed %d of %d pods", obj.GetKind(), r.progress.have.of(obj.Object), r.progress.want.of(obj.Object))
	}
	if message := r.message.text(obj.Object); message != "" {
		return message
	}
	if ok, said := first(r.why, obj.Object); ok && said.message != "" {
		return said.message
	}
	for _, one := range r.current {
		if _, said := one.ask(obj.Object); said.message != "" {
			return said.message
		}
	}
	if ends {
		return obj.GetKind() + " has not finished"
	}
	return obj.GetKind() + " is not ready"
}

// unseen tells that the status speaks of an older generation, or returns "".
// A status that names no generation is taken for the latest.
func unseen(obj *unstructured.Unstructured) string {
	const format = "%s generation is %d, but latest observed generation is %v"
	observed, _, _ := unstructured.NestedFieldNoCopy(obj.Object, "status", "observedGeneration")
	generation := obj.GetGeneration()
	switch value := observed.(type) {
	case int64:
		if value != generation {
			return fmt.Sprintf(format, obj.GetKind(), generation, value)
		}
	case string: // Argo's kinds
		if value != "" && value != strconv.FormatInt(generation, 10) {
			return fmt.Sprintf(format, obj.GetKind(), generation, value)
		}
	}
	return ""
}

func passes(one test, object map[string]any) bool {
	ok, _ := one.ask(object)
	return ok
}

// first returns what the first test says that passes.
func first(tests []test, object map[string]any) (bool, answer) {
	for _, one := range tests {
		if ok, said := one.ask(object); ok {
			return true, said
		}
	}
	return false, answer{}
}

func some(tests []test, object map[string]any) bool {
	ok, _ := first(tests, object)
	return ok
}

// rules by kind.
var rules = func() map[schema.GroupKind]*rule {
	index := map[schema.GroupKind]*rule{}
	for i := range table {
		for _, kind := range table[i].kinds {
			index[schema.GroupKind{Group: table[i].group, Kind: kind}] = &table[i]
		}
	}
	return index
}()

// RunsToCompletion reports whether objects of a kind may end by themselves, so
// that one that is gone may have done its work.
func RunsToCompletion(gk schema.GroupKind) bool {
	r := rules[gk]
	return r != nil && r.ends != nil
}

// Row describes the rule of some kinds to a reader, in Markdown.
type Row struct {
	Group string
	Kinds []string
	// RunsToCompletion is empty, "yes", or says when.
	RunsToCompletion string
	// Healthy, Failed and Queued say when an object is; empty for never.
	Healthy, Failed, Queued string
	// InProgress says when an object is neither healthy nor failed yet,
	// whatever else holds; empty for never.
	InProgress string
	// Source of the meaning of the fields.
	Source string
}

// Table describes all rules, in the order in which they are documented.
func Table() []Row {
	rows := make([]Row, len(table))
	for i, r := range table {
		rows[i] = Row{
			Group: r.group, Kinds: r.kinds, Source: r.source,
			Healthy:    describe(r.done, r.current, r.idle),
			Failed:     describe(r.failed),
			Queued:     describe(r.waits),
			InProgress: describe(r.inProgress),
		}
		if r.suspend != nil {
			rows[i].Queued = join("; ", r.suspend.String()+" `true`, with the mark of a queue", rows[i].Queued)
		}
		if r.others {
			rows[i].Healthy = join("; ", rows[i].Healthy, "as kstatus says")
		}
		if r.confirm > 0 && rows[i].Failed != "" {
			rows[i].Failed += fmt.Sprintf(", for %s", r.confirm)
		}
		if r.ends == (always{}) {
			rows[i].RunsToCompletion = "yes"
		} else if r.ends != nil {
			rows[i].RunsToCompletion = r.ends.String()
		}
	}
	return rows
}

func describe(lists ...[]test) string {
	var texts []string
	for _, tests := range lists {
		for _, one := range tests {
			texts = append(texts, one.String())
		}
	}
	return strings.Join(texts, "; ")
}

func join(separator string, parts ...string) string {
	var present []string
	for _, part := range parts {
		if part != "" {
			present = append(present, part)
		}
	}
	return strings.Join(present, separator)
}
