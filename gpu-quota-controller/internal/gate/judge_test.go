// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	wire "github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// quota makes one that has the namespace of its name. Limits are pairs of a class
// and an amount.
func quota(name, parent string, limits ...string) quotav1.GPUQuota {
	q := quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: quotav1.GPUQuotaSpec{Namespaces: []string{name}}}
	if parent != "" {
		q.Spec.ParentRef = &quotav1.ParentReference{Name: parent}
	}
	for i := 0; i < len(limits); i += 2 {
		q.Spec.Limits = append(q.Spec.Limits, quotav1.Limit{Device: limits[i], Hard: limits[i+1]})
	}
	return q
}

// pods is so many pods with a GPU each.
func pods(n int64) gpu.Estimate {
	if n == 0 {
		return gpu.Estimate{}
	}
	return gpu.Estimate{Groups: []gpu.Group{{Shape: gpu.Shape{Resources: gpu.Amounts{"nvidia.com/gpu": gpu.Whole(1)}}, Min: n, Max: n}}}
}

func change(e gpu.Estimate, f func(*gpu.Group)) gpu.Estimate {
	f(&e.Groups[0])
	return e
}

func stuck(g *gpu.Group) { g.Surge, g.Stuck = 1, true }

func object(namespace, name string, before, after gpu.Estimate) wire.Object {
	return wire.Object{Key: "apps/Deployment/" + namespace + "/" + name, Namespace: namespace, Before: before, After: after}
}

func gpus(n int64) gpu.Amounts { return gpu.Amounts{"gpu": gpu.Whole(n)} }

// scene is a tree of two teams: 12 for both, 8 for each.
type scene struct {
	quotas []quotav1.GPUQuota
	used   map[string]int64
	held   map[string]int64
	grants []ledger.Grant
	change func(*wire.Request)
}

func (s scene) judge(objects ...wire.Object) outcome {
	quotas := s.quotas
	if quotas == nil {
		quotas = []quotav1.GPUQuota{quota("org", "", "gpu", "12"), quota("a", "org", "gpu", "8"), quota("b", "org", "gpu", "8")}
	}
	forest := tree.New(nil, quotas)
	records := map[string]*ledger.Record{}
	for _, root := range forest.Roots() {
		r := &ledger.Record{Quotas: map[string]ledger.Quota{}, Grants: s.grants}
		for _, q := range forest.Members(root) {
			r.Quotas[q.Name] = ledger.Quota{Parent: q.Parent, Hard: q.Hard, Used: gpus(s.used[q.Name])}
		}
		records[root] = r
	}
	request := wire.Request{Kind: "Kustomization", Namespace: "flux", Name: "app", UID: "u", Revision: "main@sha1:1", Change: wire.Change{Objects: objects}}
	if s.change != nil {
		s.change(&request)
	}
	return judge(request, "hash", world{
		forest: forest.With(request.Quotas, request.RemovedQuotas...), records: records,
		held: func(_, key string) gpu.Amounts { return gpus(s.held[key[strings.LastIndexByte(key, '/')+1:]]) },
	})
}

// judged is a case of TestJudge.
type judged struct {
	scene
	objects []wire.Object
	answer  wire.Answer
	swap    bool
	text    string
	grant   map[string]int64
}

// rooms are about whether something fits.
func rooms() map[string]judged {
	return map[string]judged{
		"room": {
			scene{used: map[string]int64{"a": 4}}, []wire.Object{object("a", "web", pods(0), pods(4))},
			wire.Granted, false, "", map[string]int64{"web": 4},
		},
		"no room": {
			scene{used: map[string]int64{"a": 5}}, []wire.Object{object("a", "web", pods(0), pods(4))},
			wire.Waiting, false, `exceeded quota: GPUQuota "a": gpu requested 4, used 5, reserved 0, hard 8, over by 1`, nil,
		},
		"no room above": {
			scene{used: map[string]int64{"a": 4, "b": 6}}, []wire.Object{object("a", "web", pods(0), pods(4))},
			wire.Waiting, false, `exceeded quota: GPUQuota "org": gpu requested 4, used 10, reserved 0, hard 12, over by 2`, nil,
		},
		"never": {
			scene{}, []wire.Object{object("a", "web", pods(0), pods(9))},
			wire.NeverFits, false, `GPUQuota "a": gpu requested 9 can never fit, hard 8`, nil,
		},
		"never together": {
			scene{}, []wire.Object{object("a", "web", pods(0), pods(5)), object("a", "api", pods(0), pods(4))},
			wire.NeverFits, false, `GPUQuota "a": gpu requested 9 can never fit, hard 8`, nil,
		},
		"what is held counts once": {
			scene{used: map[string]int64{"a": 6}, held: map[string]int64{"web": 6}}, []wire.Object{object("a", "web", pods(6), pods(8))},
			wire.Granted, false, "", map[string]int64{"web": 8},
		},
		"what is not held has to fit": {
			scene{used: map[string]int64{"a": 6}}, []wire.Object{object("a", "web", pods(2), pods(4))},
			wire.Waiting, false, `exceeded quota: GPUQuota "a": gpu requested 4, used 6, reserved 0, hard 8, over by 2`, nil,
		},
		"its own old grant gives way": {
			scene{grants: []ledger.Grant{{Owner: "u", Objects: []ledger.GrantObject{{Key: "apps/Deployment/a/old", Quota: "a", Envelope: gpus(8)}}}}},
			[]wire.Object{object("a", "web", pods(0), pods(8))},
			wire.Granted, false, "", map[string]int64{"web": 8},
		},
		"the grant of another does not": {
			scene{grants: []ledger.Grant{{Owner: "other", Objects: []ledger.GrantObject{{Key: "apps/Deployment/a/old", Quota: "a", Envelope: gpus(5)}}}}},
			[]wire.Object{object("a", "web", pods(0), pods(4))},
			wire.Waiting, false, `exceeded quota: GPUQuota "a": gpu requested 4, used 0, reserved 5, hard 8, over by 1`, nil,
		},
	}
}

// swaps are about devices that change hands within a revision.
func swaps() map[string]judged {
	return map[string]judged{
		"a swap at full quota": {
			scene{used: map[string]int64{"a": 8}, held: map[string]int64{"old": 8}},
			[]wire.Object{object("a", "old", pods(8), pods(0)), object("a", "new", pods(0), pods(8))},
			wire.Granted, true, "", map[string]int64{"old": 0, "new": 8},
		},
		"a swap with room": {
			scene{used: map[string]int64{"a": 4}, held: map[string]int64{"old": 4}},
			[]wire.Object{object("a", "old", pods(4), pods(0)), object("a", "new", pods(0), pods(4))},
			wire.Granted, false, "", map[string]int64{"new": 4},
		},
		"a swap for more": {
			scene{used: map[string]int64{"a": 8}, held: map[string]int64{"old": 6}},
			[]wire.Object{object("a", "old", pods(6), pods(0)), object("a", "new", pods(0), pods(8))},
			wire.Waiting, false, `exceeded quota: GPUQuota "a": gpu requested 2, used 8, reserved 0, hard 8, over by 2`, nil,
		},
		"a swap for less over the limit": {
			scene{used: map[string]int64{"a": 10}, held: map[string]int64{"old": 10}},
			[]wire.Object{object("a", "old", pods(10), pods(0)), object("a", "new", pods(0), pods(9))},
			wire.Granted, true, "", map[string]int64{"old": 0, "new": 9},
		},
		"a move between teams under a full root": {
			scene{used: map[string]int64{"a": 4, "b": 8}, held: map[string]int64{"old": 4}},
			[]wire.Object{object("b", "old", pods(4), pods(0)), object("a", "new", pods(0), pods(4))},
			wire.Granted, true, "", map[string]int64{"old": 0, "new": 4},
		},
		"a namespace without a quota": {
			scene{}, []wire.Object{object("elsewhere", "web", pods(0), pods(100))},
			wire.Granted, false, "", nil,
		},
	}
}

// rules are about all else that decides.
func rules() map[string]judged {
	return map[string]judged{
		"a rollout that gets stuck": {
			scene{used: map[string]int64{"a": 7}, held: map[string]int64{"web": 4}, change: func(r *wire.Request) { r.Objects[0].Template = true }},
			[]wire.Object{object("a", "web", change(pods(4), stuck), change(pods(4), stuck))},
			wire.Granted, false, "", map[string]int64{"web": 5},
		},
		"a rollout that got stuck": {
			scene{used: map[string]int64{"a": 8}, held: map[string]int64{"web": 4}, change: func(r *wire.Request) { r.Objects[0].Template = true }},
			[]wire.Object{object("a", "web", change(pods(4), stuck), change(pods(4), stuck))},
			wire.Waiting, false, `exceeded quota: GPUQuota "a": gpu requested 1, used 8, reserved 0, hard 8, over by 1; the rollout of Deployment/a/web would get stuck, since it needs room for one pod more before the first one may go: set maxUnavailable: 1 or maxSurge: 0 there`, nil,
		},
		"a rollout that always gets stuck": {
			scene{used: map[string]int64{"a": 8}, held: map[string]int64{"web": 8}, change: func(r *wire.Request) { r.Objects[0].Template = true }},
			[]wire.Object{object("a", "web", change(pods(8), stuck), change(pods(8), stuck))},
			wire.NeverFits, false, `GPUQuota "a": gpu requested 9 can never fit, hard 8; the rollout of Deployment/a/web would get stuck, since it needs room for one pod more before the first one may go: set maxUnavailable: 1 or maxSurge: 0 there`, nil,
		},
		"a raise in the same revision": {
			scene{change: func(r *wire.Request) { r.Quotas = []quotav1.GPUQuota{quota("a", "org", "gpu", "12")} }},
			[]wire.Object{object("a", "web", pods(0), pods(10))},
			wire.Granted, false, "", map[string]int64{"web": 10},
		},
		"a cut in the same revision": {
			scene{change: func(r *wire.Request) { r.Quotas = []quotav1.GPUQuota{quota("a", "org", "gpu", "2")} }},
			[]wire.Object{object("a", "web", pods(0), pods(4))},
			wire.NeverFits, false, `GPUQuota "a": gpu requested 4 can never fit, hard 2`, nil,
		},
		"the quota goes": {
			scene{change: func(r *wire.Request) { r.RemovedQuotas = []string{"a"} }},
			[]wire.Object{object("a", "web", pods(0), pods(40))},
			wire.Granted, false, "", nil,
		},
		"a bound for each workload": {
			scene{quotas: []quotav1.GPUQuota{func() quotav1.GPUQuota {
				q := quota("a", "", "gpu", "8")
				q.Spec.PerWorkload = &quotav1.PerWorkload{MaxGPUs: "3"}
				return q
			}()}},
			[]wire.Object{object("a", "web", pods(0), pods(4))},
			wire.NeverFits, false, `GPUQuota "a": apps/Deployment/a/web asks for 4 GPUs, perWorkload.maxGPUs is 3`, nil,
		},
		"a workload that shrinks to more than its bound": {
			scene{used: map[string]int64{"a": 3}, held: map[string]int64{"web": 3}, quotas: []quotav1.GPUQuota{func() quotav1.GPUQuota {
				q := quota("a", "", "gpu", "8")
				q.Spec.PerWorkload = &quotav1.PerWorkload{MaxGPUs: "3"}
				return q
			}()}},
			[]wire.Object{object("a", "web", pods(5), pods(4)), object("a", "new", pods(0), pods(1))},
			wire.Granted, false, "", map[string]int64{"new": 1},
		},
		"two trees, one without room": {
			scene{quotas: []quotav1.GPUQuota{quota("a", "", "gpu", "8"), quota("z", "", "gpu", "8")}, used: map[string]int64{"z": 8}},
			[]wire.Object{object("a", "web", pods(0), pods(4)), object("z", "web", pods(0), pods(1))},
			wire.Waiting, false, `exceeded quota: GPUQuota "z": gpu requested 1, used 8, reserved 0, hard 8, over by 1`, nil,
		},
	}
}

func TestJudge(t *testing.T) {
	cases := rooms()
	maps.Copy(cases, swaps())
	maps.Copy(cases, rules())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out := tc.judge(tc.objects...)
			if out.answer != tc.answer || out.shrinkFirst != tc.swap || out.text != tc.text {
				t.Errorf("%s (shrink first: %t): %q\nwant %s (%t): %q", out.answer, out.shrinkFirst, out.text, tc.answer, tc.swap, tc.text)
			}
			var grant map[string]int64
			for _, trial := range out.trials {
				for _, o := range trial.verdict.grant.Objects {
					if grant == nil {
						grant = map[string]int64{}
					}
					grant[o.Key[strings.LastIndexByte(o.Key, '/')+1:]] = int64(o.Envelope["gpu"].Float())
				}
			}
			if diff := cmp.Diff(tc.grant, grant); diff != "" {
				t.Errorf("grant (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeWarns(t *testing.T) {
	enforced := func(e quotav1.Enforcements, suspend bool) []quotav1.GPUQuota {
		q := quota("a", "", "gpu", "8")
		q.Spec.Enforcement, q.Spec.Suspend = e, suspend
		return []quotav1.GPUQuota{q}
	}
	for name, tc := range map[string]struct {
		scene
		object wire.Object
		want   []string
	}{
		"warn":      {scene{quotas: enforced(quotav1.Enforcements{Gate: quotav1.Warn}, false), used: map[string]int64{"a": 6}}, object("a", "web", pods(0), pods(4)), []string{`GPUQuota "a": gpu requested 4, used 6, reserved 0, hard 8, over by 2 (not enforced: Warn)`}},
		"off":       {scene{quotas: enforced(quotav1.Enforcements{Gate: quotav1.Off}, false)}, object("a", "web", pods(0), pods(40)), nil},
		"suspended": {scene{quotas: enforced(quotav1.Enforcements{}, true)}, object("a", "web", pods(0), pods(40)), nil},
		"unknown":   {scene{}, object("a", "web", pods(0), gpu.Estimate{Unknown: "its pods are made elsewhere"}), []string{"Deployment/a/web cannot be counted before its pods exist: its pods are made elsewhere"}},
		"may grow":  {scene{}, object("a", "web", pods(0), change(pods(4), func(g *gpu.Group) { g.Max = 10 })), []string{`at the most it asks for, not all pods will be admitted: GPUQuota "a": gpu requested 10, used 0, reserved 0, hard 8, over by 2`}},
		"no bound":  {scene{}, object("a", "web", pods(0), change(pods(4), func(g *gpu.Group) { g.Max = -1 })), []string{"Deployment/a/web may make any number of pods; those beyond the limits will not be admitted"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := tc.judge(tc.object)
			if out.answer != wire.Granted {
				t.Errorf("%s: %s", out.answer, out.text)
			}
			if diff := cmp.Diff(tc.want, out.warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLine(t *testing.T) {
	entries := []*entry{{name: "d"}, {name: "c", place: 7}, {name: "a"}, {name: "b", place: 3}}
	var got []string
	for _, e := range line(entries) {
		got = append(got, e.name)
	}
	if diff := cmp.Diff([]string{"b", "c", "a", "d"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if entries[2].place != 8 || entries[0].place != 9 {
		t.Errorf("places %d and %d, want 8 and 9", entries[2].place, entries[0].place)
	}
	for since, want := range map[string]uint64{"": 0, "x": 0, "-1": 0, "12": 12} {
		if got := place(since); got != want {
			t.Errorf("place of %q is %d, want %d", since, got, want)
		}
	}
}

func TestBlockedPassesWhatTakesNothing(t *testing.T) {
	at := func(pairs ...pair) map[pair]struct{} {
		set := map[pair]struct{}{}
		for _, p := range pairs {
			set[p] = struct{}{}
		}
		return set
	}
	h, a, other := pair{"org", "h100"}, pair{"org", "a100"}, pair{"b", "h100"}
	ahead := blocked{}
	for i, step := range []struct {
		out  outcome
		want wire.Answer
		text string
	}{
		{outcome{answer: wire.Granted, demands: at(h)}, wire.Granted, ""},
		{outcome{answer: wire.Waiting, missing: at(h), text: "full"}, wire.Waiting, "full"},
		{outcome{answer: wire.Granted, demands: at(a)}, wire.Granted, ""},
		{outcome{answer: wire.Granted, demands: at(other)}, wire.Granted, ""},
		{outcome{answer: wire.Granted, demands: at(h, a)}, wire.Waiting, `exceeded quota: a revision that asked earlier waits for h100 of GPUQuota "org"`},
		{outcome{answer: wire.NeverFits, text: "never"}, wire.NeverFits, "never"},
	} {
		got := ahead.pass(step.out)
		if got.answer != step.want || got.text != step.text {
			t.Errorf("step %d: %s %q, want %s %q", i, got.answer, got.text, step.want, step.text)
		}
	}
	if diff := cmp.Diff([]pair{h}, slices.Collect(maps.Keys(ahead)), cmp.AllowUnexported(pair{})); diff != "" {
		t.Errorf("waited for (-want +got):\n%s", diff)
	}
}
