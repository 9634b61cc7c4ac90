// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// portion is a number or a percentage of the replicas.
type portion struct {
	n       int64
	percent bool
}

var portions = regexp.MustCompile(`^[0-9]{1,6}%$`)

func parsePortion(text string) (portion, error) {
	if digits, percent := strings.CutSuffix(text, "%"); percent {
		if !portions.MatchString(text) {
			return portion{}, fmt.Errorf("%.64q is not a percentage", text)
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		return portion{n: n, percent: true}, err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return portion{}, fmt.Errorf("%.64q is neither a number nor a percentage", text)
	}
	return portion{n: clamp(n)}, nil
}

// of returns the portion of some replicas. Up says to which side a part of one
// is rounded.
func (p portion) of(replicas int64, up bool) int64 {
	if !p.percent {
		return p.n
	}
	// Replicas have at most 31 bits and percentages 20.
	product := replicas * p.n
	if up {
		product += 99
	}
	return product / 100
}

func (p compiledPortion) read(root, item map[string]any) (portion, error) {
	value, err := find(root, item, p.path)
	switch value := value.(type) {
	case nil:
		return p.otherwise, err
	case string:
		read, err := parsePortion(value)
		if err != nil {
			return portion{}, fmt.Errorf("%s: %w", p.path.text, err)
		}
		return read, nil
	default:
		n, err := number(value)
		if err != nil {
			return portion{}, fmt.Errorf("%s: %w", p.path.text, err)
		}
		return portion{n: n}, nil
	}
}

// of returns by how many replicas a change of the template goes beyond them,
// and whether none of the old ones may go before there is a new one: a rollout
// that needs room for one more than it has.
func (r *compiledRollout) of(root, item map[string]any, replicas int64) (surge int64, stuck bool, err error) {
	switch {
	case replicas == 0 || r.unless != nil && r.unless.holds(root, item):
		return 0, false, nil
	case r.twice:
		return replicas, true, nil
	}
	more, err := r.surge.read(root, item)
	less, lessErr := r.unavailable.read(root, item)
	if err := errors.Join(err, lessErr); err != nil {
		return 0, false, err
	}
	surge = more.of(replicas, true)
	// With neither, controllers take one of the old ones away first.
	return surge, surge > 0 && less.of(replicas, false) == 0, nil
}
