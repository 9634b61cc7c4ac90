// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	wire "github.com/weir-gitops/weir/pkg/gate"
)

// place is a number in the queue; 0 is none.
func place(since string) uint64 {
	n, err := strconv.ParseUint(since, 10, 63)
	if err != nil {
		return 0
	}
	return n
}

// line gives a place to each request that has none, behind all others, and
// returns the requests in the order of their places. Requests that came together
// are ordered by name.
func line(requests []*entry) []*entry {
	var last uint64
	for _, e := range requests {
		last = max(last, e.place)
	}
	sorted := slices.SortedFunc(slices.Values(requests), func(a, b *entry) int {
		if (a.place == 0) != (b.place == 0) {
			return cmp.Compare(b.place, a.place) // without a place: last
		}
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.name, b.name))
	})
	for _, e := range sorted {
		if e.place == 0 {
			last++
			e.place = last
		}
	}
	return sorted
}

// blocked are the limits that requests wait for which came earlier.
type blocked map[pair]struct{}

// pass decides whether a request that would be granted may go now, or would take
// what an earlier one waits for. What has to wait is waited for by the next.
func (b blocked) pass(out outcome) outcome {
	if out.answer == wire.Granted {
		var taken []pair
		for p := range out.demands {
			if _, waited := b[p]; waited {
				taken = append(taken, p)
			}
		}
		if len(taken) > 0 {
			out.answer, out.shrinkFirst, out.trials = wire.Waiting, false, nil
			out.text = behind(taken)
		}
	}
	if out.answer == wire.Waiting {
		maps.Copy(b, out.missing)
	}
	return out
}

func behind(taken []pair) string {
	slices.SortFunc(taken, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.quota, b.quota), cmp.Compare(a.device, b.device))
	})
	texts := make([]string, len(taken))
	for i, p := range taken {
		texts[i] = fmt.Sprintf("%s of GPUQuota %q", p.device, p.quota)
	}
	return "exceeded quota: a revision that asked earlier waits for " + strings.Join(texts, " and for ")
}
