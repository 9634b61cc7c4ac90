// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// planError is a failure of the plan, and not of the way to the server.
type planError struct{ err error }

func (e *planError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *planError) Unwrap() error { return e.err }

// commit has the batch for the branch plan and push, and takes the outcome. A
// plan that needs to know more is made again when that was found out.
func (c *Controller) commit(_ context.Context, s *scope) error {
	r := s.run
	if r.outcome != nil {
		return nil
	}
	if !r.submitted {
		automation := r.automation(s)
		c.Batches.Submit(batch.Job{ //nolint:contextcheck // A batch outlives the reconcile that asks for it.
			Owner:   s.name,
			Target:  r.leased(s),
			Timeout: timeout(s.source),
			Plan:    r.planner(automation, r.inputs(r.refusals()), s.entry.last),
		})
		r.submitted = true
	}
	outcome, over := c.Batches.Take(s.name)
	if !over {
		return errWaiting
	}
	if errors.Is(outcome.Err, errMore) {
		return r.again()
	}
	r.outcome = &outcome
	return nil
}

// again takes the run back to where registries are asked.
func (r *run) again() error {
	if r.rounds++; r.rounds > maxRounds {
		return reconcile.Fail(imagev1.UpdateFailedReason, errors.New("candidates change faster than they can be judged"))
	}
	r.submitted = false
	r.gathering.reset()
	return errAgain
}

// errAgain brings the object back at once.
var errAgain = fmt.Errorf("%w: candidates are looked at", errWaiting)

// automation is the input of the plan.
func (r *run) automation(s *scope) *plan.Automation {
	a := *r.base
	a.Images = nil
	before := statusOf(s.obj)
	for _, set := range r.images {
		if set.known.err == nil {
			a.Images = append(a.Images, r.input(s, set, before[set.Name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.policies)) {
		ref := r.policies[name]
		// Whatever an ImagePolicy picked is written, so nothing depends on
		// whether it can be parsed.
		repository, _ := oci.ParseRepository(ref.Name)
		a.Images = append(a.Images, &plan.Image{
			Name: name, Ref: s.obj.Namespace + ":" + name, Text: ref.Name, Repository: repository,
			Fixed: &ref, Described: "ImagePolicy/" + s.obj.Namespace + "/" + name,
			Facts:   &plan.Facts{},
			Cleared: clears(s.obj, name),
		})
	}
	return &a
}

// input is the input of the plan for one image.
func (r *run) input(s *scope, set *candidateSet, before imagev1.ImageStatus) *plan.Image {
	img := &plan.Image{
		Name:       set.Name,
		Ref:        s.obj.Namespace + ":" + s.obj.Name + "/" + set.Name,
		Text:       set.Image.Image,
		Repository: set.repository,
		Policy:     set.policy,
		Described:  set.policy.Describe(),
		Rules:      set.rules,
		Reflection: set.DigestReflectionPolicy,
		Moving:     set.Policy.Digest != nil,
		Pinned:     set.pinned(),
		Targets:    set.targets,
		Ranked:     set.known.ranked,
		Facts:      &set.known.facts,
		Before:     before,
		Approved:   approves(s.obj, set.Name),
		Cleared:    clears(s.obj, set.Name),
		Refused:    r.refuses(set.Name),
	}
	if set.rules != nil {
		img.Inspects, img.BestGates = set.rules.ReadsManifest(), set.rules.BestGates()
	}
	return img
}

// listed returns what an annotation lists for an image: what follows its name.
func listed(annotation, image string) map[string]bool {
	values := map[string]bool{}
	for item := range strings.SplitSeq(annotation, ",") {
		item = strings.TrimSpace(item)
		if rest, ok := strings.CutPrefix(item, image); ok && rest != "" {
			values[rest] = true
		}
	}
	return values
}

func approves(obj *imagev1.ImageUpdateAutomation, image string) func(string) bool {
	values := listed(obj.Annotations[imagev1.ApproveAnnotation], image)
	return func(digest string) bool { return values["@"+digest] }
}

func clears(obj *imagev1.ImageUpdateAutomation, image string) func(tag, digest string) bool {
	values := listed(obj.Annotations[imagev1.UnrejectAnnotation], image)
	return func(tag, digest string) bool {
		return digest != "" && values["@"+digest] || tag != "" && values[":"+tag]
	}
}

// planner is what the batch calls for each tip. If neither tip nor inputs have
// changed since the last decision, and time cannot have changed it either, it
// is that one.
func (r *run) planner(a *plan.Automation, inputs string, last *decided) func(context.Context, batch.Tip) (*git.Draft, error) {
	return func(ctx context.Context, tip batch.Tip) (*git.Draft, error) {
		now := time.Now()
		if last.holds(tip.Commit.Hash, inputs, now) {
			r.keep(last.result, tip.Commit.Hash, false)
			return nil, nil
		}
		result, err := a.Plan(ctx, plan.Tip{Commit: tip.Commit, Revision: tip.Revision, History: tip.History}, now)
		if err != nil {
			return nil, &planError{err: err}
		}
		r.keep(result, tip.Commit.Hash, true)
		if len(result.Needs) > 0 {
			return nil, errMore
		}
		return result.Draft, nil
	}
}

// keep notes a decision. The last one for a push that arrived counts.
func (r *run) keep(result *plan.Result, tip string, compared bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result, r.tip, r.compared = result, tip, compared
}

// decision returns what was decided.
func (r *run) decision() (result *plan.Result, tip string, compared bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result, r.tip, r.compared
}
