// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// record has one quota with so many GPUs, of which some are used.
func record(hard, used int64) *ledger.Record {
	return &ledger.Record{Quotas: map[string]ledger.Quota{
		"q": {Hard: gpu.Amounts{"gpu": gpu.Whole(hard)}, Used: gpu.Amounts{"gpu": gpu.Whole(used)}},
	}}
}

func claim(owner string, gpus int64) ledger.Claim {
	return ledger.Claim{Pod: types.UID("pod of " + owner), Namespace: "n", Name: owner + "-0", Quota: "q", Amounts: gpu.Amounts{"gpu": gpu.Whole(gpus)}, Owner: types.UID(owner)}
}

func owner(name string) holdings.Owner {
	return holdings.Owner{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: "n", Name: name, UID: types.UID(name)}
}

func names(entries []entry) []string {
	var list []string
	for i := range entries {
		list = append(list, entries[i].owner.Name)
	}
	return list
}

func TestChoose(t *testing.T) {
	t.Parallel()
	waits := func(gpus map[string]int64, order ...string) []entry {
		var entries []entry
		for i, name := range order {
			entries = append(entries, entry{root: "q", owner: owner(name), claim: claim(name, gpus[name]), first: time.Unix(int64(i), 0)})
		}
		return entries
	}
	sizes := map[string]int64{"a": 2, "b": 1, "c": 4, "d": 1}
	for name, tc := range map[string]struct {
		record         *ledger.Record
		waiting, woken []entry
		want           []string
	}{
		"no room":               {record(8, 8), waits(sizes, "a", "b"), nil, nil},
		"room for all":          {record(8, 0), waits(sizes, "a", "b", "c"), nil, []string{"a", "b", "c"}},
		"the oldest first":      {record(8, 6), waits(sizes, "a", "b", "c"), nil, []string{"a"}},
		"those that fit":        {record(8, 6), waits(sizes, "c", "b", "d"), nil, []string{"b", "d"}},
		"room is taken already": {record(8, 6), waits(sizes, "b", "d"), waits(sizes, "a"), nil},
		"some of it is":         {record(8, 6), waits(sizes, "b", "d"), waits(map[string]int64{"x": 1}, "x"), []string{"b"}},
		"closed":                {func() *ledger.Record { r := record(8, 0); r.Closed = "restored"; return r }(), waits(sizes, "a"), nil, nil},
		"who has a slot goes on": {func() *ledger.Record {
			r := record(8, 7)
			r.Slots = []ledger.Slot{{Owner: "d", Namespace: "n", Quota: "q", Amounts: gpu.Amounts{"gpu": gpu.Whole(1)}}}
			return r
		}(), waits(sizes, "a", "b", "d"), nil, []string{"d"}},
		"a limit is gone": {&ledger.Record{Quotas: map[string]ledger.Quota{"q": {Used: gpu.Amounts{"gpu": gpu.Whole(9)}}}}, waits(sizes, "a", "c"), nil, []string{"a", "c"}},
		"suspended": {func() *ledger.Record {
			r := record(1, 9)
			q := r.Quotas["q"]
			q.Suspended = true
			r.Quotas["q"] = q
			return r
		}(), waits(sizes, "a"), nil, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, names(choose(tc.record, tc.waiting, tc.woken))); diff != "" {
				t.Errorf("chosen (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	m := memory{entries: map[types.UID]*entry{}}
	now := time.Unix(1000, 0)
	at := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	m.add("q", claim("a", 1), owner("a"), at(0))
	m.add("q", claim("b", 1), owner("b"), at(1))
	m.add("q", claim("a", 2), owner("a"), at(2))
	m.add("other", claim("c", 1), owner("c"), at(3))
	check := func(seconds float64, wantWaiting, wantWoken []string) []entry {
		t.Helper()
		waiting, woken := m.of("q", at(seconds))
		if diff := cmp.Diff([][]string{wantWaiting, wantWoken}, [][]string{names(waiting), names(woken)}); diff != "" {
			t.Errorf("at %v s, waiting and woken (-want +got):\n%s", seconds, diff)
		}
		return waiting
	}
	waiting := check(4, []string{"a", "b"}, nil)
	if got := waiting[0].claim.Amounts["gpu"]; !got.Equal(gpu.Whole(2)) {
		t.Errorf("a needs %s, want what its last pod asked for", got)
	}
	if diff := cmp.Diff([]string{"other", "q"}, m.roots()); diff != "" {
		t.Error(diff)
	}
	m.wake(waiting[:1], at(5))
	check(5.1, []string{"b"}, []string{"a"})
	m.add("q", claim("a", 2), owner("a"), at(5.5)) // in vain
	check(5.6, []string{"b"}, nil)
	waiting = check(6.1, []string{"a", "b"}, nil) // in its old place
	m.wake(waiting, at(6.2))
	check(8.3, nil, nil) // they got what they wanted
	m.add("q", claim("b", 1), owner("b"), at(9))
	waiting = check(9, []string{"b"}, nil)
	m.add("q", claim("b", 1), owner("b"), at(9.5))
	m.wake(waiting, at(9.6)) // chosen before it was denied once more
	check(9.7, []string{"b"}, nil)
	waiting = check(10.7, []string{"b"}, nil)
	m.wake(waiting, at(10.8))
	m.missed("b", at(10.9)) // another attempt
	check(11, nil, []string{"b"})
	m.missed("b", at(10.8))
	check(11.9, []string{"b"}, nil) // it could not be reached
	check(9.5+staleAfter.Seconds()+1, nil, nil)

	for i := range most + 10 {
		name := fmt.Sprint(i)
		m.add("q", claim(name, 1), owner(name), at(10))
	}
	if m.size() > most {
		t.Errorf("%d owners are remembered, want at most %d", m.size(), most)
	}
}
