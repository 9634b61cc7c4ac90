// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

func object(key, quota string, envelope, held int64) GrantObject {
	return GrantObject{Key: key, Quota: quota, Envelope: h100(envelope), Held: h100(held)}
}

func asked(objects ...GrantObject) Grant {
	return Grant{Owner: "ks", Kind: "Kustomization", Namespace: "flux-system", Name: "apps", Objects: objects}
}

type fitCase struct {
	record *Record
	grant  Grant
	text   string
	// demands are quota: requested, missing.
	demands map[string][2]int64
	warns   int
}

var fitCases = map[string]fitCase{
	"room": {
		record: tree(), grant: asked(object("web", "team-a", 8, 0)),
		demands: map[string][2]int64{"team-a": {8, 0}, "research": {8, 0}},
	},
	"only growth is asked for": {
		record: used(tree(), "team-a", 8), grant: asked(object("web", "team-a", 16, 8)),
		demands: map[string][2]int64{"team-a": {8, 0}, "research": {8, 0}},
	},
	"no room": {
		record: used(tree(), "team-a", 12), grant: asked(object("web", "team-a", 8, 0)),
		demands: map[string][2]int64{"team-a": {8, 4}, "research": {8, 0}},
		text:    `exceeded quota: GPUQuota "team-a": h100 requested 8, used 12, reserved 0, hard 16, over by 4`,
	},
	"no room above": {
		record: used(tree(), "team-b", 60), grant: asked(object("web", "team-a", 8, 0)),
		demands: map[string][2]int64{"team-a": {8, 0}, "research": {8, 4}},
		text:    `exceeded quota: GPUQuota "research": h100 requested 8, used 60, reserved 0, hard 64, over by 4`,
	},
	"never": {
		record: used(tree(), "team-a", 8), grant: asked(object("web", "team-a", 16, 8), object("job", "team-a", 8, 0)),
		demands: map[string][2]int64{"team-a": {16, 8}, "research": {16, 0}},
		text:    `GPUQuota "team-a": h100 requested 24 can never fit, hard 16`,
	},
	"less, while exceeded": {
		record: used(tree(), "team-a", 32), grant: asked(object("web", "team-a", 24, 32)),
	},
	"the same, while exceeded": {
		record: used(tree(), "team-a", 32), grant: asked(object("web", "team-a", 32, 32)),
	},
	"a swap at the limit": {
		record: used(tree(), "team-a", 16), grant: asked(object("old", "team-a", 0, 8), object("new", "team-a", 8, 0)),
	},
	"a swap between children of a full root": {
		record: used(used(tree(), "team-a", 8), "team-b", 56), grant: asked(object("old", "team-b", 0, 8), object("new", "team-a", 8, 0)),
		demands: map[string][2]int64{"team-a": {8, 0}},
	},
	"a swap that grows": {
		record: used(tree(), "team-a", 16), grant: asked(object("old", "team-a", 0, 8), object("new", "team-a", 9, 0)),
		demands: map[string][2]int64{"team-a": {1, 1}, "research": {1, 0}},
		text:    `exceeded quota: GPUQuota "team-a": h100 requested 1, used 16, reserved 0, hard 16, over by 1`,
	},
	"its own grant is replaced": {
		record: grants(tree(), object("web", "team-a", 16, 0)), grant: asked(object("web", "team-a", 12, 0)),
	},
	"its own grant is replaced by more": {
		record: grants(used(tree(), "team-a", 4), object("web", "team-a", 12, 4)), grant: asked(GrantObject{Key: "web", Quota: "team-a", Envelope: h100(16)}),
		demands: map[string][2]int64{"team-a": {4, 0}, "research": {4, 0}},
	},
	"warned of": {
		record: with(used(tree(), "team-a", 16), "team-a", func(q *Quota) { q.Gate = quotav1.Warn }), grant: asked(object("web", "team-a", 32, 0)),
		demands: map[string][2]int64{"team-a": {32, 0}, "research": {32, 0}}, warns: 2,
	},
	"off": {
		record: with(used(tree(), "team-a", 16), "team-a", func(q *Quota) { q.Gate = quotav1.Off }), grant: asked(object("web", "team-a", 32, 0)),
		demands: map[string][2]int64{"team-a": {32, 0}, "research": {32, 0}},
	},
	"too many for a workload": {
		record:  with(tree(), "research", func(q *Quota) { q.PerWorkload = &quotav1.PerWorkload{MaxGPUs: "4"} }),
		grant:   asked(object("web", "team-a", 8, 4), object("big", "team-a", 5, 8)),
		demands: map[string][2]int64{"team-a": {1, 0}, "research": {1, 0}},
		text:    `GPUQuota "research": web asks for 8 GPUs, perWorkload.maxGPUs is 4`,
	},
	"a class that is not allowed": {
		record:  with(tree(), "team-a", func(q *Quota) { q.PerWorkload = &quotav1.PerWorkload{AllowedDevices: []string{"l40"}} }),
		grant:   asked(object("web", "team-a", 8, 0)),
		demands: map[string][2]int64{"team-a": {8, 0}, "research": {8, 0}},
		text:    `GPUQuota "team-a": web: it asks for h100, or could land on one: perWorkload.allowedDevices has l40 only`,
	},
}

func TestFit(t *testing.T) {
	for name, tt := range fitCases {
		t.Run(name, func(t *testing.T) {
			before := tt.record.Clone()
			fit := tt.record.Fit(tt.grant)
			if fit.Text() != tt.text || fit.Fits() != (tt.text == "") || len(fit.Warnings) != tt.warns || fit.Grows() != (len(tt.demands) > 0) {
				t.Errorf("got %q %v", fit.Text(), fit.Warnings)
			}
			got := map[string][2]int64{}
			for _, d := range fit.Demands {
				got[d.Quota] = [2]int64{int64(d.Requested.Float()), int64(d.Missing.Float())}
			}
			if diff := cmp.Diff(tt.demands, got); diff != "" && len(tt.demands)+len(got) > 0 {
				t.Errorf("demands (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.record); diff != "" {
				t.Errorf("the record changed:\n%s", diff)
			}
		})
	}
}

// What is freed within a swap goes to those in it that grow, and to nobody else.
func TestSwap(t *testing.T) {
	r := used(tree(), "team-a", 16)
	if err := r.Grant(1, asked(object("old", "team-a", 0, 8), object("new", "team-a", 8, 0))); err != nil {
		t.Fatal(err)
	}
	grower := claim("new-1", "team-a", 8)
	grower.Chain = []string{"new"}
	if d := r.Admit(grower); d.Outcome != Exceeded {
		t.Errorf("before anything is freed: %s", d.Outcome)
	}
	freed := Count{Term: 1, ResourceVersion: "200", Used: map[string]gpu.Amounts{"team-a": h100(8)}}
	freed.Grants = map[types.UID]GrantCount{"ks": {Landed: []string{"old"}}}
	if err := r.Apply(freed); err != nil {
		t.Fatal(err)
	}
	if d := r.Admit(claim("thief", "team-a", 8)); d.Outcome != Exceeded {
		t.Errorf("somebody else: %s", d.Outcome)
	}
	if d := r.Admit(grower); d.Outcome != Admitted || r.Reservations[0].Object != "new" {
		t.Errorf("the grower: %s", d.Text())
	}
	if got := r.Outstanding("ks", "team-a"); !got.IsZero() {
		t.Errorf("%v is outstanding", got)
	}
	valid(t, r)
}

func TestGrants(t *testing.T) {
	r := tree()
	if err := r.Grant(2, asked(object("web", "team-a", 8, 2), object("job", "team-b", 4, 0))); err != nil {
		t.Fatal(err)
	}
	if err := r.Grant(2, asked(GrantObject{Key: "web", Quota: "team-a", Envelope: h100(10)}, object("new", "team-a", 1, 0))); err != nil {
		t.Fatal(err)
	}
	if len(r.Grants) != 1 || !r.Grants[0].Objects[0].Held.Equal(h100(2)) || charged(r, "research").Cmp(gpu.Whole(9)) != 0 {
		t.Errorf("replaced: %+v", r.Grants)
	}
	for name, err := range map[string]error{
		"Grant":   r.Grant(1, asked(object("x", "team-a", 1, 0))),
		"Land":    r.Land(1, "ks", "web"),
		"Release": r.Release(1, "ks"),
	} {
		if !errors.Is(err, ErrStale) {
			t.Errorf("%s by an old leader: %v", name, err)
		}
	}
	if err := r.Grant(2, asked(object("x", "team-z", 1, 0))); err == nil {
		t.Error("a grant for a quota that is not there")
	}
	for _, step := range []struct {
		do   error
		want int64
	}{
		{r.Land(2, "ks", "unknown"), 9},
		{r.Land(2, "nobody", "web"), 9},
	} {
		if got := charged(r, "research"); step.do != nil || got.Cmp(gpu.Whole(step.want)) != 0 {
			t.Errorf("charged for %s, %v; want %d", got, step.do, step.want)
		}
	}
	if err := r.Land(2, "ks", "web"); err != nil || len(r.Grants[0].Objects) != 1 || charged(r, "research").Cmp(gpu.Whole(1)) != 0 {
		t.Errorf("landed: %v, %+v", err, r.Grants)
	}
	if err := r.Land(2, "ks", "new"); err != nil || len(r.Grants) != 0 {
		t.Errorf("the last one landed: %v, %+v", err, r.Grants)
	}
	if err := r.Grant(2, asked(object("web", "team-a", 8, 0))); err != nil {
		t.Fatal(err)
	}
	if err := r.Release(2, "ks"); err != nil || len(r.Grants) != 0 {
		t.Errorf("released: %v, %+v", err, r.Grants)
	}
	if err := r.Grant(3, asked()); err != nil || len(r.Grants) != 0 || r.Term != 3 {
		t.Errorf("a grant of nothing: %v, %+v", err, r.Grants)
	}
}

// While something shrinks, what others in the grant were promised does not grow.
func TestLandShrinking(t *testing.T) {
	r := grants(used(tree(), "team-a", 16), object("old", "team-a", 4, 12), object("new", "team-a", 8, 0))
	before := charged(r, "team-a")
	if err := r.Land(1, "ks", "old"); err != nil || charged(r, "team-a").Cmp(before) != 0 || len(r.Grants[0].Objects) != 2 {
		t.Errorf("%v: charged for %s after %s", err, charged(r, "team-a"), before)
	}
	// A pod that is on its way keeps what it drew.
	r = grants(reserve(tree(), "p", "team-a", 4), object("web", "team-a", 8, 0), object("job", "team-a", 8, 0))
	r.Reservations[0].Grant, r.Reservations[0].Object = "ks", "web"
	if err := r.Land(1, "ks", "web"); err != nil || charged(r, "team-a").Cmp(gpu.Whole(12)) != 0 {
		t.Errorf("%v: charged for %s, %+v", err, charged(r, "team-a"), r.Grants)
	}
}

func TestGrantFull(t *testing.T) {
	r := tree()
	var many []GrantObject
	for i := range 400 {
		many = append(many, object(fmt.Sprintf("apps/Deployment/team-a/a-rather-long-name-%d", i), "team-a", 1, 0))
	}
	before := r.Clone()
	if err := r.Grant(1, asked(many...)); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, r); diff != "" {
		t.Errorf("the record changed:\n%s", diff)
	}
	if err := r.Grant(1, asked(many[:200]...)); err != nil {
		t.Error(err)
	}
	valid(t, r)
}

// Whatever was granted, what is held of it has to fit as well: a ledger that no
// count can be written to would never let go of anything.
func TestCountFitsWhateverWasGranted(t *testing.T) {
	r := with(tree(), "research", func(q *Quota) { q.Hard = h100(1000) })
	count := Count{Term: 1, ResourceVersion: "200", Grants: map[types.UID]GrantCount{}}
	for i := 0; ; i++ {
		owner := types.UID(fmt.Sprintf("owner-%d", i))
		held := map[string]gpu.Amounts{}
		g := Grant{Owner: owner, Kind: "Kustomization", Namespace: "n", Name: "k"}
		for j := range 10 {
			key := fmt.Sprintf("/Pod/n/%d", j)
			g.Objects = append(g.Objects, GrantObject{Key: key, Quota: "team-b", Envelope: h100(2)})
			held[key] = h100(1)
		}
		if err := r.Grant(1, g); err != nil {
			if !errors.Is(err, ErrFull) || i < 10 {
				t.Fatalf("after %d grants: %v", i, err)
			}
			break
		}
		count.Grants[owner] = GrantCount{Held: held}
	}
	for i := 0; r.Admit(claim(fmt.Sprintf("pod-%d", i), "team-b", 1)).Outcome == Admitted; i++ {
		if i > MaxReservations {
			t.Fatal("there is no end of room")
		}
	}
	if err := r.Apply(count); err != nil {
		t.Fatal(err)
	}
	valid(t, r)
}
