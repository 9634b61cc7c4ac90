// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

type compiledKind struct {
	unknown            string
	suspended          []path
	finished           *compiledTest
	finishedConditions []string
	podSets            []compiledSet
}

type compiledSet struct {
	each                         path
	template, otherwise, podSpec path
	hasTemplate                  bool
	containers                   []string
	inherits                     string
	suspended                    []path
	unless                       path
	replicas                     *compiledCount
	times                        []compiledCount
	scaled                       bool
	most                         *compiledMost
	unbounded                    *compiledTest
	rollout                      *compiledRollout
	uncounted                    string
	uncountedIf                  path
	because                      string
}

type compiledCount struct {
	path, atLeast, atMost path
	otherwise, plus       int64
}

type compiledMost struct {
	path path
	when *compiledTest
}

type compiledTest struct {
	path   path
	values map[string]bool
	not    bool
}

type compiledRollout struct {
	unless             *compiledTest
	twice              bool
	surge, unavailable compiledPortion
}

type compiledPortion struct {
	path      path
	otherwise portion
}

// compiler collects what is wrong with an entry.
type compiler struct{ faults []error }

func (c *compiler) fault(field string, err error) {
	c.faults = append(c.faults, fmt.Errorf("%s: %w", field, err))
}

func (c *compiler) path(field, text string) path {
	if text == "" {
		return path{}
	}
	p, err := parsePath(text)
	if err != nil {
		c.fault(field, err)
	}
	return p
}

func (c *compiler) need(field, text string) path {
	if text == "" {
		c.fault(field, errors.New("the path is missing"))
	}
	return c.path(field, text)
}

func (c *compiler) paths(field string, texts []string) []path {
	var all []path
	for i, text := range texts {
		all = append(all, c.need(field+"["+strconv.Itoa(i)+"]", text))
	}
	return all
}

func (c *compiler) test(field string, test *Test) *compiledTest {
	if test == nil {
		return nil
	}
	if (len(test.In) == 0) == (len(test.NotIn) == 0) {
		c.fault(field, errors.New("give values either in in or in notIn"))
	}
	compiled := &compiledTest{path: c.need(field+".path", test.Path), values: map[string]bool{}, not: len(test.NotIn) > 0}
	for _, value := range append(test.In, test.NotIn...) {
		compiled.values[value] = true
	}
	return compiled
}

func (c *compiler) count(field string, count Count) compiledCount {
	return compiledCount{
		path: c.need(field+".path", count.Path), otherwise: count.Default, plus: count.Plus,
		atLeast: c.path(field+".atLeast", count.AtLeast), atMost: c.path(field+".atMost", count.AtMost),
	}
}

func (c *compiler) podSet(field string, set PodSet) compiledSet {
	if (set.Template == nil) == (set.PodSpec == "") {
		c.fault(field, errors.New("give either template or podSpec"))
	}
	if set.PodSpec == "" && len(set.Containers) > 0 {
		c.fault(field+".containers", errors.New("they are fields of a podSpec"))
	}
	if set.Scaled && set.Each != "" {
		c.fault(field+".scaled", errors.New("an autoscaler sets the replicas of the object and not of each item"))
	}
	compiled := compiledSet{
		each: c.path(field+".each", set.Each), podSpec: c.path(field+".podSpec", set.PodSpec), hasTemplate: set.Template != nil,
		otherwise: c.path(field+".otherwise", set.Otherwise), unless: c.path(field+".unless", set.Unless),
		containers: set.Containers, inherits: set.Inherits, suspended: c.paths(field+".suspended", set.Suspended),
		scaled: set.Scaled, unbounded: c.test(field+".unbounded", set.Unbounded), uncounted: set.Uncounted,
	}
	if set.Template != nil {
		compiled.template = c.path(field+".template", *set.Template)
	}
	if set.Replicas != nil {
		replicas := c.count(field+".replicas", *set.Replicas)
		compiled.replicas = &replicas
	}
	for i, count := range set.Times {
		compiled.times = append(compiled.times, c.count(fmt.Sprintf("%s.times[%d]", field, i), count))
	}
	if set.Most != nil {
		compiled.most = &compiledMost{path: c.need(field+".most.path", set.Most.Path), when: c.test(field+".most.when", set.Most.When)}
	}
	if set.UncountedIf != nil {
		compiled.uncountedIf = c.need(field+".uncountedIf.path", set.UncountedIf.Path)
		compiled.because = cmp.Or(set.UncountedIf.Because, set.UncountedIf.Path+" is set")
	}
	if set.Rollout != nil {
		compiled.rollout = c.rollout(field+".rollout", *set.Rollout)
	}
	return compiled
}

func (c *compiler) rollout(field string, rollout Rollout) *compiledRollout {
	compiled := &compiledRollout{twice: rollout.Twice, unless: c.test(field+".unless", rollout.Unless)}
	if !rollout.Twice {
		compiled.surge = c.portion(field+".surge", rollout.Surge)
		compiled.unavailable = c.portion(field+".unavailable", rollout.Unavailable)
	}
	return compiled
}

func (c *compiler) portion(field string, p Portion) compiledPortion {
	otherwise, err := parsePortion(cmp.Or(p.Default, "0"))
	if err != nil {
		c.fault(field+".default", err)
	}
	return compiledPortion{path: c.need(field+".path", p.Path), otherwise: otherwise}
}

// path is a parsed path of a field. The zero value is the object or the item
// itself.
type path struct {
	// text as it was written, without $.
	text string
	keys []string
	// root: from the object, not the item.
	root bool
}

func (p path) empty() bool { return len(p.keys) == 0 }

// maxPath bounds the length of a path.
const maxPath = 256

var errPath = errors.New(`write it as in spec.template or metadata.annotations["example.com/key"]`)

func parsePath(text string) (path, error) {
	rest, root := strings.CutPrefix(text, "$.")
	p := path{text: rest, root: root}
	if len(text) > maxPath {
		return path{}, fmt.Errorf("the path has more than %d characters", maxPath)
	}
	for rest != "" {
		var key string
		if quoted, found := strings.CutPrefix(rest, `["`); found {
			if key, rest, found = strings.Cut(quoted, `"]`); !found {
				return path{}, fmt.Errorf("%q is not a path: %w", text, errPath)
			}
		} else {
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			key, rest = rest[:end], rest[end:]
		}
		next, dotted := strings.CutPrefix(rest, ".")
		if key == "" || strings.ContainsAny(key, " \t\n*]\"") || dotted && next == "" || !dotted && rest != "" && rest[0] != '[' {
			return path{}, fmt.Errorf("%q is not a path: %w", text, errPath)
		}
		rest = next
		p.keys = append(p.keys, key)
	}
	if len(p.keys) == 0 {
		return path{}, fmt.Errorf("%q is not a path: %w", text, errPath)
	}
	return p, nil
}
