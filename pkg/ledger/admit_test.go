// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

var web = GrantObject{Key: "apps/Deployment/team-a/web", Quota: "team-a", Envelope: h100(16)}

type admitCase struct {
	record *Record
	claim  Claim
	want   Outcome
	text   string
	warns  []string
	// charge of team-a and of research after it.
	team, root int64
	unchanged  bool
}

var admitCases = map[string]admitCase{
	"free quota": {
		record: tree(), claim: claim("p", "team-a", 8), want: Admitted, team: 8, root: 8,
	},
	"the last device": {
		record: used(tree(), "team-a", 8), claim: claim("p", "team-a", 8), want: Admitted, team: 16, root: 16,
	},
	"own limit": {
		record: reserve(used(tree(), "team-a", 8), "q", "team-a", 4), claim: claim("p", "team-a", 8), want: Exceeded, team: 12, root: 12,
		text: `exceeded quota: GPUQuota "team-a": h100 requested 8, used 8, reserved 4, hard 16, over by 4`,
	},
	"limit of the root": {
		record: used(tree(), "team-b", 60), claim: claim("p", "team-a", 8), want: Exceeded, root: 60,
		text: `exceeded quota: GPUQuota "research": h100 requested 8, used 60, reserved 0, hard 64, over by 4`,
	},
	"both limits, own first": {
		record: used(used(tree(), "team-b", 50), "team-a", 14), claim: claim("p", "team-a", 4), want: Exceeded, team: 14, root: 64,
		text: `exceeded quota: GPUQuota "team-a": h100 requested 4, used 14, reserved 0, hard 16, over by 2; ` +
			`GPUQuota "research": h100 requested 4, used 64, reserved 0, hard 64, over by 4`,
	},
	"no limit of its own": {
		record: tree(), claim: claim("p", "team-b", 64), want: Admitted, root: 64,
	},
	"a class without a limit": {
		record: tree(), want: Admitted,
		claim: Claim{Pod: "p", Namespace: "a", Name: "p", Quota: "team-a", Amounts: gpu.Amounts{"a100": gpu.Whole(1000)}},
	},
	"limit 0 is none": {
		record: with(tree(), "team-a", func(q *Quota) { q.Hard = gpu.Amounts{"h100": gpu.Whole(0)} }),
		claim:  claim("p", "team-a", 1), want: Never,
		text: `GPUQuota "team-a": h100 requested 1 can never fit, hard 0`,
	},
	"more than the limit": {
		record: used(tree(), "team-a", 16), claim: claim("p", "team-a", 17), want: Never, team: 16, root: 16,
		text: `GPUQuota "team-a": h100 requested 17 can never fit, hard 16`,
	},
	"the same pod again, over the limit": {
		record: used(reserve(tree(), "p", "team-a", 8), "team-a", 16), claim: claim("p", "team-a", 8),
		want: Admitted, team: 24, root: 24, unchanged: true,
	},
	"the same pod wants more": {
		record: reserve(tree(), "p", "team-a", 8), claim: claim("p", "team-a", 12), want: Admitted, team: 12, root: 12,
	},
	"the same name again": {
		record: reserve(used(tree(), "team-a", 8), "p", "team-a", 8), want: Admitted, team: 16, root: 16,
		claim: Claim{Pod: "p2", Namespace: "team-a", Name: "p", Quota: "team-a", Amounts: h100(8)},
	},
	"the same name again with more": {
		record: reserve(used(tree(), "team-a", 8), "p", "team-a", 8), want: Exceeded, team: 16, root: 16,
		claim: Claim{Pod: "p2", Namespace: "team-a", Name: "p", Quota: "team-a", Amounts: h100(9)},
		text:  `exceeded quota: GPUQuota "team-a": h100 requested 1, used 8, reserved 8, hard 16, over by 1`,
	},
	"a slot, while exceeded": {
		record: slots(used(tree(), "team-a", 32), "sts", 8), claim: owned(claim("p", "team-a", 8), "sts"),
		want: Admitted, team: 40, root: 40,
	},
	"a slot, and the limit is now below the pod": {
		record: slots(with(used(tree(), "team-a", 32), "team-a", func(q *Quota) { q.Hard = h100(1) }), "sts", 8),
		claim:  owned(claim("p", "team-a", 8), "sts"), want: Admitted, team: 40, root: 40,
	},
	"a slot of somebody else": {
		record: slots(used(tree(), "team-a", 8), "sts", 8), claim: owned(claim("p", "team-a", 8), "other"), want: Exceeded, team: 16, root: 16,
		text: `exceeded quota: GPUQuota "team-a": h100 requested 8, used 8, reserved 8, hard 16, over by 8`,
	},
	"half a slot": {
		record: slots(used(tree(), "team-a", 8), "sts", 4), claim: owned(claim("p", "team-a", 8), "sts"),
		want: Admitted, team: 16, root: 16,
	},
	"a grant": {
		record: grants(used(tree(), "team-b", 48), web), claim: chained(claim("p", "team-a", 8)), want: Admitted, team: 16, root: 64,
	},
	"a grant and a bit": {
		record: grants(tree(), GrantObject{Key: web.Key, Quota: "team-a", Envelope: h100(4)}),
		claim:  chained(claim("p", "team-a", 8)), want: Admitted, team: 8, root: 8,
	},
	"no part of a grant": {
		record: grants(tree(), web), claim: claim("p", "team-a", 8), want: Exceeded, team: 16, root: 16,
		text: `exceeded quota: GPUQuota "team-a": h100 requested 8, used 0, reserved 16, hard 16, over by 8`,
	},
	"a grant that is used up": {
		record: grants(used(tree(), "team-a", 16), GrantObject{Key: web.Key, Quota: "team-a", Envelope: h100(16), Held: h100(16)}),
		claim:  chained(claim("p", "team-a", 8)), want: Exceeded, team: 16, root: 16,
		text: `exceeded quota: GPUQuota "team-a": h100 requested 8, used 16, reserved 0, hard 16, over by 8`,
	},
	"warned of": {
		record: with(used(tree(), "team-a", 16), "team-a", admission(quotav1.Warn)), claim: claim("p", "team-a", 8),
		want: Admitted, team: 24, root: 24,
		warns: []string{`GPUQuota "team-a": h100 requested 8, used 16, reserved 0, hard 16, over by 8 (not enforced: Warn)`},
	},
	"warned of here, enforced above": {
		record: with(used(tree(), "team-b", 64), "team-a", admission(quotav1.Warn)), claim: claim("p", "team-a", 32), want: Exceeded, root: 64,
		text: `exceeded quota: GPUQuota "research": h100 requested 32, used 64, reserved 0, hard 64, over by 32`,
	},
	"off here, enforced above": {
		record: with(tree(), "team-a", admission(quotav1.Off)), claim: claim("p", "team-a", 32), want: Admitted, team: 32, root: 32,
	},
	"off everywhere": {
		record: with(with(tree(), "team-a", admission(quotav1.Off)), "research", func(q *Quota) { q.Suspended = true }),
		claim:  claim("p", "team-a", 99), want: Admitted, unchanged: true,
	},
	"suspended": {
		record: with(tree(), "team-a", func(q *Quota) { q.Suspended = true }), claim: claim("p", "team-a", 32), want: Admitted, team: 32, root: 32,
	},
	"too many for a pod": {
		record: with(tree(), "research", func(q *Quota) { q.PerWorkload = &quotav1.PerWorkload{MaxPerPod: "4"} }),
		claim:  claim("p", "team-a", 8), want: Never,
		text: `GPUQuota "research": a pod asks for 8 GPUs, perWorkload.maxPerPod is 4`,
	},
	"two classes, but only one of them": {
		record: with(tree(), "team-a", func(q *Quota) { q.PerWorkload = &quotav1.PerWorkload{MaxPerPod: "4"} }),
		want:   Admitted, team: 4, root: 4,
		claim: Claim{
			Pod: "p", Namespace: "a", Name: "p", Quota: "team-a", Total: gpu.Whole(4),
			Amounts: gpu.Amounts{"h100": gpu.Whole(4), "a100": gpu.Whole(4)},
		},
	},
	"a class that is not allowed": {
		record: with(tree(), "team-a", func(q *Quota) { q.PerWorkload = &quotav1.PerWorkload{AllowedDevices: []string{"l40", "a100"}} }),
		claim:  claim("p", "team-a", 8), want: Never,
		text: `GPUQuota "team-a": it asks for h100, or could land on one: perWorkload.allowedDevices has a100, l40 only`,
	},
	"a class that is not allowed, warned of": {
		record: with(tree(), "team-a", func(q *Quota) {
			q.Admission, q.PerWorkload = quotav1.Warn, &quotav1.PerWorkload{AllowedDevices: []string{"l40"}}
		}),
		claim: claim("p", "team-a", 8), want: Admitted, team: 8, root: 8,
		warns: []string{`GPUQuota "team-a": it asks for h100, or could land on one: perWorkload.allowedDevices has l40 only (not enforced: Warn)`},
	},
	"closed": {
		record: closed(tree(), "not counted yet"), claim: claim("p", "team-a", 1), want: Closed,
		text: "no GPUs are given out until what is held has been counted: not counted yet",
	},
	"closed, and the same pod again": {
		record: closed(reserve(tree(), "p", "team-a", 8), "x"), claim: claim("p", "team-a", 8), want: Admitted, team: 8, root: 8, unchanged: true,
	},
	"an unknown quota": {
		record: tree(), claim: claim("p", "team-c", 1), want: Closed,
		text: `GPUQuota "team-c" is not in its ledger yet: try again in a moment`,
	},
	"too many on their way": {
		record: crowd(tree()), claim: claim("p", "team-b", 1), want: Busy, root: MaxReservations,
		text: "too many pods are on their way under the same root quota: try again in a moment",
	},
	"no UID": {
		record: tree(), claim: claim("", "team-a", 1), want: Never, text: "a pod without a UID cannot be charged for",
	},
	"beyond all bounds": {
		record: tree(), want: Never, text: "the pod asks for more GPUs than can be counted",
		claim: Claim{Pod: "p", Namespace: "a", Name: "p", Quota: "team-b", Amounts: gpu.Amounts{"a100": beyond()}},
	},
	"no name": {
		record: reserve(tree(), "q", "team-a", 8), want: Admitted, team: 16, root: 16,
		claim: Claim{Pod: "p", Namespace: "team-a", Quota: "team-a", Amounts: h100(8)},
	},
	"fractions": {
		record: with(tree(), "team-a", func(q *Quota) { q.Hard, q.Used = h100(1), gpu.Amounts{"h100": sevenths(6)} }),
		claim:  Claim{Pod: "p", Namespace: "a", Name: "p", Quota: "team-a", Amounts: gpu.Amounts{"h100": sevenths(1)}},
		want:   Admitted, team: 1, root: 1,
	},
}

func TestAdmit(t *testing.T) {
	for name, tt := range admitCases {
		t.Run(name, func(t *testing.T) {
			before := tt.record
			tt.record = before.Clone()
			d := tt.record.Admit(tt.claim)
			if d.Outcome != tt.want || d.Text() != tt.text {
				t.Errorf("got %s %q, want %s %q", d.Outcome, d.Text(), tt.want, tt.text)
			}
			if diff := cmp.Diff(tt.warns, d.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if d.Changed != (tt.want == Admitted && !tt.unchanged) || d.Changed == cmp.Equal(before, tt.record) {
				t.Errorf("changed is %t", d.Changed)
			}
			if (d.Err() == nil) != (tt.want == Admitted) {
				t.Errorf("the error is %v", d.Err())
			}
			if got := charged(tt.record, "team-a"); got.Cmp(gpu.Whole(tt.team)) != 0 {
				t.Errorf("team-a is charged for %s, want %d", got, tt.team)
			}
			if got := charged(tt.record, "research"); got.Cmp(gpu.Whole(tt.root)) != 0 {
				t.Errorf("research is charged for %s, want %d", got, tt.root)
			}
			valid(t, tt.record)
		})
	}
}

// A record that is nearly full admits no more, and leaves the leader room to count.
func TestAdmitLeavesRoomToCount(t *testing.T) {
	r := tree()
	for i := range 180 {
		r.Quotas[fmt.Sprintf("team-%02d-%s", i, strings.Repeat("x", 40))] = Quota{Parent: "research", Hard: h100(16)}
	}
	var d Decision
	for i := range MaxReservations {
		if d = r.Admit(claim(fmt.Sprintf("pod-%s-%d", strings.Repeat("x", 60), i), "team-b", 0)); d.Outcome != Admitted {
			break
		}
		if d = r.Admit(claim(fmt.Sprintf("pod-%s-%d", strings.Repeat("y", 60), i), "team-b", 1)); d.Outcome != Admitted {
			break
		}
		if charged(r, "research").Cmp(gpu.Whole(64)) >= 0 {
			r = with(r, "research", func(q *Quota) { q.Hard = h100(1000) })
		}
	}
	if d.Outcome != Busy || !strings.Contains(d.Text(), "full") {
		t.Fatalf("got %s %q, want Busy", d.Outcome, d.Text())
	}
	data, err := r.Encode()
	if err != nil || len(data) > admitBytes {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// A quota may have several namespaces. What a pod in one says of its owner is no
// claim on a slot of another.
func TestSlotOfAnotherNamespace(t *testing.T) {
	full := slots(used(tree(), "team-a", 14), "web", 2)
	forged := owned(claim("p", "team-a", 2), "web")
	forged.Namespace = "team-a-2"
	if d := full.Admit(forged); d.Outcome != Exceeded || len(full.Slots) != 1 {
		t.Errorf("got %s, slots %+v", d.Outcome, full.Slots)
	}
	if d := full.Admit(owned(claim("p", "team-a", 2), "web")); d.Outcome != Admitted {
		t.Errorf("its own pod: got %s", d.Outcome)
	}
}

// A pod that could land on either of two classes leaves a slot in both. It is for
// one pod: who comes for the one class leaves nothing of the other.
func TestSlotOfEitherClass(t *testing.T) {
	for name, either := range map[string]bool{"one pod": true, "two pods": false} {
		t.Run(name, func(t *testing.T) {
			r := tree()
			r = with(r, "team-a", func(q *Quota) { q.Hard = gpu.Amounts{"h100": gpu.Whole(2), "a100": gpu.Whole(0)} })
			r.Slots = []Slot{{Owner: "web", Namespace: "team-a", Quota: "team-a", Amounts: gpu.Amounts{"h100": gpu.Whole(2), "a100": gpu.Whole(2)}, Either: either}}
			first := owned(claim("p", "team-a", 2), "web")
			first.Amounts = gpu.Amounts{"a100": gpu.Whole(2)}
			if d := r.Admit(first); d.Outcome != Admitted {
				t.Fatalf("got %s: %s", d.Outcome, d.Text())
			}
			if got := open(r).charge("team-a")["h100"]; got.IsZero() != either {
				t.Errorf("h100 is charged for %s", got)
			}
			count := Count{Term: 1, ResourceVersion: "200", Slots: []Slot{{Owner: "web", Namespace: "team-a", Quota: "team-a", Amounts: gpu.Amounts{"h100": gpu.Whole(2), "a100": gpu.Whole(2)}, Either: either}}}
			if err := r.Apply(count); err != nil || (len(r.Slots) == 0) != either {
				t.Errorf("after a count: %+v, %v", r.Slots, err)
			}
			valid(t, r)
		})
	}
}

func TestCauses(t *testing.T) {
	d := used(tree(), "team-a", 12).Admit(claim("p", "team-a", 8))
	causes := d.Causes()
	if len(causes) != 1 || causes[0].Field != "team-a/h100" || causes[0].Type != "GPUQuotaExceeded" ||
		causes[0].Message != "h100 requested 8, used 12, reserved 0, hard 16, over by 4" {
		t.Errorf("got %+v", causes)
	}
	d = tree().Admit(claim("p", "team-a", 80))
	if causes = d.Causes(); len(causes) != 2 || causes[1].Type != "GPUQuotaNeverFits" || causes[1].Field != "research/h100" {
		t.Errorf("got %+v", causes)
	}
}

func slots(r *Record, owner string, n int64) *Record {
	r.Slots = append(r.Slots, Slot{Owner: types.UID(owner), Namespace: "team-a", Quota: "team-a", Amounts: h100(n)})
	return r
}

func owned(c Claim, owner types.UID) Claim {
	c.Owner = owner
	return c
}

func chained(c Claim) Claim {
	c.Chain = []string{"apps/ReplicaSet/team-a/web-1", "apps/Deployment/team-a/web"}
	return c
}

func closed(r *Record, why string) *Record {
	r.Close(why)
	return r
}

func crowd(r *Record) *Record {
	r = with(r, "research", func(q *Quota) { q.Hard = h100(1000) })
	for i := range MaxReservations {
		r = reserve(r, fmt.Sprintf("q%d", i), "team-b", 1)
	}
	return r
}

func sevenths(n int64) gpu.Amount {
	one, err := gpu.ParseAmount("1/7")
	if err != nil {
		return gpu.Amount{}
	}
	return one.Times(n)
}

// beyond is more than can be written.
func beyond() gpu.Amount { return gpu.Whole(1 << 62).Times(1 << 62).Times(1 << 62).Times(1 << 62) }
