// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"fmt"
	"slices"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// Fit is what a grant would meet with.
type Fit struct {
	// Demands are all (quota, device) that would be charged for more than now, by
	// quota and device, whether there is room or not and whether limited or not.
	Demands []Demand
	// Never are bounds that the grant can not keep whatever is free.
	Never []Over
	// Warnings are what Demands and Never would be refused for if it were enforced.
	Warnings []string
}

// Demand is what a grant would take of one class at one quota.
type Demand struct {
	// Over has the figures; its Hard means something only if Limited.
	Over
	Limited bool
	// Missing is what there is no room for, where it is enforced. 0 fits.
	Missing gpu.Amount
}

// Fits reports whether the grant may be opened now.
func (f Fit) Fits() bool { return len(f.Never) == 0 && len(f.Missing()) == 0 }

// Grows reports whether the grant takes anything at all.
func (f Fit) Grows() bool { return len(f.Demands) > 0 }

// Missing are the limits that leave no room.
func (f Fit) Missing() []Over {
	var missing []Over
	for _, d := range f.Demands {
		if !d.Missing.IsZero() {
			missing = append(missing, d.Over)
		}
	}
	return missing
}

// Text is why the grant may not be opened, in one line, or "" if it may.
func (f Fit) Text() string {
	if len(f.Never) > 0 {
		return NeverText(f.Never)
	}
	if missing := f.Missing(); len(missing) > 0 {
		return ExceededText(missing)
	}
	return ""
}

// Fit is what would happen if g were granted in the place of the grant that its
// owner has: see Record.Grant for what belongs into it. The record stays as it
// is. To ask under other limits, ask a Clone that has them.
func (r *Record) Fit(g Grant) Fit {
	g = r.carry(g)
	before := open(r)
	next := r.Clone()
	next.Grants = slices.DeleteFunc(next.Grants, func(old Grant) bool { return old.Owner == g.Owner })
	next.Grants = append(next.Grants, g)
	after := open(next)

	var fit Fit
	for quota := range after.promises[g.Owner] {
		fit.at(quota, before, after, g)
	}
	slices.SortFunc(fit.Demands, func(a, b Demand) int {
		return cmp.Or(cmp.Compare(a.Quota, b.Quota), cmp.Compare(a.Device, b.Device))
	})
	slices.SortFunc(fit.Never, func(a, b Over) int {
		return cmp.Or(cmp.Compare(a.Quota, b.Quota), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Rule, b.Rule))
	})
	slices.Sort(fit.Warnings)
	return fit
}

// at adds what the grant meets at one quota.
func (f *Fit) at(quota string, before, after *books, g Grant) {
	q := after.record.Quotas[quota]
	mode := q.gate()
	var never []Over
	used, reserved := before.used[quota], before.reserved(quota)
	for device, need := range after.reserved(quota).Sub(reserved) {
		hard, limited := q.Hard[device]
		d := Demand{
			Over:    Over{Quota: quota, Device: device, Requested: need, Used: used[device], Reserved: reserved[device], Hard: hard},
			Limited: limited,
		}
		if limited && mode == quotav1.Enforce {
			d.Missing = d.By()
		}
		if limited && mode == quotav1.Warn && !d.By().IsZero() {
			f.Warnings = append(f.Warnings, d.warning())
		}
		f.Demands = append(f.Demands, d)
		if alone := after.promises[g.Owner][quota].promised[device]; limited && hard.Cmp(alone) < 0 {
			d.Requested = alone
			never = append(never, d.Over)
		}
	}
	for i := range g.Objects {
		never = append(never, after.record.barsObject(quota, &g.Objects[i])...)
	}
	switch mode {
	case quotav1.Enforce:
		f.Never = append(f.Never, never...)
	case quotav1.Warn:
		for _, o := range never {
			f.Warnings = append(f.Warnings, o.warning())
		}
	case quotav1.Off:
	}
}

// barsObject returns the bounds of perWorkload that an object which grows breaks
// at a quota of its path.
func (r *Record) barsObject(quota string, o *GrantObject) []Over {
	q := r.Quotas[quota]
	grown := o.Envelope.Sub(o.Held)
	if q.PerWorkload == nil || grown.IsZero() || !slices.Contains(r.Path(o.Quota), quota) {
		return nil
	}
	barred := q.barsDevices(quota, grown)
	for i := range barred {
		barred[i].Rule = o.Key + ": " + barred[i].Rule
	}
	total := o.Envelope.Total()
	if most, bounded := bound(q.PerWorkload.MaxGPUs); bounded && most.Cmp(total) < 0 {
		barred = append(barred, Over{
			Quota: quota, Requested: total, Hard: most,
			Rule: fmt.Sprintf("%s asks for %s GPUs, perWorkload.maxGPUs is %s", o.Key, total, most),
		})
	}
	return barred
}
