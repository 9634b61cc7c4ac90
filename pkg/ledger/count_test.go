// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
)

func TestApplyOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		closed bool
		count  Count
		want   error
		// fails: with some error.
		fails bool
		// closes: the record is closed afterwards.
		closes bool
	}{
		"newer":                              {count: Count{Term: 1, ResourceVersion: "101"}},
		"longer and newer":                   {count: Count{Term: 1, ResourceVersion: "1000"}},
		"the same":                           {count: Count{Term: 1, ResourceVersion: "100"}},
		"newer, by the next leader":          {count: Count{Term: 2, ResourceVersion: "101"}},
		"by an old leader":                   {count: Count{Term: 0, ResourceVersion: "200"}, want: ErrStale},
		"by an old leader, and older":        {count: Count{Term: 0, ResourceVersion: "99"}, want: ErrStale},
		"older, by the next leader":          {count: Count{Term: 2, ResourceVersion: "99"}, want: ErrStale},
		"older, live, by the next leader":    {count: Count{Term: 2, ResourceVersion: "99", Live: true}, want: ErrStale},
		"older, by the same leader":          {count: Count{Term: 1, ResourceVersion: "99"}, want: ErrBackwards, closes: true},
		"no number":                          {count: Count{Term: 1, ResourceVersion: "x"}, fails: true},
		"none":                               {count: Count{Term: 1}, fails: true},
		"closed":                             {closed: true, count: Count{Term: 1, ResourceVersion: "101"}, want: ErrStale, closes: true},
		"closed, live":                       {closed: true, count: Count{Term: 1, ResourceVersion: "101", Live: true}},
		"closed, live and older: restored":   {closed: true, count: Count{Term: 1, ResourceVersion: "7", Live: true}},
		"closed, live, but by an old leader": {closed: true, count: Count{Term: 0, ResourceVersion: "101", Live: true}, want: ErrStale, closes: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := used(tree(), "team-a", 4)
			if tt.closed {
				r.Close("restored")
				r.Close("for another reason")
			}
			before := r.Clone()
			tt.count.Used = map[string]gpu.Amounts{"team-b": h100(3)}
			err := r.Apply(tt.count)
			if (tt.want == nil && !tt.fails) != (err == nil) || !errors.Is(err, tt.want) && !tt.fails {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if (r.Closed != "") != tt.closes || tt.closed && tt.closes && r.Closed != "restored" {
				t.Errorf("closed for %q", r.Closed)
			}
			if err == nil {
				if r.CountedTo != tt.count.ResourceVersion || r.Term != tt.count.Term ||
					!r.Quotas["team-b"].Used.Equal(h100(3)) || !r.Quotas["team-a"].Used.IsZero() {
					t.Errorf("got %+v", r)
				}
				return
			}
			r.Closed, before.Closed = "", ""
			if diff := cmp.Diff(before, r); diff != "" {
				t.Errorf("a refused count changed the record:\n%s", diff)
			}
		})
	}
}

func TestApplySettles(t *testing.T) {
	web := GrantObject{Key: "web", Quota: "team-a", Envelope: h100(8)}
	job := GrantObject{Key: "job", Quota: "team-a", Envelope: h100(2), Held: h100(1)}
	r := grants(reserve(reserve(tree(), "stored", "team-a", 4), "coming", "team-a", 2), web, job)
	r.Reservations[0].Grant, r.Reservations[0].Object = "ks", "web"
	r.Reservations[1].Slot = "sts"
	slots(r, "gone", 3)
	before := charged(r, "research")
	err := r.Apply(Count{
		Term: 1, ResourceVersion: "200", Used: map[string]gpu.Amounts{"team-a": h100(5)},
		Settled: func(res Reservation) bool { return res.Pod == "stored" },
		Slots: []Slot{
			{Owner: "sts", Namespace: "team-a", Quota: "team-a", Amounts: h100(3)},
			{Owner: "full", Namespace: "team-a", Quota: "team-a"},
		},
		Grants: map[types.UID]GrantCount{"ks": {Held: map[string]gpu.Amounts{"web": h100(4)}, Landed: []string{"job"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := tree()
	want.CountedTo = "200"
	used(want, "team-a", 5)
	reserve(want, "coming", "team-a", 2)
	want.Reservations[0].Slot = "sts"
	slots(want, "sts", 1)
	grants(want, GrantObject{Key: "web", Quota: "team-a", Envelope: h100(8), Held: h100(4)})
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := charged(r, "research"); got.Cmp(gpu.Whole(5+2+1+4)) != 0 {
		t.Errorf("charged for %s after %s", got, before)
	}
}

func TestBalance(t *testing.T) {
	r := reserve(used(used(tree(), "team-a", 4), "team-b", 52), "p", "team-a", 2)
	amount := func(n int64) *gpu.Amount { a := gpu.Whole(n); return &a }
	for quota, want := range map[string]Balance{
		"team-a":   {Hard: amount(16), Used: gpu.Whole(4), Reserved: gpu.Whole(2), Available: amount(6)},
		"team-b":   {Used: gpu.Whole(52), Available: amount(6)},
		"research": {Hard: amount(64), Used: gpu.Whole(56), Reserved: gpu.Whole(2), Available: amount(6)},
	} {
		if diff := cmp.Diff(map[string]Balance{"h100": want}, r.Balance(quota)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", quota, diff)
		}
		if diff := cmp.Diff(r.Balance(quota), r.Balances()[quota]); diff != "" {
			t.Errorf("%s: %s", quota, diff)
		}
	}
	with(r, "research", func(q *Quota) { q.Suspended = true })
	if got := r.Balance("team-a")["h100"].Available; got.Cmp(gpu.Whole(10)) != 0 {
		t.Errorf("a quota that is suspended leaves %s", got)
	}
	if got := r.Balance("team-b")["h100"]; got.Available != nil || got.Used.Cmp(gpu.Whole(52)) != 0 {
		t.Errorf("without limits: %+v", got)
	}
	if got := r.Balance("none"); len(got) > 0 {
		t.Errorf("a quota that is not there has %+v", got)
	}
}

// What pods ask for is counted whatever it is, and slots give way to it.
func TestApplyAlwaysFits(t *testing.T) {
	r := tree()
	huge := gpu.Amounts{"h100": beyond(), "mig": sevenths(8)}
	odd := gpu.Amounts{"h100": gpu.Whole(3)}
	for i := range 60 {
		part := fmt.Sprint("1/", 9999-2*i)
		amount, err := gpu.ParseAmount(part)
		if err != nil {
			t.Fatal(err)
		}
		odd["h100"] = odd["h100"].Add(amount)
	}
	count := Count{Term: 1, ResourceVersion: "200", Used: map[string]gpu.Amounts{"team-a": huge, "team-b": odd}}
	for i := range 1000 {
		count.Slots = append(count.Slots, Slot{Owner: types.UID(fmt.Sprint("owner-", i)), Namespace: "a", Quota: "team-a", Amounts: h100(1)})
	}
	if err := r.Apply(count); err != nil {
		t.Fatal(err)
	}
	valid(t, r)
	if len(r.Slots) < 100 || r.Slots[0].Owner != "owner-0" {
		t.Errorf("%d slots", len(r.Slots))
	}
	if got := r.Quotas["team-a"].Used; got["h100"].Cmp(gpu.Whole(math.MaxInt64)) != 0 || !got["mig"].Equal(sevenths(8)) {
		t.Errorf("used %v", got)
	}
	if got := r.Quotas["team-b"].Used["h100"]; got.Cmp(gpu.Whole(4)) != 0 {
		t.Errorf("used %s", got)
	}
}
