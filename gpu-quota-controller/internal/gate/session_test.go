// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	wire "github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// books are ledgers in memory, of which some cannot be written.
type books struct {
	records map[string]*ledger.Record
	broken  map[string]error
	// before is called with the root before it is written.
	before func(root string, r *ledger.Record)
}

func (b *books) Get(_ context.Context, root string) (*ledger.Record, error) {
	return b.records[root].Clone(), nil
}

func (b *books) Update(_ context.Context, root string, change func(*ledger.Record) error) error {
	if b.before != nil {
		b.before(root, b.records[root])
	}
	r := b.records[root].Clone()
	if err := change(r); err != nil {
		return err
	}
	if err := b.broken[root]; err != nil {
		return err
	}
	b.records[root] = r
	return nil
}

// newBooks has two trees of one quota with 8 each.
func newBooks() (*books, *session) {
	forest := tree.New(nil, []quotav1.GPUQuota{quota("a", "", "gpu", "8"), quota("z", "", "gpu", "8")})
	b := &books{records: map[string]*ledger.Record{}, broken: map[string]error{}}
	for _, root := range forest.Roots() {
		b.records[root] = &ledger.Record{Quotas: map[string]ledger.Quota{root: {Hard: gpus(8)}}}
	}
	return b, newSession(&Keeper{Options: Options{Ledger: b}, term: 1}, &view.State{Forest: forest})
}

// grantTwo asks for n in either tree.
func grantTwo(t *testing.T, s *session, n int64) (outcome, error) {
	t.Helper()
	for _, root := range s.state.Forest.Roots() {
		if _, err := s.record(t.Context(), root); err != nil {
			t.Fatal(err)
		}
	}
	request := wire.Request{Kind: "Kustomization", Namespace: "flux", Name: "app", UID: "u", Revision: "new", Change: wire.Change{Objects: []wire.Object{
		object("a", "web", pods(0), pods(n)), object("z", "web", pods(0), pods(n)),
	}}}
	w := s.world(request)
	out := judge(request, "hash", w)
	return out, s.grant(t.Context(), request.UID, w, out)
}

// granted is by root what the ledgers promise, and to which revision.
func (b *books) granted() map[string]string {
	found := map[string]string{}
	for root, r := range b.records {
		for _, g := range r.Grants {
			found[root] += g.Revision + " " + g.Objects[0].Envelope["gpu"].String()
		}
	}
	return found
}

func TestGrantIsAllOrNothing(t *testing.T) {
	old := ledger.Grant{Owner: "u", Revision: "old", Objects: []ledger.GrantObject{{Key: "apps/Deployment/a/web", Quota: "a", Envelope: gpus(2)}}}
	broken := errors.New("the ledger cannot be written")
	for name, tc := range map[string]struct {
		prepare func(*books)
		err     error
		want    map[string]string
	}{
		"both":                 {func(*books) {}, nil, map[string]string{"a": "new 4", "z": "new 4"}},
		"the second is broken": {func(b *books) { b.broken["z"] = broken }, broken, map[string]string{}},
		"the second is broken, and there was a grant before": {
			func(b *books) { b.broken["z"], b.records["a"].Grants = broken, []ledger.Grant{old} }, broken, map[string]string{"a": "old 2"},
		},
		"the second was filled meanwhile": {
			func(b *books) {
				b.before = func(root string, r *ledger.Record) {
					if root == "z" {
						r.Quotas["z"] = ledger.Quota{Hard: gpus(8), Used: gpus(6)}
					}
				}
			}, errNoRoom, map[string]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := newBooks()
			tc.prepare(b)
			out, err := grantTwo(t, s, 4)
			if out.answer != wire.Granted {
				t.Fatalf("%s: %s", out.answer, out.text)
			}
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, b.granted()); diff != "" {
				t.Errorf("promised (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGrantChargesQuotasYetToBe(t *testing.T) {
	b, s := newBooks()
	if _, err := s.record(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	child := quota("child", "a", "gpu", "3")
	request := wire.Request{Kind: "Kustomization", Name: "app", UID: "u", Revision: "new", Change: wire.Change{
		Objects: []wire.Object{object("child", "web", pods(0), pods(3))}, Quotas: []quotav1.GPUQuota{child},
	}}
	w := s.world(request)
	w.held = func(string, string) gpu.Amounts { return nil }
	out := judge(request, "hash", w)
	if err := s.grant(t.Context(), request.UID, w, out); err != nil || out.answer != wire.Granted {
		t.Fatalf("%s, error %v", out.answer, err)
	}
	if got := b.records["a"].Grants[0].Objects[0]; got.Quota != "a" || !got.Envelope.Equal(gpus(3)) {
		t.Errorf("charged to %s: %v, want 3 to the parent that exists", got.Quota, got.Envelope)
	}
}

func TestSweepEndsGrantsWithoutRequest(t *testing.T) {
	b, s := newBooks()
	for _, owner := range []string{"u", "gone"} {
		b.records["a"].Grants = append(b.records["a"].Grants, ledger.Grant{Owner: wire.Request{UID: "u"}.UID, Revision: owner, Objects: []ledger.GrantObject{{Key: owner, Quota: "a", Envelope: gpus(1)}}})
	}
	b.records["a"].Grants[1].Owner = "gone"
	if err := s.sweep(t.Context(), []*entry{{request: wire.Request{UID: "u"}}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "u 1"}, b.granted()); diff != "" {
		t.Errorf("promised (-want +got):\n%s", diff)
	}
}
