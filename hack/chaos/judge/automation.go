// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package judge

import "fmt"

// Automation returns a sentence for everything that is wrong with what an
// automation has committed: releases are the numbers that its commits set, in
// their order, and last is the newest that was published. It may pass over some,
// but not set one twice, go back, or end with another than the last.
func Automation(releases []int, last int) []string {
	var list []string
	seen, highest := map[int]bool{}, 0
	for _, n := range releases {
		switch {
		case seen[n]:
			list = append(list, fmt.Sprintf("release %d was committed twice", n))
		case n < highest:
			list = append(list, fmt.Sprintf("release %d was committed after %d", n, highest))
		}
		seen[n], highest = true, max(highest, n)
	}
	if highest != last {
		list = append(list, fmt.Sprintf("release %d was published, and the last that was committed is %d", last, highest))
	}
	return list
}

// Quota returns a sentence if more was admitted at a time than a limit allows.
// charged is what was charged at each look.
func Quota(charged []int, limit int) []string {
	peak := 0
	for _, n := range charged {
		peak = max(peak, n)
	}
	if peak > limit {
		return []string{fmt.Sprintf("%d GPUs were admitted, and the quota is %d", peak, limit)}
	}
	return nil
}
