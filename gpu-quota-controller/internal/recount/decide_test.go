// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

var epoch = time.Unix(1_000_000, 0)

func gpus(n int64) gpu.Amounts { return gpu.Amounts{"gpu": gpu.Whole(n)} }

// sum writes amounts in a way that can be compared.
func sum(amounts gpu.Amounts) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(amounts)) {
		parts = append(parts, name+" "+amounts[name].String())
	}
	return strings.Join(parts, ", ")
}

func TestSlots(t *testing.T) {
	deployment := holdings.Owner{APIVersion: "apps/v1", Kind: "Deployment", UID: "d"}
	wants := func(n int64) func(slots) {
		return func(s slots) {
			s["d"].wish, s["d"].known = holdings.Wish{Exists: true, Pods: n, Completions: -1}, true
		}
	}
	lost := func(n ...int64) func(slots) {
		return func(s slots) {
			for _, amount := range n {
				s.lose(deployment, "ns", gpus(amount), epoch)
			}
		}
	}
	job := func(parallelism, completions int64) func(slots) {
		return func(s slots) {
			s["d"].wish, s["d"].known = holdings.Wish{Exists: true, Pods: parallelism, Completions: completions}, true
		}
	}
	gone := func(s slots) { s["d"].wish, s["d"].known = holdings.Wish{}, true }
	finished := func(s slots) { s["d"].wish, s["d"].known = holdings.Wish{Exists: true, Finished: true, Pods: 4}, true }
	for name, tc := range map[string]struct {
		before []func(slots)
		pods   pods
		after  time.Duration
		want   string
	}{
		"it wants a pod again":                    {[]func(slots){lost(8), wants(2)}, pods{holding: 1}, 0, "gpu 8"},
		"the replacement is there":                {[]func(slots){lost(8), wants(2)}, pods{holding: 2}, 0, ""},
		"it wants fewer":                          {[]func(slots){lost(8), wants(1)}, pods{holding: 1}, 0, ""},
		"it wants some of several":                {[]func(slots){lost(1, 2, 4), wants(3)}, pods{holding: 1}, 0, "gpu 6"},
		"it is gone":                              {[]func(slots){lost(8), gone}, pods{}, 0, ""},
		"it has finished":                         {[]func(slots){lost(8), finished}, pods{}, 0, ""},
		"it could not be asked":                   {[]func(slots){lost(8)}, pods{}, 0, "gpu 8"},
		"it could not be asked, and has a pod":    {[]func(slots){lost(8)}, pods{holding: 1, began: []gpu.Amounts{gpus(8)}}, 0, ""},
		"it could not be asked, and has one of 2": {[]func(slots){lost(8, 8)}, pods{holding: 1, began: []gpu.Amounts{gpus(8)}}, 0, "gpu 8"},
		"of unknown size":                         {[]func(slots){lost(8), wants(-1)}, pods{holding: 5}, 0, "gpu 8"},
		"just before its time is over":            {[]func(slots){lost(8), wants(1)}, pods{}, slotTime - time.Second, "gpu 8"},
		"its time is over":                        {[]func(slots){lost(8), wants(1)}, pods{}, slotTime, ""},
		"a Job in its midst":                      {[]func(slots){lost(1), job(2, 6)}, pods{holding: 1, succeeded: 1}, 0, "gpu 1"},
		"a Job at its end":                        {[]func(slots){lost(1), job(2, 6)}, pods{holding: 1, succeeded: 5}, 0, ""},
		"from an earlier leader":                  {[]func(slots){func(s slots) { s.adopt([]ledger.Slot{{Owner: "d", Namespace: "ns", Amounts: gpus(3)}}, epoch) }}, pods{}, 0, "gpu 3"},
		"from an earlier leader, partly used":     {[]func(slots){func(s slots) { s.adopt([]ledger.Slot{{Owner: "d", Namespace: "ns", Amounts: gpus(3)}}, epoch) }}, pods{began: []gpu.Amounts{gpus(2)}}, 0, "gpu 1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := slots{}
			for _, f := range tc.before {
				f(s)
			}
			s.settle(map[types.UID]pods{"d": tc.pods}, epoch.Add(tc.after))
			got := ""
			for _, slot := range s.kept(func(string) string { return "q" }) {
				got += sum(slot.Amounts)
			}
			if got != tc.want {
				t.Errorf("slot of %q, want %q", got, tc.want)
			}
			if s.kept(func(string) string { return "" }) != nil {
				t.Error("a slot in a namespace without a quota")
			}
		})
	}
}

func TestGrants(t *testing.T) {
	grown := []ledger.GrantObject{{Key: "a", Envelope: gpus(4)}, {Key: "b", Envelope: gpus(2)}}
	shrunk := []ledger.GrantObject{{Key: "a", Envelope: gpus(1), Held: gpus(4)}, {Key: "b", Envelope: gpus(3)}}
	for name, tc := range map[string]struct {
		objects []ledger.GrantObject
		held    map[string]gpu.Amounts
		ended   string
		after   time.Duration
		landed  []string
		lapsed  bool
	}{
		"no pod yet":          {grown, nil, "", 0, nil, false},
		"some pods":           {grown, map[string]gpu.Amounts{"a": gpus(3)}, "", 0, nil, false},
		"all pods of one":     {grown, map[string]gpu.Amounts{"a": gpus(4)}, "", 0, []string{"a"}, false},
		"more than expected":  {grown, map[string]gpu.Amounts{"a": gpus(9)}, "", 0, []string{"a"}, false},
		"one is gone":         {grown, nil, "b", 0, []string{"b"}, false},
		"one is to shrink":    {shrunk, map[string]gpu.Amounts{"a": gpus(4)}, "", 0, nil, false},
		"one shrinks":         {shrunk, map[string]gpu.Amounts{"a": gpus(2)}, "", 0, nil, false},
		"one has shrunk":      {shrunk, map[string]gpu.Amounts{"a": gpus(1)}, "", 0, []string{"a"}, false},
		"just before it ends": {grown, nil, "", grantTime - time.Second, nil, false},
		"without a new pod":   {grown, map[string]gpu.Amounts{"a": gpus(3)}, "", grantTime, []string{"a", "b"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			recorded := []ledger.Grant{{Owner: "k", Hash: "1", Objects: tc.objects}}
			g := grants{}
			g.follow(recorded, epoch)
			if tc.ended != "" {
				g["k"].objects[tc.ended].ended = true
			}
			landed, lapsed := g["k"].judge(&recorded[0], tc.held, epoch.Add(tc.after))
			if !slices.Equal(landed, tc.landed) || lapsed != tc.lapsed {
				t.Errorf("landed %v, lapsed %t; want %v, %t", landed, lapsed, tc.landed, tc.lapsed)
			}
		})
	}
}

func TestFollowGrants(t *testing.T) {
	g := grants{}
	first := []ledger.Grant{{Owner: "k", Hash: "1", Objects: []ledger.GrantObject{{Key: "a", Envelope: gpus(1)}}}}
	if !g.unknown(first) {
		t.Error("a grant is known that was never seen")
	}
	g.follow(first, epoch)
	g["k"].objects["a"].seen = true
	g.follow(first, epoch.Add(time.Hour))
	if g["k"].fed != epoch || !g["k"].objects["a"].seen {
		t.Error("the same grant was taken for a new one")
	}
	first[0].Hash = "2"
	if !g.unknown(first) {
		t.Error("another grant of the same owner is known")
	}
	g.follow(first, epoch.Add(time.Hour))
	if g["k"].fed != epoch.Add(time.Hour) || g["k"].objects["a"].seen {
		t.Error("a new grant was taken for the one before")
	}
	if g.follow(nil, epoch); len(g) != 0 {
		t.Error("a grant that is gone is followed")
	}
}

func TestAges(t *testing.T) {
	a := ages{}
	open := []ledger.Reservation{{Pod: "x"}}
	a.see(open, epoch)
	a.see(open, epoch.Add(time.Minute))
	for after, want := range map[time.Duration]bool{0: false, 90 * time.Second: false, 91 * time.Second: true} {
		if got := a.old("x", epoch.Add(after)); got != want {
			t.Errorf("old after %s: %t", after, got)
		}
	}
	if a.old("y", epoch.Add(time.Hour)) {
		t.Error("one that was never seen is old")
	}
	if a.see(nil, epoch); len(a) != 0 {
		t.Error("one that is settled is remembered")
	}
}

// A clock that is put back, which a monotonic one is not, ends nothing too early
// and keeps nothing for ever.
func TestClockSteps(t *testing.T) {
	back := epoch.Add(-24 * time.Hour)
	a, open := ages{}, []ledger.Reservation{{Pod: "x"}}
	a.see(open, epoch)
	a.see(open, back)
	if a.old("x", back.Add(90*time.Second)) || !a.old("x", back.Add(91*time.Second)) {
		t.Error("a reservation ends too early or too late")
	}
	g, granted := grants{}, []ledger.Grant{{Owner: "k", Hash: "1", Objects: []ledger.GrantObject{{Key: "a", Envelope: gpus(1)}}}}
	g.follow(granted, epoch)
	g.follow(granted, back)
	for after, want := range map[time.Duration]bool{grantTime - 1: false, grantTime: true} {
		if _, lapsed := g["k"].judge(&granted[0], nil, back.Add(after)); lapsed != want {
			t.Errorf("a grant has lapsed after %s: %t", after, lapsed)
		}
	}
	s := slots{}
	s.lose(holdings.Owner{UID: "o"}, "n", gpus(1), epoch)
	s.settle(nil, back)
	if s.settle(nil, back.Add(slotTime-1)); len(s) != 1 {
		t.Error("a slot ended too early")
	}
	if s.settle(nil, back.Add(slotTime)); len(s) != 0 {
		t.Error("a slot is kept for ever")
	}
}

func TestStrays(t *testing.T) {
	record := &ledger.Record{
		Quotas: map[string]ledger.Quota{"root": {Hard: gpus(100)}, "q": {Parent: "root", Hard: gpus(10)}, "unlimited": {Parent: "root"}},
	}
	reserve := func(quota string, n int) {
		for i := range n {
			record.Reservations = append(record.Reservations, ledger.Reservation{Pod: types.UID(fmt.Sprint(quota, i)), Namespace: "ns", Name: fmt.Sprint("p", i), Quota: quota, Amounts: gpus(1)})
		}
	}
	reserve("q", 1)
	a := ages{}
	a.see(record.Reservations, epoch)
	later := epoch.Add(strayAfter)
	if got := a.strays(record, later); len(got) != 0 {
		t.Errorf("strays %v of a tenth", got)
	}
	reserve("q", 2)
	reserve("unlimited", 5)
	a.see(record.Reservations, epoch)
	if got := a.strays(record, later); len(got) != 1 || !strings.Contains(got["q"], "such as ns/p0") {
		t.Errorf("strays %v", got)
	}
	if got := a.strays(record, epoch.Add(time.Second)); len(got) != 0 {
		t.Errorf("strays %v of pods on their way", got)
	}
}

func quota(name string, change ...func(*quotav1.GPUQuota)) quotav1.GPUQuota {
	q := quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: 1}}
	for _, f := range change {
		f(&q)
	}
	return q
}

func of(namespaces ...string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) { q.Spec.Namespaces = namespaces }
}

func below(parent string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) { q.Spec.ParentRef = &quotav1.ParentReference{Name: parent} }
}

func state(quotas ...quotav1.GPUQuota) *view.State {
	s := &view.State{Forest: tree.New(nil, quotas), Namespaces: map[string]map[string]string{}}
	var all []tree.Namespace
	for _, ns := range []string{"n1", "n2", "n3"} {
		s.Namespaces[ns] = nil
		all = append(all, tree.Namespace{Name: ns})
	}
	s.Assignment = s.Forest.Assign(all)
	return s
}

// counts writes what is counted by a tree as namespace=quota.
func (p *plan) counts(root string) string {
	o := p.order(root)
	var parts []string
	for _, ns := range []string{"n1", "n2", "n3"} {
		if q := o.quota(ns); q != "" {
			parts = append(parts, ns+"="+q)
		}
	}
	return strings.Join(parts, " ")
}

func expect(t *testing.T, p *plan, want map[string]string) {
	t.Helper()
	for root, what := range want {
		if got := p.counts(root); got != what {
			t.Errorf("tree %s counts %q, want %q", root, got, what)
		}
	}
}

func TestPlan(t *testing.T) {
	first := state(quota("a", of("n1")), quota("b", of("n2")), quota("c"))
	moved := state(quota("a"), quota("b", of("n1", "n2")), quota("c"))
	t.Run("both count until the one that gains was written", func(t *testing.T) {
		p := &plan{}
		if dirty := p.follow(first); !slices.Equal(dirty, []string{"a", "b", "c"}) {
			t.Errorf("changed %v", dirty)
		}
		early := p.order("b")
		if dirty := p.follow(moved); !slices.Equal(dirty, []string{"a", "b"}) {
			t.Errorf("changed %v", dirty)
		}
		expect(t, p, map[string]string{"a": "n1=a", "b": "n1=b n2=b"})
		if losing := p.done(early); losing != nil {
			t.Error("a count that began before the move ended it")
		}
		if got := p.counters("n1"); !slices.Equal(got, []string{"b", "a"}) {
			t.Errorf("%v count n1", got)
		}
		if losing := p.done(p.order("b")); !slices.Equal(losing, []string{"a"}) {
			t.Errorf("%v may let go", losing)
		}
		expect(t, p, map[string]string{"a": "", "b": "n1=b n2=b"})
	})
	t.Run("it moves on before that", func(t *testing.T) {
		p := &plan{}
		p.follow(first)
		p.follow(moved)
		p.follow(state(quota("a"), quota("b", of("n2")), quota("c", of("n1"))))
		expect(t, p, map[string]string{"a": "n1=a", "b": "n1=b n2=b", "c": "n1=c"})
		if losing := p.done(p.order("b")); losing != nil {
			t.Errorf("%v may let go of what nobody else was written for", losing)
		}
		if losing := p.done(p.order("c")); len(losing) != 2 {
			t.Errorf("%v may let go", losing)
		}
	})
}

func TestPlanOfOtherMoves(t *testing.T) {
	first := state(quota("a", of("n1")), quota("b", of("n2")), quota("c"))
	moved := state(quota("a"), quota("b", of("n1", "n2")), quota("c"))
	t.Run("it comes back", func(t *testing.T) {
		p := &plan{}
		p.follow(first)
		p.follow(moved)
		p.follow(first)
		expect(t, p, map[string]string{"a": "n1=a", "b": "n1=b n2=b"})
		p.done(p.order("a"))
		expect(t, p, map[string]string{"a": "n1=a", "b": "n2=b"})
	})
	t.Run("nobody selects it any more", func(t *testing.T) {
		p := &plan{}
		p.follow(first)
		p.follow(state(quota("a"), quota("b", of("n2")), quota("c")))
		expect(t, p, map[string]string{"a": "", "b": "n2=b"})
	})
	t.Run("a quota moves below another", func(t *testing.T) {
		p := &plan{}
		p.follow(first)
		p.follow(state(quota("a", of("n1"), below("b")), quota("b", of("n2")), quota("c")))
		expect(t, p, map[string]string{"a": "n1=a", "b": "n1=a n2=b"})
		p.done(p.order("b"))
		expect(t, p, map[string]string{"a": ""})
	})
	t.Run("a child leaves its tree", func(t *testing.T) {
		p := &plan{}
		p.follow(state(quota("a", of("n1"), below("b")), quota("b", of("n2"))))
		p.follow(state(quota("a", of("n1")), quota("b", of("n2"))))
		expect(t, p, map[string]string{"a": "n1=a", "b": "n1=b n2=b"})
	})
	t.Run("nothing changes", func(t *testing.T) {
		p := &plan{}
		p.follow(first)
		if dirty := p.follow(state(quota("a", of("n1")), quota("b", of("n2")), quota("c"))); len(dirty) != 0 {
			t.Errorf("changed %v", dirty)
		}
	})
}

func TestTally(t *testing.T) {
	device := func(name, product string) quotav1.Device {
		return quotav1.Device{Name: name, Match: quotav1.DeviceMatch{ResourceNames: []string{"nvidia.com/gpu"}, NodeLabels: map[string]string{"product": product}}}
	}
	forest := tree.New(nil, []quotav1.GPUQuota{quota("q", func(q *quotav1.GPUQuota) {
		q.Spec.Devices = []quotav1.Device{device("h100", "H100"), device("a100", "A100")}
	})})
	nodes := map[string]map[string]string{"h1": {"product": "H100", "host": "h1"}, "h2": {"product": "H100", "host": "h2"}, "a1": {"product": "A100"}, "other": {"product": "T4"}}
	two, amd := &gpu.Shape{Resources: gpu.Amounts{"nvidia.com/gpu": gpu.Whole(2)}}, &gpu.Shape{Resources: gpu.Amounts{"amd.com/gpu": gpu.Whole(1)}, Claims: 1}
	c := newCharger(forest.Quota("q"), func(name string) map[string]string { return nodes[name] })
	found := c.tally([]*holdings.Pod{
		{Namespace: "n", Shape: two, Node: "h1"}, {Namespace: "n", Shape: two, Node: "h2"}, {Namespace: "n", Shape: two, Node: "a1"},
		{Namespace: "n", Shape: two}, {Namespace: "n", Shape: two, Node: "nobody-knows"},
		{Namespace: "n", Shape: two, Node: "h1", Phase: holdings.Succeeded}, {Namespace: "elsewhere", Shape: two},
		{Namespace: "n", Shape: amd}, {Namespace: "n", Shape: two, Node: "other"},
	}, func(ns string) string {
		if ns == "n" {
			return "q"
		}
		return ""
	})
	if got := sum(found.used["q"]); got != "a100 6, h100 8" {
		t.Errorf("used %s", got)
	}
	if diff := cmp.Diff([]string{"amd.com/gpu", "nvidia.com/gpu"}, found.unknown["q"]); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
	if found.claims["q"] != 1 || len(found.used) != 1 {
		t.Errorf("claims %v, used %v", found.claims, found.used)
	}
	// Three kinds of nodes, not one for each host.
	if len(c.memo) != 5 {
		t.Errorf("%d charges were calculated", len(c.memo))
	}
	if got := sum(c.replacement(&holdings.Pod{Shape: two, Node: "h1"})); got != "a100 2, h100 2" {
		t.Errorf("a replacement costs %s", got)
	}
}

func TestPrescribe(t *testing.T) {
	forest := tree.New(nil, []quotav1.GPUQuota{
		quota("root", func(q *quotav1.GPUQuota) { q.Spec.Limits = []quotav1.Limit{{Device: "gpu", Hard: "0"}} }),
		quota("child", below("root"), func(q *quotav1.GPUQuota) {
			q.Spec.Enforcement, q.Spec.Suspend, q.Generation = quotav1.Enforcements{Admission: quotav1.Warn, Gate: quotav1.Enforce}, true, 7
		}),
	})
	record := &ledger.Record{Quotas: map[string]ledger.Quota{"child": {Used: gpus(3)}, "gone": {}}}
	prescribe(record, forest, "root")
	want := map[string]ledger.Quota{
		"root":  {Generation: 1, Hard: gpu.Amounts{"gpu": gpu.Whole(0)}},
		"child": {Parent: "root", Generation: 7, Hard: gpu.Amounts{}, Admission: quotav1.Warn, Suspended: true, Used: gpus(3)},
	}
	if diff := cmp.Diff(want, record.Quotas); diff != "" {
		t.Errorf("quotas (-want +got):\n%s", diff)
	}
}
