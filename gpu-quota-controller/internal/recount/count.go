// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// root is what is known of one tree between its counts.
type root struct {
	name string
	// open: there are slots.
	open atomic.Bool

	// mu holds while the tree is counted.
	mu sync.Mutex
	// counted is when the last count began.
	counted time.Time
	// mark is where in the life of the Holdings the last count that was
	// written ended. begun: there was one in this term.
	mark  holdings.Mark
	begun bool
	// kept is up to where slots were kept, written or not: what ended must not
	// leave two. keeping: there was a first time in this term. Before that, it is
	// what the record of an earlier leader was counted to.
	kept    holdings.Mark
	keeping bool
	before  string
	// behind is since when the ledger is newer than the pods.
	behind time.Time
	// closed: the ledger opens for a live count only, which has to be of a list
	// after the first so many.
	closed bool
	needs  int64

	slots  slots
	grants grants
	ages   ages
	// absent are the pods of old reservations that do not exist.
	absent map[types.UID]bool
	// looked is when the objects of grants were last looked at.
	looked time.Time

	latest atomic.Pointer[Latest]
	// failure is why the last count failed, if it did.
	failure atomic.Pointer[error]
}

func newRoot(name string) *root {
	return &root{name: name, slots: slots{}, grants: grants{}, ages: ages{}, absent: map[types.UID]bool{}}
}

// newGrantError says that a grant was opened since the pods were attributed.
type newGrantError struct{ grants []ledger.Grant }

func (*newGrantError) Error() string { return "a grant was opened in the meantime" }

// Latest is what the last count of a tree found.
type Latest struct {
	// Record as it was written; it must not be changed.
	Record *ledger.Record
	// Balances are the figures by quota and device.
	Balances map[string]map[string]ledger.Balance
	// Unknown are resources that pods ask for and no class counts, by quota.
	Unknown map[string][]string
	// Claims are how many claims for devices pods name, by quota.
	Claims map[string]int64
	// Strays says by quota what rejects its pods, if that is much.
	Strays map[string]string
}

// Latest returns what the last count of a tree found, or nil before the first.
func (r *Recounter) Latest(name string) *Latest {
	if root := r.root(name); root != nil {
		return root.latest.Load()
	}
	return nil
}

// count brings the ledger of a root up to date. Everything that takes time is
// done before the ledger is read.
func (r *Recounter) count(ctx context.Context, root *root) error {
	r.mu.Lock()
	o := r.plan.order(root.name)
	term, lists := r.term, r.lists
	r.mu.Unlock()
	if q := o.state.Forest.Quota(root.name); q == nil || q.Parent != "" {
		return r.retire(ctx, root, o)
	}
	if err := r.begin(ctx, root); err != nil {
		return err
	}
	now := r.Clock.Now()
	snapshot := r.Holdings.SnapshotSince(root.kept, func(ns string) bool { return o.quota(ns) != "" })
	c := newCharger(o.state.Forest.Quota(root.name), r.Holdings.Node)
	if !root.keeping {
		// What an earlier leader has counted is for the slots in the record.
		snapshot.Ended = slices.DeleteFunc(snapshot.Ended, func(pod holdings.Ended) bool { return !pod.After(root.before) })
	}
	found := c.tally(snapshot.Pods, o.quota)
	r.keep(ctx, root, c, snapshot, now)
	held := r.attribute(ctx, root, c, snapshot, now)
	count := ledger.Count{
		Term:            term,
		ResourceVersion: snapshot.Version,
		Live:            snapshot.Lists > lists && snapshot.Lists > root.needs,
		Used:            found.used,
		Settled:         r.settled(root, snapshot),
		Slots:           root.slots.kept(o.quota),
	}
	written, drift, err := r.write(ctx, root, o, count, held, now)
	if opened, ok := errors.AsType[*newGrantError](err); ok {
		// It is counted with the pods of which it was opened, or these were
		// charged twice until the next count.
		root.grants.follow(opened.grants, now)
		held = r.attribute(ctx, root, c, snapshot, now)
		written, drift, err = r.write(ctx, root, o, count, held, now)
	}
	if err != nil {
		return err
	}
	root.mark, root.begun, root.closed = snapshot.Mark, true, false
	root.open.Store(len(root.slots) > 0)
	r.settleAges(ctx, root, o, written, now)
	latest := &Latest{Record: written, Balances: written.Balances(), Unknown: found.unknown, Claims: found.claims, Strays: root.ages.strays(written, now)}
	root.latest.Store(latest)
	r.Metrics.counted(root.name, latest, drift)
	r.finish(o, root)
	return nil
}

// finish tells those who wait for a count.
func (r *Recounter) finish(o order, root *root) {
	r.mu.Lock()
	losing := r.plan.done(o)
	r.mu.Unlock()
	for _, name := range losing {
		r.queue.Add(name)
	}
	var quotas []string
	for _, q := range o.state.Forest.Members(root.name) {
		quotas = append(quotas, q.Name)
	}
	r.Changed(quotas)
}

// begin takes over what the record of an earlier leader says, once a term.
func (r *Recounter) begin(ctx context.Context, root *root) error {
	if root.begun {
		return nil
	}
	record, err := r.Ledger.Get(ctx, root.name)
	switch {
	case errors.Is(err, ledger.ErrUnreadable) && notThere(err):
		return nil
	case err != nil:
		return err
	}
	if len(root.slots) == 0 {
		root.slots.adopt(record.Slots, r.Clock.Now())
	}
	root.grants.follow(record.Grants, r.Clock.Now())
	root.before = record.CountedTo
	return nil
}

// write puts a count into the ledger. It returns the record and how far what it
// said was used differed from what this leader had written.
func (r *Recounter) write(ctx context.Context, root *root, o order, count ledger.Count, held map[string]gpu.Amounts, now time.Time) (*ledger.Record, float64, error) {
	var written *ledger.Record
	var lapsed []ledger.Grant
	var drift float64
	err := r.Ledger.Update(ctx, root.name, func(record *ledger.Record) error {
		lapsed, drift = nil, drifted(root.latest.Load(), record)
		before := record.Clone()
		if record.Serial == 0 && !root.begun {
			// There never was a ledger, so there is nothing that was promised.
			record.Closed = ""
		}
		root.closed = record.Closed != ""
		prescribe(record, o.state.Forest, root.name)
		if count.Term == 0 {
			count.Term = record.Term
		}
		if root.grants.unknown(record.Grants) {
			// Not followed in here: this may be called again, and then a grant
			// would look as if its pods had been attributed.
			return &newGrantError{record.Clone().Grants}
		}
		count.Grants, lapsed = root.judge(record, held, now)
		if err := record.Apply(count); err != nil {
			return err
		}
		written = record.Clone()
		// That it was counted again is no reason to write.
		if counted := record.CountedTo; before.Serial > 0 {
			record.CountedTo = before.CountedTo
			if !same(record, before) {
				record.CountedTo = counted
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	root.grants.follow(written.Grants, now)
	for i := range lapsed {
		r.Lapsed(lapsed[i])
	}
	return written, drift, nil
}

// drifted is by how much the used units of a record are not those that the
// last count wrote.
func drifted(last *Latest, record *ledger.Record) float64 {
	if last == nil {
		return 0
	}
	var drift gpu.Amount
	for name, q := range record.Quotas {
		wrote := last.Record.Quotas[name].Used
		drift = drift.Add(q.Used.Sub(wrote).Total()).Add(wrote.Sub(q.Used).Total())
	}
	return drift.Float()
}

// retire removes the ledger of a quota that is the root of no tree any more. It
// stays as long as a namespace is on its way from it, or a pod may still come
// that it admitted.
func (r *Recounter) retire(ctx context.Context, root *root, o order) error {
	if len(o.leaving) > 0 {
		return nil
	}
	if o.state.Forest.Quota(root.name) == nil && o.state.Forest.Problem(root.name) != nil {
		// Its spec is not valid, and was not when this process began.
		return nil
	}
	record, err := r.Ledger.Get(ctx, root.name)
	if err != nil && !notThere(err) {
		return err
	}
	if err == nil {
		now := r.Clock.Now()
		if err := r.Ledger.Update(ctx, root.name, func(record *ledger.Record) error {
			record.Close("GPUQuota \"" + root.name + "\" is not the root of a tree any more")
			return nil
		}); err != nil {
			return err
		}
		root.ages.see(record.Reservations, now)
		for i := range record.Reservations {
			pod := record.Reservations[i].Pod
			if r.Holdings.Pod(pod) == nil && !r.Holdings.Gone(pod) && !root.ages.old(pod, now) {
				r.queue.AddAfter(root.name, askEvery)
				return nil
			}
		}
		if err := r.Ledger.Delete(ctx, root.name); err != nil {
			return err
		}
	}
	r.Metrics.forget(root.name)
	r.mu.Lock()
	delete(r.roots, root.name)
	r.mu.Unlock()
	return nil
}

// settled says which reservations are over: their pod is counted, or it is
// terminal or gone, or there never was one.
func (r *Recounter) settled(root *root, snapshot holdings.Snapshot) func(ledger.Reservation) bool {
	seen := make(map[types.UID]bool, len(snapshot.Pods))
	for _, pod := range snapshot.Pods {
		seen[pod.UID] = true
	}
	return func(res ledger.Reservation) bool {
		return seen[res.Pod] || root.absent[res.Pod] || r.Holdings.Gone(res.Pod)
	}
}

// settleAges asks for the pods of reservations that are old. Those that do not
// exist, or are in a namespace that this tree does not count any more, are
// settled by the next count.
func (r *Recounter) settleAges(ctx context.Context, root *root, o order, record *ledger.Record, now time.Time) {
	root.ages.see(record.Reservations, now)
	clear(root.absent)
	for i := range record.Reservations {
		res := &record.Reservations[i]
		if !root.ages.old(res.Pod, now) {
			continue
		}
		if pod := r.Holdings.Pod(res.Pod); pod != nil && o.quota(pod.Namespace) == "" {
			// It was admitted by who did not know yet that its namespace had moved.
			root.absent[res.Pod] = true
			continue
		}
		uid, err := r.Pod(ctx, res.Namespace, res.Name)
		if err != nil {
			r.Log.Error(err, "look for the pod of an old reservation; it is kept", "namespace", res.Namespace, "pod", res.Name)
			continue
		}
		if uid != res.Pod {
			root.absent[res.Pod] = true
			r.Metrics.expired(root.name)
		}
	}
	if len(root.absent) > 0 {
		r.queue.AddAfter(root.name, pace)
	}
}
