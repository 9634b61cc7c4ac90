// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// trial is what a request asks of one tree.
type trial struct {
	record *ledger.Record
	parts  []part
	// grant is one without objects.
	grant ledger.Grant
	// verdict that was reached.
	verdict verdict
}

// verdict is what one tree says.
type verdict struct {
	never, over      string
	missing, demands map[pair]struct{}
	shrinkFirst      bool
	warnings         []string
	limits           []ledger.Over
	grant            ledger.Grant
}

// run tries the whole of the parts, then what grows beside what is still there.
// If only the first fits, what shrinks has to go first.
func (t *trial) run() verdict {
	v := verdict{missing: map[pair]struct{}{}, demands: map[pair]struct{}{}}
	growers := slices.DeleteFunc(slices.Clone(t.parts), func(p part) bool { return !p.grows() })
	whole := t.with(t.parts, part.atLeast)
	fit := t.fit(whole)
	// Bounds of single workloads are about the pods that stay.
	fit.Never = append(slices.DeleteFunc(fit.Never, isRule), slices.DeleteFunc(t.fit(t.with(t.parts, part.asked)).Never, isNoRule)...)
	v.warnings = slices.Concat(fit.Warnings, t.mayExceed(growers))
	switch {
	case len(fit.Never) > 0:
		v.limits = fit.Never
		v.never = ledger.NeverText(fit.Never) + t.advice()
		return v
	case len(fit.Missing()) > 0:
		v.limits = fit.Missing()
		v.over = ledger.ExceededText(fit.Missing()) + t.advice()
		for _, over := range fit.Missing() {
			v.missing[pair{over.Quota, over.Device}] = struct{}{}
		}
		return v
	}
	v.grant = t.with(growers, part.atLeast)
	beside := t.record.Fit(v.grant)
	if !beside.Fits() && slices.ContainsFunc(t.parts, func(p part) bool { return p.shrinks() && !p.grows() }) {
		v.shrinkFirst, v.grant, beside = true, whole, fit
	}
	for _, d := range beside.Demands {
		v.demands[pair{d.Quota, d.Device}] = struct{}{}
	}
	return v
}

func isRule(o ledger.Over) bool   { return o.Rule != "" }
func isNoRule(o ledger.Over) bool { return o.Rule == "" }

// asked is what a part asks for.
func (p part) asked() gpu.Amounts { return p.after }

// again tries the same on another record, and returns the grant. It fails if the
// outcome is another one.
func (t *trial) again(record *ledger.Record) (ledger.Grant, error) {
	other := *t
	other.record = record
	v := other.run()
	if v.never != "" || v.over != "" || v.shrinkFirst != t.verdict.shrinkFirst {
		return ledger.Grant{}, errNoRoom
	}
	return v.grant, nil
}

// atLeast is what is kept for a part.
func (p part) atLeast() gpu.Amounts { return p.after.Add(p.extra) }

// atMost is what a part may come to.
func (p part) atMost() gpu.Amounts { return p.after.Max(p.most) }

// with is the grant for some parts.
func (t *trial) with(parts []part, envelope func(part) gpu.Amounts) ledger.Grant {
	g := t.grant
	for _, p := range parts {
		g.Objects = append(g.Objects, ledger.GrantObject{Key: p.key, Quota: p.quota, Envelope: envelope(p), Held: p.held.Add(nil)})
	}
	return g
}

// fit is what a grant meets with, without limits at which the request asks for no
// more than before: less is always allowed, also where too much is held already.
func (t *trial) fit(g ledger.Grant) ledger.Fit {
	fit := t.record.Fit(g)
	growth := t.growth()
	less := func(o ledger.Over) bool {
		if isRule(o) {
			return slices.ContainsFunc(t.parts, func(p part) bool { return !p.grows() && about(o, p.key) })
		}
		return !growth[pair{o.Quota, o.Device}]
	}
	fit.Never = slices.DeleteFunc(fit.Never, less)
	for i := range fit.Demands {
		if less(fit.Demands[i].Over) {
			fit.Demands[i].Missing = gpu.Amount{}
		}
	}
	return fit
}

// about reports whether a bound is about an object, whose key it begins with.
func about(o ledger.Over, key string) bool {
	rest, found := strings.CutPrefix(o.Rule, key)
	return found && (strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, " "))
}

// growth is at which limits the parts together ask for more than before.
func (t *trial) growth() map[pair]bool {
	before, after := map[string]gpu.Amounts{}, map[string]gpu.Amounts{}
	for _, p := range t.parts {
		for _, quota := range t.record.Path(p.quota) {
			before[quota], after[quota] = before[quota].Add(p.before), after[quota].Add(p.atLeast())
		}
	}
	growth := map[pair]bool{}
	for quota, amounts := range after {
		for device := range amounts.Sub(before[quota]) {
			growth[pair{quota, device}] = true
		}
	}
	return growth
}

// mayExceed warns of parts that may come to ask for more than there is room for.
func (t *trial) mayExceed(growers []part) []string {
	var warnings []string
	for _, p := range growers {
		if p.unbounded {
			warnings = append(warnings, fmt.Sprintf("%s may make any number of pods; those beyond the limits will not be admitted", nameOf(p.key)))
		}
	}
	fit := t.fit(t.with(t.parts, part.atMost))
	for _, over := range append(fit.Missing(), fit.Never...) {
		if over.Rule == "" {
			warnings = append(warnings, fmt.Sprintf("at the most it asks for, not all pods will be admitted: %s", over))
		}
	}
	return warnings
}

// advice is how to do without the room for one pod more that rollouts need, if
// that is all that there is no room for.
func (t *trial) advice() string {
	var stuck []string
	for _, p := range t.parts {
		if !p.extra.IsZero() {
			stuck = append(stuck, nameOf(p.key))
		}
	}
	if len(stuck) == 0 || !t.fit(t.with(t.parts, part.asked)).Fits() {
		return ""
	}
	slices.Sort(stuck)
	return fmt.Sprintf("; the rollout of %s would get stuck, since it needs room for one pod more before the first one may go: set maxUnavailable: 1 or maxSurge: 0 there",
		strings.Join(stuck, ", "))
}
