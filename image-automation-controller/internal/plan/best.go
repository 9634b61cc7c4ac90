// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"slices"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/judge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/rollback"
)

// best finds, for the gates that ask for it, the best of what Git has held.
// Ready is false if something has to be found out before.
func (c *contest) best(ctx context.Context) (best map[string]*judge.Candidate, ready bool, err error) {
	if len(c.img.BestGates) == 0 {
		return nil, true, nil
	}
	accepted, ready, err := c.accepted(ctx)
	if err != nil || !ready {
		return nil, false, err
	}
	best = map[string]*judge.Candidate{}
	c.status.Best = nil
	for _, gate := range c.img.BestGates {
		// What cannot be read any more is a baseline all the same: whoever
		// deletes the best does not lower the bar.
		lost := slices.IndexFunc(c.img.Before.Best, func(b imagev1.BestImage) bool { return b.Gate == gate && c.gone[b.Digest] })
		winner := c.img.Rules.Best(ctx, gate, accepted)
		switch {
		case lost >= 0:
			best[gate] = &judge.Candidate{Tag: c.img.Before.Best[lost].Tag}
			c.status.Best = append(c.status.Best, c.img.Before.Best[lost])
		case winner != nil:
			best[gate] = winner
			c.status.Best = append(c.status.Best, imagev1.BestImage{Gate: gate, Digest: winner.Manifest.Digest, Tag: winner.Tag})
		case len(c.gone) > 0:
			best[gate] = &judge.Candidate{}
		}
	}
	return best, true, nil
}

// accept forgets the best that cannot be read any more, if somebody has approved
// of a candidate without it.
func (c *contest) accept(approved bool) {
	if approved {
		c.status.Best = slices.DeleteFunc(c.status.Best, func(b imagev1.BestImage) bool { return c.gone[b.Digest] })
	}
}

// accepted returns what Git has held and nobody has taken out: what was best
// before, and the newest. What the registry has no more is noted as gone.
func (c *contest) accepted(ctx context.Context) ([]*judge.Candidate, bool, error) {
	past, err := c.history(ctx)
	if err != nil {
		return nil, false, err
	}
	rejected, err := c.rejected(ctx)
	if err != nil {
		return nil, false, err
	}
	var values []rollback.Value
	for _, b := range c.img.Before.Best {
		values = append(values, rollback.Value{Tag: b.Tag, Digest: b.Digest})
	}
	values = append(values, past.values[c.img.Name]...)
	var candidates []*judge.Candidate
	ready, seen := true, map[string]bool{}
	c.gone = map[string]bool{}
	for _, v := range values {
		taken := slices.ContainsFunc(rejected.Rejected, func(r rollback.Rejected) bool { return r.Same(v) })
		if seen[v.Digest] || taken || len(seen) == maxAccepted+len(c.img.Before.Best) {
			continue
		}
		seen[v.Digest] = true
		switch artifact := c.img.Facts.Digests[v.Digest]; {
		case artifact == nil:
			c.need("", v.Digest)
			ready = false
		case artifact.Err != nil:
			c.gone[v.Digest] = true
		default:
			candidates = append(candidates, &judge.Candidate{Tag: v.Tag, Manifest: artifact.Manifest})
		}
	}
	return candidates, ready, nil
}
