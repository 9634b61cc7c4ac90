// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	wire "github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// session is one look at all requests. Records are read once in it, and follow
// what it writes.
type session struct {
	*Keeper
	state   *view.State
	records map[string]*ledger.Record
}

func newSession(k *Keeper, state *view.State) *session {
	return &session{Keeper: k, state: state, records: map[string]*ledger.Record{}}
}

// record returns the record of a root, nil if there is none yet.
func (s *session) record(ctx context.Context, root string) (*ledger.Record, error) {
	if r, read := s.records[root]; read {
		return r, nil
	}
	r, err := s.Ledger.Get(ctx, root)
	if apierrors.IsNotFound(err) {
		r, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.records[root] = r
	return r, nil
}

// sweep ends grants whose requests are gone.
func (s *session) sweep(ctx context.Context, entries []*entry) error {
	asks := map[types.UID]bool{}
	for _, e := range entries {
		asks[e.request.UID] = true
	}
	for _, root := range s.state.Forest.Roots() {
		r, err := s.record(ctx, root)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		for _, g := range r.Grants {
			if asks[g.Owner] {
				continue
			}
			if err := s.update(ctx, root, func(r *ledger.Record) error { return r.Release(s.lead(r), g.Owner) }); err != nil {
				return fmt.Errorf("end the grant of %s %s/%s: %w", g.Kind, g.Namespace, g.Name, err)
			}
		}
	}
	return nil
}

// lead is the term to write to a record with. A leader that was not elected has
// none, and goes on in that of the record.
func (s *session) lead(r *ledger.Record) int64 {
	if s.term == 0 {
		return r.Term
	}
	return s.term
}

// update changes the record of a root, and has the session go on with what came
// of it.
func (s *session) update(ctx context.Context, root string, change func(*ledger.Record) error) error {
	var after *ledger.Record
	err := s.Ledger.Update(ctx, root, func(r *ledger.Record) error {
		if err := change(r); err != nil {
			return err
		}
		after = r.Clone()
		return nil
	})
	if err != nil {
		delete(s.records, root)
		return err
	}
	s.records[root] = after
	return nil
}

// drop removes the requests of owners that would not apply them, and returns the
// others. Owners are asked when a request is new, and every now and then.
func (s *session) drop(ctx context.Context, entries []*entry) ([]*entry, error) {
	var errs []error
	kept := entries[:0]
	for _, e := range entries {
		f := s.memory.of(e)
		if !f.asked.IsZero() && s.Clock.Since(f.asked) < ownersEvery {
			kept = append(kept, e)
			continue
		}
		wants, err := s.Owners.Wants(ctx, e.request)
		switch {
		case err != nil:
			errs = append(errs, err)
			kept = append(kept, e)
		case wants:
			f.asked = s.Clock.Now()
			kept = append(kept, e)
		default:
			errs = append(errs, s.remove(ctx, e))
		}
	}
	return kept, errors.Join(errs...)
}

// remove deletes a request, unless it has become another one. Its grants end
// when it is seen to be gone.
func (s *session) remove(ctx context.Context, e *entry) error {
	err := s.Client.ConfigMaps(s.Namespace).Delete(ctx, e.name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &e.version}})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("remove the request of %s %s/%s: %w", e.request.Kind, e.request.Namespace, e.request.Name, err)
}

// follow looks after a request that was granted: it goes when its grants have
// ended, and what grows may go on when what shrinks has made room.
func (s *session) follow(ctx context.Context, e *entry) error {
	f := s.memory.of(e)
	if f.granted.IsZero() {
		f.granted = s.Clock.Now()
	}
	// Until it may go there is nothing to be seen of it, and a look costs a request.
	if !e.verdict.ShrinkFirst && (s.Clock.Since(f.granted) < lingers || s.Clock.Since(f.looked) < ownersEvery) {
		return nil
	}
	f.looked = s.Clock.Now()
	parts, _ := s.world(e.request).parts(e.request)
	open, released := false, true
	for root := range parts {
		r, err := s.record(ctx, root)
		if err != nil {
			return err
		}
		g := grantOf(r, e.request.UID)
		if g.Hash != e.hash {
			continue
		}
		for _, o := range g.Objects {
			open = true
			if !o.Envelope.Covers(o.Held) {
				released = false
			}
		}
	}
	switch {
	case e.verdict.ShrinkFirst && released:
		v := e.verdict
		v.ShrinkFirst, v.Text = false, ""
		return s.write(ctx, e, v)
	case !open && !e.verdict.ShrinkFirst && s.Clock.Since(f.granted) >= lingers:
		return s.remove(ctx, e)
	}
	return nil
}

// grantOf returns the grant of an owner, an empty one if there is none.
func grantOf(r *ledger.Record, owner types.UID) ledger.Grant {
	if r == nil {
		return ledger.Grant{}
	}
	i := slices.IndexFunc(r.Grants, func(g ledger.Grant) bool { return g.Owner == owner })
	if i < 0 {
		return ledger.Grant{}
	}
	return r.Grants[i]
}

// world is what a request is judged by now.
func (s *session) world(r wire.Request) world {
	forest := s.state.Forest
	if len(r.Quotas)+len(r.RemovedQuotas) > 0 {
		forest = forest.With(r.Quotas, r.RemovedQuotas...)
	}
	return world{forest: forest, namespaces: s.state.Namespaces, records: s.records, held: func(string, string) gpu.Amounts { return nil }}
}

// answer judges a request, opens its grants, and writes the verdict if it is
// another one than before.
func (s *session) answer(ctx context.Context, e *entry, ahead blocked) error {
	w := s.world(e.request)
	err := s.equip(ctx, e.request, &w)
	if errors.Is(err, errNotCounted) {
		return nil // the recount touches when it has
	}
	if err != nil {
		return fmt.Errorf("judge the request of %s %s/%s: %w", e.request.Kind, e.request.Namespace, e.request.Name, err)
	}
	out := ahead.pass(judge(e.request, e.hash, w))
	if out.answer == wire.Granted {
		err := s.grant(ctx, e.request.UID, w, out)
		switch {
		case errors.Is(err, ledger.ErrFull):
			// Whoever asks has to know, and goes on when there is room in it.
			out = outcome{answer: wire.Waiting, text: ledger.ErrFull.Error(), warnings: out.warnings}
		case err != nil:
			if errors.Is(err, errNoRoom) {
				s.Touch()
			}
			return fmt.Errorf("grant what %s %s/%s asks for: %w", e.request.Kind, e.request.Namespace, e.request.Name, err)
		}
	}
	v := wire.Verdict{
		Hash: e.hash, Answer: out.answer, ShrinkFirst: out.shrinkFirst, Text: out.text, Warnings: out.warnings,
	}
	if v.Answer == wire.Waiting {
		v.Since = strconv.FormatUint(e.place, 10)
	}
	if e.answered() && e.verdict.Answer == v.Answer && e.verdict.Since == v.Since {
		return nil // the numbers stay those of the decision
	}
	for _, over := range out.over {
		s.Refused(over)
	}
	return s.write(ctx, e, v)
}

// equip reads what a request is judged by: the ledgers of its trees, and what its
// objects hold.
func (s *session) equip(ctx context.Context, r wire.Request, w *world) error {
	keys := map[string]struct{}{}
	namespaces := map[string]struct{}{}
	for _, o := range r.Objects {
		keys[o.Key], namespaces[o.Namespace] = struct{}{}, struct{}{}
		if _, root, ok := w.forest.Owner(o.Namespace, w.namespaces[o.Namespace]); ok {
			r, err := s.record(ctx, root)
			switch {
			case err != nil:
				return err
			case r == nil && s.state.Forest.Quota(root) != nil, r != nil && r.Closed != "":
				return errNotCounted
			}
		}
	}
	held, err := s.attribute(ctx, keys, namespaces)
	if err != nil {
		return err
	}
	w.held = func(root, key string) gpu.Amounts {
		// What a grant says goes with what else its ledger says.
		for _, o := range grantOf(s.records[root], r.UID).Objects {
			if o.Key == key {
				return o.Held
			}
		}
		return held.of(w.forest.Catalogue(root), key)
	}
	return nil
}

var (
	errNoRoom     = errors.New("the room is gone meanwhile")
	errNotCounted = errors.New("what is held has not been counted yet")
)

// grant writes the grants of a request into the ledgers, all or none. Each is
// tried once more on the record that it is written to.
func (s *session) grant(ctx context.Context, owner types.UID, w world, out outcome) error {
	before := map[string]*ledger.Grant{}
	var done []string
	for _, root := range slices.Sorted(maps.Keys(out.trials)) {
		t := out.trials[root]
		if s.records[root] == nil || len(t.verdict.grant.Objects) == 0 {
			continue // a tree that is yet to be has nothing to promise
		}
		err := s.update(ctx, root, func(r *ledger.Record) error {
			if old := grantOf(r.Clone(), owner); old.Owner != "" {
				before[root] = &old
			}
			g, err := t.again(world{forest: w.forest, records: map[string]*ledger.Record{root: r}}.record(root))
			if err != nil {
				return err
			}
			for i := range g.Objects {
				g.Objects[i].Quota = nearest(r, w.forest, g.Objects[i].Quota)
			}
			return r.Grant(s.lead(r), g)
		})
		if err != nil {
			return errors.Join(err, s.undo(ctx, done, owner, before))
		}
		done = append(done, root)
	}
	return nil
}

// nearest is the quota itself, or the first above it that the ledger has: a quota
// that is yet to be created is charged to its parent.
func nearest(r *ledger.Record, forest *tree.Forest, quota string) string {
	for _, name := range forest.Path(quota) {
		if _, known := r.Quotas[name]; known {
			return name
		}
	}
	return r.Root()
}

// undo takes back what was written of a request for which not all could be.
func (s *session) undo(ctx context.Context, roots []string, owner types.UID, before map[string]*ledger.Grant) error {
	var errs []error
	for _, root := range roots {
		errs = append(errs, s.update(ctx, root, func(r *ledger.Record) error {
			if old := before[root]; old != nil {
				return r.Grant(s.lead(r), *old)
			}
			return r.Release(s.lead(r), owner)
		}))
	}
	return errors.Join(errs...)
}

// write puts a verdict onto a request, unless that has become another one.
func (s *session) write(ctx context.Context, e *entry, v wire.Verdict) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the verdict: %w", err)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]string{"resourceVersion": e.version},
		"data":     map[string]string{wire.VerdictKey: string(text)},
	})
	if err != nil {
		return fmt.Errorf("encode the verdict: %w", err)
	}
	_, err = s.Client.ConfigMaps(s.Namespace).Patch(ctx, e.name, types.MergePatchType, patch, metav1.PatchOptions{})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		s.Touch() // the watch tells what it is now
		return nil
	case err != nil:
		return fmt.Errorf("write the verdict about %s %s/%s: %w", e.request.Kind, e.request.Namespace, e.request.Name, err)
	}
	s.Metrics.judged(v.Answer)
	return nil
}
