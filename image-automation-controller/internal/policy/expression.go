// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/cel"
)

// expression orders candidates by what an expression makes of them.
type expression struct {
	field      string
	match, key *cel.Program // match may be nil
	// readsFacts: match or key read more than the tag; matchReads: match does.
	readsFacts, matchReads bool
}

func newExpression(field string, spec *imagev1.CELPolicy) (r ranker, text string, err error) {
	facts := cel.Facts{Texts: []string{"tag"}, Maps: []string{"annotations", "labels"}}
	reads := func(p *cel.Program) bool { return p.Reads("annotations") || p.Reads("labels") }
	e := &expression{field: field}
	if e.key, err = facts.Key(field+".key", spec.Key); err != nil {
		return nil, "", err
	}
	text, e.readsFacts = "cel "+spec.Key, reads(e.key)
	if spec.Match != "" {
		if e.match, err = facts.Condition(field+".match", spec.Match); err != nil {
			return nil, "", err
		}
		e.matchReads = reads(e.match)
		text, e.readsFacts = text+" where "+spec.Match, e.readsFacts || e.matchReads
	}
	return e, text, nil
}

// best implements ranker.
func (e *expression) best(ctx context.Context, candidates []candidate, limit int, read Read) ([]string, error) {
	var failed error
	if e.match != nil && !e.matchReads {
		// What needs no reading goes first.
		kept := candidates[:0:0]
		for _, c := range candidates {
			ok, err := e.match.Eval(ctx, vars(Facts{Tag: c.text}))
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			failed = first(failed, err)
			if ok {
				kept = append(kept, c)
			}
		}
		candidates = kept
	}
	if e.readsFacts && len(candidates) > MaxReads {
		return nil, fmt.Errorf("%s: %w: %d are left after filterTags, and an expression over annotations or labels reads at most %d; narrow filterTags.pattern", e.field, ErrTooMany, len(candidates), MaxReads)
	}
	best := top[cel.Value]{limit: limit, compare: cel.Value.Compare}
	for _, c := range candidates {
		key, ok, err := e.keyOf(ctx, c, read)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if fatal, ok := errors.AsType[fatalError](err); ok {
			return nil, fatal.error
		}
		failed = first(failed, err)
		if found := (entry[cel.Value]{candidate: c, key: key}); ok && best.wants(found) {
			best.add(found)
		}
	}
	tags, err := best.tags()
	if err != nil && failed != nil {
		err = causedError{failed}
	}
	return tags, err
}

// keyOf returns what a candidate is ordered by, or false if it is left out.
func (e *expression) keyOf(ctx context.Context, c candidate, read Read) (cel.Value, bool, error) {
	facts := Facts{Tag: c.text}
	if e.readsFacts {
		var err error
		if facts, err = read(ctx, c.tag); errors.Is(err, ErrUnreadable) {
			return cel.Value{}, false, err
		} else if err != nil {
			return cel.Value{}, false, fatalError{err}
		}
		facts.Tag = c.text
	}
	if e.matchReads {
		if ok, err := e.match.Eval(ctx, vars(facts)); !ok {
			return cel.Value{}, false, err
		}
	}
	key, err := e.key.Value(ctx, vars(facts))
	return key, err == nil, err
}

// above implements ranker.
func (e *expression) above(a, b string) (above, known bool) {
	if e.readsFacts {
		return false, false
	}
	return e.aboveFacts(context.Background(), Facts{Tag: a}, Facts{Tag: b})
}

func (e *expression) aboveFacts(ctx context.Context, a, b Facts) (above, known bool) {
	first, err := e.key.Value(ctx, vars(a))
	if err != nil {
		return false, false
	}
	second, err := e.key.Value(ctx, vars(b))
	return err == nil && first.Compare(second) > 0, err == nil
}

// none implements ranker.
func (e *expression) none(_ []candidate, cause error) error {
	if caused, ok := errors.AsType[causedError](cause); ok {
		return none("no tag can be ordered by policy.cel: " + caused.Error())
	}
	return none("no tag meets policy.cel.match")
}

// flux implements ranker. Flux has no such policy.
func (e *expression) flux(candidates []candidate) error { return e.none(candidates, nil) }

func vars(f Facts) map[string]any {
	return map[string]any{"tag": f.Tag, "annotations": f.Annotations, "labels": f.Labels}
}

// first keeps the error that is the least by its text, so that which one is
// told does not depend on the order of tags.
func first(a, b error) error {
	if b == nil || a != nil && a.Error() <= b.Error() {
		return a
	}
	return b
}

// fatalError ends a ranking.
type fatalError struct{ error }

// causedError is ErrNone because candidates failed.
type causedError struct{ error }

// Is implements the interface that errors.Is looks for.
func (causedError) Is(target error) bool { return target == ErrNone }
