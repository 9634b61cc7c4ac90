// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// TestModel plays random histories of a small cluster against a record, and
// compares with what the cluster really holds and with sums that are made in the
// plainest way.
func TestModel(t *testing.T) {
	for seed := range uint64(120) {
		m := newModel(t, seed)
		for step := range 120 {
			m.step()
			m.compare()
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
		m.settle()
		if t.Failed() {
			t.Fatalf("seed %d, at the end", seed)
		}
	}
}

// model is a cluster: workloads want pods, and what their controllers create
// goes through the ledger, is stored some time later or never, and dies.
type model struct {
	*testing.T
	*rand.Rand
	record    *Record
	clock     int
	workloads []*workload
	pods      map[types.UID]*modelPod
	next      int
}

type workload struct {
	name  string
	quota string
	size  int64
	want  int
	// counted is how many pods the last count found.
	counted int
}

type modelPod struct {
	owner  *workload
	name   string
	stored bool
	// never: it will not be stored. Gone: it was, and is no more.
	never, gone bool
}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	m := &model{T: t, Rand: rand.New(rand.NewPCG(seed, 7)), record: tree(), clock: 100, pods: map[types.UID]*modelPod{}}
	m.record.Quotas["team-c"] = Quota{Parent: "team-b", Hard: h100(24)}
	m.record.Quotas["research"] = Quota{Hard: h100(int64(16 + m.IntN(48)))}
	for i := range 8 {
		quota := []string{"team-a", "team-b", "team-c"}[m.IntN(3)]
		m.workloads = append(m.workloads, &workload{name: fmt.Sprint("w", i), quota: quota, size: int64(1 + m.IntN(8)), want: m.IntN(4)})
	}
	return m
}

func (w *workload) key() string { return "apps/StatefulSet/" + w.quota + "/" + w.name }

func (m *model) workload() *workload { return m.workloads[m.IntN(len(m.workloads))] }

func (m *model) step() {
	before := m.record.Clone()
	switch n := m.IntN(20); {
	case n < 8:
		m.create(m.workload())
	case n < 10:
		m.batch()
	case n < 13:
		m.advance()
	case n < 15:
		m.scale(m.workload())
	case n < 16:
		m.grant()
	case n < 17 && len(m.record.Grants) > 0:
		m.endGrant()
	default:
		m.count()
		return // a count may find more than there was
	}
	m.within(before)
}

// claim of the next pod that a workload is short of. Its names repeat, as those of a StatefulSet do.
func (m *model) claim(w *workload) (Claim, bool) {
	alive := map[string]bool{}
	for _, p := range m.pods {
		if p.owner == w && p.stored && !p.gone {
			alive[p.name] = true
		}
	}
	for i := range w.want {
		name := fmt.Sprintf("%s-%d", w.name, i)
		if !alive[name] {
			m.next++
			return Claim{
				Pod: types.UID(fmt.Sprint("pod-", m.next)), Namespace: w.quota, Name: name, Quota: w.quota, Amounts: h100(w.size),
				Owner: types.UID(w.name), Chain: []string{w.key()},
			}, true
		}
	}
	return Claim{}, false
}

func (m *model) create(w *workload) {
	c, ok := m.claim(w)
	if !ok {
		return
	}
	if d := m.record.Admit(c); d.Outcome == Admitted {
		m.pods[c.Pod] = &modelPod{owner: w, name: c.Name, never: m.IntN(5) == 0}
		if again := m.record.Admit(c); again.Outcome != Admitted || again.Changed {
			m.Errorf("a retry got %+v", again)
		}
	}
}

// batch decides several claims at once and one by one.
func (m *model) batch() {
	alone, together := m.record.Clone(), m.record.Clone()
	d := newDesk(together)
	for range 5 {
		w := m.workload()
		c, ok := m.claim(w)
		if !ok {
			continue
		}
		one, other := alone.Admit(c), d.admit(c)
		if diff := cmp.Diff(one, other); diff != "" {
			m.Errorf("decided alone and together:\n%s", diff)
		}
	}
	if diff := cmp.Diff(alone, together); diff != "" {
		m.Errorf("records after decisions alone and together:\n%s", diff)
	}
	if data, _ := together.Encode(); d.bytes < len(data)-len(`"reservations":[],`) {
		m.Errorf("a record of %d bytes was taken for %d", len(data), d.bytes)
	}
}

// advance stores pods that were admitted, or ends pods.
func (m *model) advance() {
	for _, uid := range m.order() {
		p := m.pods[uid]
		switch {
		case m.IntN(3) > 0:
		case !p.stored && !p.never:
			p.stored = true
			for _, other := range m.pods { // a name is free only once
				if other != p && other.owner == p.owner && other.name == p.name && !other.stored {
					other.never = true
				}
			}
		case p.stored && m.IntN(3) == 0:
			p.gone = true
		}
	}
}

func (m *model) order() []types.UID {
	var uids []types.UID
	for uid := range m.pods {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids
}

// scale changes what is wanted; pods beyond are deleted.
func (m *model) scale(w *workload) {
	w.want = m.IntN(5)
	for _, p := range m.pods {
		if p.owner == w && p.name >= fmt.Sprintf("%s-%d", w.name, w.want) {
			p.gone, p.never = p.stored, !p.stored
		}
	}
}

// grant asks for a new revision of some workloads and gets it if it fits.
func (m *model) grant() {
	g := Grant{Owner: types.UID(fmt.Sprint("ks-", m.IntN(3))), Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}
	for range 1 + m.IntN(3) {
		w := m.workload()
		taken := slices.ContainsFunc(m.record.Grants, func(other Grant) bool {
			return other.Owner != g.Owner && other.object(w.key(), w.quota) != nil
		})
		if taken || g.object(w.key(), w.quota) != nil {
			continue
		}
		g.Objects = append(g.Objects, GrantObject{
			Key: w.key(), Quota: w.quota, Envelope: h100(int64(m.IntN(5)) * w.size), Held: h100(int64(w.counted) * w.size),
		})
	}
	before := m.record.Clone()
	fit := m.record.Fit(g)
	if diff := cmp.Diff(before, m.record); diff != "" {
		m.Errorf("a question changed the record:\n%s", diff)
	}
	if !fit.Fits() {
		if fit.Text() == "" {
			m.Error("no reason is given")
		}
		return
	}
	if err := m.record.Grant(1, g); err != nil {
		m.Error(err)
	}
	for quota := range m.record.Quotas {
		growth := open(m.record).charge(quota).Sub(open(before).charge(quota))
		for device, amount := range growth {
			if !slices.ContainsFunc(fit.Demands, func(d Demand) bool {
				return d.Quota == quota && d.Device == device && d.Requested.Equal(amount)
			}) {
				m.Errorf("%s grew by %s, and of that nothing was said", quota, amount)
			}
		}
	}
}

func (m *model) endGrant() {
	g := m.record.Grants[m.IntN(len(m.record.Grants))]
	err := m.record.Land(1, g.Owner, g.Objects[m.IntN(len(g.Objects))].Key)
	if m.IntN(2) == 0 {
		err = m.record.Release(1, g.Owner)
	}
	if err != nil {
		m.Error(err)
	}
}

// count is what a leader does.
func (m *model) count() {
	m.clock++
	count := Count{Term: 1, ResourceVersion: fmt.Sprint(m.clock), Used: map[string]gpu.Amounts{}, Grants: map[types.UID]GrantCount{}}
	held := map[*workload]int{}
	for _, p := range m.pods {
		if p.stored && !p.gone {
			held[p.owner]++
			count.Used[p.owner.quota] = count.Used[p.owner.quota].Add(h100(p.owner.size))
		}
	}
	for _, w := range m.workloads {
		kept := int64(0)
		for _, s := range m.record.Slots {
			if s.Owner == types.UID(w.name) {
				for !h100(kept * w.size).Covers(s.Amounts) {
					kept++
				}
			}
		}
		if free := min(int64(w.want), int64(w.counted)+kept) - int64(held[w]); free > 0 {
			count.Slots = append(count.Slots, Slot{Owner: types.UID(w.name), Namespace: w.quota, Quota: w.quota, Amounts: h100(free * w.size)})
		}
		w.counted = held[w]
	}
	for _, g := range m.record.Grants {
		found := GrantCount{Held: map[string]gpu.Amounts{}}
		for _, w := range m.workloads {
			found.Held[w.key()] = h100(int64(held[w]) * w.size)
			if m.IntN(10) == 0 {
				found.Landed = append(found.Landed, w.key())
			}
		}
		count.Grants[g.Owner] = found
	}
	count.Settled = func(res Reservation) bool {
		p := m.pods[res.Pod]
		return p.stored || p.never && m.IntN(3) == 0
	}
	if err := m.record.Apply(count); err != nil {
		m.Error(err)
	}
}

// within: no quota was brought beyond its limit.
func (m *model) within(before *Record) {
	was, is := open(before), open(m.record)
	for name, q := range m.record.Quotas {
		hard, limited := q.Hard["h100"]
		if now := is.charge(name)["h100"]; limited && now.Cmp(gpu.Max(hard, was.charge(name)["h100"])) > 0 {
			m.Errorf("%s is charged for %s of %s after %s", name, now, hard, was.charge(name)["h100"])
		}
	}
}

// compare holds the record against the plainest sums and against the truth.
func (m *model) compare() {
	sums := open(m.record)
	for name := range m.record.Quotas {
		got := sums.charge(name)["h100"]
		if want := plainCharge(m.record, name); !got.Equal(want) {
			m.Errorf("%s is charged for %s, want %s", name, got, want)
		}
		var truth gpu.Amount
		for _, p := range m.pods {
			if p.stored && !p.gone && slices.Contains(m.record.Path(p.owner.quota), name) {
				truth = truth.Add(gpu.Whole(p.owner.size))
			}
		}
		if truth.Cmp(got) > 0 {
			m.Errorf("%s is charged for %s and pods hold %s", name, got, truth)
		}
		if hard, limited := m.record.Quotas[name].Hard["h100"]; limited && truth.Cmp(hard) > 0 {
			m.Errorf("pods of %s hold %s of %s", name, truth, hard)
		}
	}
	if _, err := m.record.Encode(); err != nil {
		m.Error(err)
	}
}

// settle lets all that is under way come to its end.
func (m *model) settle() {
	for _, p := range m.pods {
		p.stored = p.stored || !p.never
	}
	for _, w := range m.workloads {
		m.scale(w)
		w.want = 0
	}
	for range 50 {
		m.count()
	}
	for len(m.record.Grants) > 0 {
		m.endGrant()
	}
	if len(m.record.Reservations)+len(m.record.Slots) > 0 {
		m.Errorf("there are left: %+v and %+v", m.record.Reservations, m.record.Slots)
	}
	for name, q := range m.record.Quotas {
		if charge, used := open(m.record).charge(name), open(m.record).used[name]; !charge.Equal(used) {
			m.Errorf("%s %+v is charged for %v", name, q, charge)
		}
	}
}

// plainCharge is the definition of a charge, for h100.
func plainCharge(r *Record, quota string) gpu.Amount {
	below := func(name string) bool { return slices.Contains(r.Path(name), quota) }
	var sum gpu.Amount
	for name, q := range r.Quotas {
		if below(name) {
			sum = sum.Add(q.Used["h100"])
		}
	}
	for _, s := range r.Slots {
		if below(s.Quota) {
			sum = sum.Add(s.Amounts["h100"])
		}
	}
	sum = sum.Add(plainReserved(r, func(res Reservation) bool { return below(res.Quota) }))
	for _, g := range r.Grants {
		var promised, taken gpu.Amount
		for _, o := range g.Objects {
			if below(o.Quota) {
				promised, taken = promised.Add(o.Envelope["h100"]), taken.Add(o.Held["h100"])
			}
		}
		taken = taken.Add(plainReserved(r, func(res Reservation) bool {
			return below(res.Quota) && res.Grant == g.Owner && g.object(res.Object, res.Quota) != nil
		}))
		sum = sum.Add(promised.Sub(taken))
	}
	return sum
}

// plainReserved sums reservations, of each name the largest.
func plainReserved(r *Record, of func(Reservation) bool) gpu.Amount {
	largest := map[string]gpu.Amount{}
	for _, res := range r.Reservations {
		if name := res.Namespace + "/" + res.Name + "/" + res.Quota; of(res) {
			largest[name] = gpu.Max(largest[name], res.Amounts["h100"])
		}
	}
	var sum gpu.Amount
	for _, amount := range largest {
		sum = sum.Add(amount)
	}
	return sum
}
