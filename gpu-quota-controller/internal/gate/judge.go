// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	wire "github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// world is what a request is judged by.
type world struct {
	// forest is that of the quotas as they would be.
	forest *tree.Forest
	// namespaces are the labels of those that exist.
	namespaces map[string]map[string]string
	// records are by root. What is judged changes none of them.
	records map[string]*ledger.Record
	// held returns what the pods of an object hold, by class of a root.
	held func(root, key string) gpu.Amounts
}

// pair is one limit: a class at a quota.
type pair struct{ quota, device string }

// part is one object of a request as its tree counts it.
type part struct {
	key, quota string
	// before and after are the least that the object asks for, most what it may
	// come to ask for, extra what a change of its template needs on top.
	before, after, most, extra gpu.Amounts
	unbounded                  bool
	held                       gpu.Amounts
}

func (p part) grows() bool {
	return !p.before.Covers(p.after) || !p.extra.IsZero()
}

func (p part) shrinks() bool { return !p.after.Covers(p.before) }

// outcome is what was decided about a request.
type outcome struct {
	answer      wire.Answer
	shrinkFirst bool
	text        string
	warnings    []string
	// missing are the limits that leave no room, demands those that are charged.
	missing, demands map[pair]struct{}
	// over are the limits in the way.
	over []ledger.Over
	// trials are what has to hold for the grants, by root.
	trials map[string]*trial
}

// judge decides about a request. It knows nothing of others that wait.
func judge(r wire.Request, hash string, w world) outcome {
	out := outcome{answer: wire.Granted, missing: map[pair]struct{}{}, demands: map[pair]struct{}{}, trials: map[string]*trial{}}
	parts, warnings := w.parts(r)
	out.warnings = warnings
	var never, over []string
	for _, root := range slices.Sorted(maps.Keys(parts)) {
		t := &trial{record: w.record(root), parts: parts[root], grant: ledger.Grant{Owner: r.UID, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Revision: r.Revision, Hash: hash}}
		result := t.run()
		t.verdict = result
		out.warnings = append(out.warnings, result.warnings...)
		maps.Copy(out.demands, result.demands)
		out.over = append(out.over, result.limits...)
		switch {
		case result.never != "":
			never = append(never, result.never)
		case result.over != "":
			over = append(over, result.over)
			maps.Copy(out.missing, result.missing)
		default:
			out.shrinkFirst = out.shrinkFirst || result.shrinkFirst
			out.trials[root] = t
		}
	}
	switch {
	case len(never) > 0:
		out.answer, out.text, out.missing = wire.NeverFits, strings.Join(never, "; "), nil
	case len(over) > 0:
		out.answer, out.text = wire.Waiting, strings.Join(over, "; ")
	}
	if out.answer != wire.Granted {
		out.trials, out.shrinkFirst = nil, false
	}
	slices.Sort(out.warnings)
	out.warnings = slices.Compact(out.warnings)
	return out
}

// parts counts the objects of a request, by root. Those in namespaces without a
// quota are as free as they are without Weir.
func (w world) parts(r wire.Request) (map[string][]part, []string) {
	parts := map[string][]part{}
	var warnings []string
	for _, o := range r.Objects {
		quota, root, ok := w.forest.Owner(o.Namespace, w.namespaces[o.Namespace])
		if !ok {
			continue
		}
		catalogue := w.forest.Catalogue(root)
		p := part{key: o.Key, quota: quota, held: w.held(root, o.Key)}
		var bounded bool
		p.before, _, _ = o.Before.Amounts(catalogue)
		p.after, p.most, bounded = o.After.Amounts(catalogue)
		p.unbounded = !bounded && o.After.Unknown == ""
		if o.Template {
			p.extra = headroom(o.After, catalogue)
		}
		if o.After.Unknown != "" {
			warnings = append(warnings, fmt.Sprintf("%s cannot be counted before its pods exist: %s", nameOf(o.Key), o.After.Unknown))
		}
		parts[root] = append(parts[root], p)
	}
	return parts, warnings
}

// headroom is what the rollout of a changed template needs beyond what is there:
// one pod of each group of which none may go before another one comes.
func headroom(e gpu.Estimate, catalogue *gpu.Catalogue) gpu.Amounts {
	var extra gpu.Amounts
	for _, g := range e.Groups {
		if g.Stuck && g.Min > 0 {
			extra = extra.Add(catalogue.Charge(g.Shape, nil))
		}
	}
	return extra
}

// record is the ledger of a root with the limits as they would be. What it says
// of use and promises stays. A root that has no ledger yet has an empty one.
func (w world) record(root string) *ledger.Record {
	r := &ledger.Record{}
	if w.records[root] != nil {
		r = w.records[root].Clone()
	}
	quotas := map[string]ledger.Quota{}
	for _, q := range w.forest.Members(root) {
		quotas[q.Name] = ledger.Quota{
			Parent: q.Parent, Hard: q.Hard, Admission: q.Spec.Enforcement.Admission, Gate: q.Spec.Enforcement.Gate,
			Suspended: q.Spec.Suspend, PerWorkload: q.Spec.PerWorkload, Used: r.Quotas[q.Name].Used,
		}
	}
	r.Quotas = quotas
	return r
}

// nameOf is an object as messages name it: Kind/namespace/name.
func nameOf(key string) string {
	_, name, _ := strings.Cut(key, "/")
	return name
}
