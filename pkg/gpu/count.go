// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxGroups bounds the groups of pods of one object.
const maxGroups = 256

// Estimate says what an object asks for through its pods. HPAMin is the least
// that an autoscaler which targets the object keeps, nil without one; the
// object then has as many replicas as it has live (nil: as it asks for itself),
// but at least that, and no bound.
//
// Kinds that are not known have no pods as far as anyone knows. Objects are not
// trusted: what is not as it should be makes the estimate Unknown, never an
// error or a wrong number. The object is not changed.
func (k *Kinds) Estimate(obj *unstructured.Unstructured, hpaMin, liveReplicas *int64) Estimate {
	apiVersion, _ := obj.Object["apiVersion"].(string)
	kindName, _ := obj.Object["kind"].(string)
	kind := k.byKind[schema.FromAPIVersionAndKind(apiVersion, kindName).GroupKind()]
	switch {
	case kind == nil:
		return Estimate{}
	case kind.unknown != "":
		return Estimate{Unknown: kind.unknown}
	}
	e := estimator{root: obj.Object, hpaMin: hpaMin, live: liveReplicas}
	if kind.idle(e.root) {
		return Estimate{}
	}
	for i := range kind.podSets {
		e.set(&kind.podSets[i])
	}
	if len(e.groups) > maxGroups {
		return Estimate{Unknown: fmt.Sprintf("it has more than %d groups of pods", maxGroups)}
	}
	return Estimate{Groups: e.groups, Unknown: e.unknown}
}

// idle reports whether an object is suspended or has finished.
func (k *compiledKind) idle(root map[string]any) bool {
	if anyTrue(root, root, k.suspended) || k.finished != nil && k.finished.holds(root, root) {
		return true
	}
	if len(k.finishedConditions) == 0 {
		return false
	}
	status, _ := root["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	return slices.ContainsFunc(conditions, func(item any) bool {
		condition, _ := item.(map[string]any)
		name, _ := condition["type"].(string)
		return condition["status"] == any("True") && slices.Contains(k.finishedConditions, name)
	})
}

// estimator gathers the groups of one object.
type estimator struct {
	root         map[string]any
	hpaMin, live *int64
	groups       []Group
	unknown      string
}

// note keeps the first reason: texts are to be short.
func (e *estimator) note(reason string) {
	if e.unknown == "" {
		e.unknown = reason
	}
}

func (e *estimator) set(s *compiledSet) {
	if s.each.empty() {
		e.item(s, e.root, "")
		return
	}
	items, err := find(e.root, e.root, s.each)
	if err != nil {
		e.note(err.Error())
		return
	}
	switch items := items.(type) {
	case nil:
	case []any:
		for i, item := range items {
			e.entry(s, item, fmt.Sprintf("%s[%d]", s.each.text, i))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(items)) {
			e.entry(s, items[key], s.each.text+"."+clip(key))
		}
	default:
		e.note(s.each.text + ": it is neither a list nor an object")
	}
}

func (e *estimator) entry(s *compiledSet, item any, at string) {
	content, ok := item.(map[string]any)
	switch {
	case len(e.groups) > maxGroups:
	case !ok:
		e.note(at + ": it is not an object")
	default:
		e.item(s, content, at)
	}
}

// item adds the pods of the object or of one of its items.
func (e *estimator) item(s *compiledSet, item map[string]any, at string) {
	if anyTrue(e.root, item, s.suspended) || present(e.root, item, s.unless) {
		return
	}
	pod, err := e.pod(s, item)
	if err != nil {
		e.note(placed(at, err))
		return
	}
	switch {
	case pod == nil:
		return
	case s.because != "" && present(e.root, item, s.uncountedIf):
		e.note(s.because)
		return
	case pod.inherits:
		e.note(s.inherits)
	}
	shape, err := pod.shape()
	if err != nil {
		e.note(placed(at, err))
	}
	if shape.IsZero() {
		return
	}
	if s.uncounted != "" {
		e.note(s.uncounted)
		e.groups = append(e.groups, Group{Shape: shape, Max: -1})
		return
	}
	group, err := e.count(s, item)
	if err != nil {
		e.note(placed(at, err))
		return
	}
	if group.Shape = shape; group.Min != 0 || group.Max != 0 {
		e.groups = append(e.groups, group)
	}
}

func placed(at string, err error) string {
	if at == "" {
		return err.Error()
	}
	return at + ": " + err.Error()
}

// count says how many pods a set has. The group has no shape yet.
func (e *estimator) count(s *compiledSet, item map[string]any) (Group, error) {
	replicas, each := int64(1), int64(1)
	var err error
	if s.replicas != nil {
		if replicas, err = s.replicas.of(e.root, item); err != nil {
			return Group{}, err
		}
	}
	for i := range s.times {
		n, err := s.times[i].of(e.root, item)
		if err != nil {
			return Group{}, err
		}
		each = times(each, n)
	}
	scaled := s.scaled && e.hpaMin != nil
	if scaled {
		if e.live != nil {
			replicas = clamp(*e.live)
		}
		replicas = max(replicas, clamp(*e.hpaMin))
	}
	group := Group{Min: times(replicas, each)}
	if group.Max, err = s.atMost(e.root, item, replicas, each); err != nil {
		return Group{}, err
	}
	if scaled && each > 0 {
		group.Max = -1
	}
	if s.rollout != nil {
		surge, stuck, err := s.rollout.of(e.root, item, replicas)
		if err != nil {
			return Group{}, err
		}
		group.Surge, group.Stuck = times(surge, each), stuck && each > 0
	}
	return group, nil
}

// atMost is how many pods there may be, or -1.
func (s *compiledSet) atMost(root, item map[string]any, replicas, each int64) (int64, error) {
	if each == 0 {
		return 0, nil
	}
	if s.unbounded != nil && s.unbounded.holds(root, item) {
		return -1, nil
	}
	if s.most == nil || s.most.when != nil && !s.most.when.holds(root, item) {
		return times(replicas, each), nil
	}
	value, err := find(root, item, s.most.path)
	if err != nil {
		return 0, err
	}
	if value == nil {
		return -1, nil
	}
	n, err := number(value)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.most.path.text, err)
	}
	if n >= maxCount {
		return -1, nil
	}
	return times(max(replicas, n), each), nil
}

// of reads a count. A bound that is not there does not bound.
func (c *compiledCount) of(root, item map[string]any) (int64, error) {
	read := func(p path, n int64) (int64, bool, error) {
		if p.empty() {
			return n, false, nil
		}
		value, err := find(root, item, p)
		if err != nil || value == nil {
			return n, false, err
		}
		if n, err = number(value); err != nil {
			return 0, false, fmt.Errorf("%s: %w", p.text, err)
		}
		return n, true, nil
	}
	n, _, err := read(c.path, clamp(c.otherwise))
	least, bounded, errLeast := read(c.atLeast, 0)
	if bounded {
		n = max(n, least)
	}
	most, bounded, errMost := read(c.atMost, 0)
	if bounded {
		n = min(n, most)
	}
	return clamp(n + c.plus), errors.Join(err, errLeast, errMost)
}
