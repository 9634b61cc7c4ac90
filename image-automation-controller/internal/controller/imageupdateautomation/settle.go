// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// settle turns the outcome of a run into the status.
func (c *Controller) settle(ctx context.Context, s *scope) error {
	r := s.run
	s.observeScans()
	// An unchanged proposal is on its branch already.
	pushed := r.outcome.Err == nil && r.outcome.Commit != "" && r.outcome.Commit != s.obj.Status.LastPushCommit
	c.Figures.run(pushed, r.outcome.Err)
	if r.outcome.Err != nil {
		return outcomeError(r.outcome.Err)
	}
	result, tip, compared := r.decision()
	status := &s.obj.Status
	if compared {
		status.LastAutomationRunTime = &metav1.Time{Time: r.started}
	}
	status.ObservedPolicies = r.policies
	status.ObservedSourceRevision = r.outcome.Revision
	switch {
	case r.outcome.Commit != "":
		s.entry.last = nil
		if pushed {
			s.notePush(r.outcome.Commit)
		}
		if r.target.Branch == r.target.Base {
			status.ObservedSourceRevision = r.target.Branch + "@sha1:" + r.outcome.Commit
		}
	case result.LastPush != "":
		// The process ended between the push and the status.
		s.notePush(result.LastPush)
		fallthrough
	default:
		s.entry.last = &decided{tip: tip, inputs: r.inputs(r.refusals()), at: time.Now().Round(0), result: result}
	}
	if compared {
		report(ctx, result)
	}
	c.hold(s, result)
	s.writeImages(result, r.outcome.Commit != "" && r.target.Branch == r.target.Base)
	if pushed {
		c.pushed(s, result)
		c.nudge(ctx, s)
	}
	return s.unfinished()
}

// report logs markers that cannot be followed.
func report(ctx context.Context, result *plan.Result) {
	const most = 10
	for i := range result.Problems {
		if i == most {
			ctrl.LoggerFrom(ctx).Info("More markers are left out", "count", len(result.Problems)-most)
			return
		}
		ctrl.LoggerFrom(ctx).Info("A marker is left out", "problem", result.Problems[i].String())
	}
}

// notePush notes the last commit of ours on the branch.
func (s *scope) notePush(commit string) {
	s.obj.Status.LastPushCommit = commit
	s.obj.Status.LastPushTime = &metav1.Time{Time: time.Now()}
}

// unfinished is why the run did not do everything that it should have.
func (s *scope) unfinished() error {
	var first error
	var texts []string
	for _, img := range s.spec.images {
		err := s.run.failed[img.Name]
		if i := slices.IndexFunc(s.run.images, func(set *candidateSet) bool { return set.Name == img.Name }); i >= 0 {
			err = s.run.images[i].known.err
		}
		if err == nil {
			continue
		}
		texts = append(texts, err.Error())
		if e, ok := errors.AsType[*reconcile.Error](first); first == nil || ok && e.Kind == reconcile.KindWaiting {
			first = err
		}
	}
	if s.run.proposeErr != nil && first == nil {
		return s.run.proposeErr
	}
	if e, ok := errors.AsType[*reconcile.Error](first); ok && len(texts) > 1 {
		const most = 5
		if rest := len(texts) - most; rest > 0 {
			texts = append(texts[:most:most], fmt.Sprintf("and %d more", rest))
		}
		return &reconcile.Error{Kind: e.Kind, Reason: e.Reason, After: e.After, Err: errors.New(strings.Join(texts, "; "))}
	}
	return first
}

// outcomeError says why nothing was committed or pushed.
func outcomeError(err error) error {
	if refusal, ok := errors.AsType[*plan.RefusalError](err); ok {
		return reconcile.Stalled(refusal.Reason, refusal)
	}
	if modified, ok := errors.AsType[*branchModifiedError](err); ok {
		return reconcile.Stalled(imagev1.BranchModifiedReason, modified)
	}
	if failed, ok := errors.AsType[*planError](err); ok {
		switch {
		case errors.Is(failed, message.ErrRemovedField):
			return templateError(failed)
		case errors.Is(failed, message.ErrTemplate):
			return reconcile.Fail(imagev1.GitOperationFailedReason, fmt.Errorf("failed to update source: %w", failed))
		}
		return reconcile.Fail(imagev1.UpdateFailedReason, fmt.Errorf("failed to apply policies: %w", failed))
	}
	doing := "checkout"
	if errors.Is(err, batch.ErrPush) {
		doing = "update"
	}
	return reconcile.Fail(imagev1.GitOperationFailedReason, fmt.Errorf("failed to %s source: %w", doing, err))
}

// observeScans notes what registries have and when digests were first seen,
// whatever becomes of the run.
func (s *scope) observeScans() {
	before := statusOf(s.obj)
	for _, set := range s.run.images {
		status := before[set.Name]
		status.Name = set.Name
		if tags, revision := set.scan.Select(set.exclude); status.Scan == nil || status.Scan.Revision != revision {
			status.Scan = &imagev1.ScanResult{Revision: revision, TagCount: len(tags), ScanTime: metav1.Time{Time: set.scan.At}, LatestTags: latest(tags)}
		}
		status.Seen = set.known.seen(status.Seen)
		before[set.Name] = status
	}
	s.setImages(before)
}

// latest are the last ten of sorted tags, the last first.
func latest(tags []string) []string {
	const most = 10
	last := slices.Clone(tags[max(0, len(tags)-most):])
	slices.Reverse(last)
	return last
}

// seen adds the candidates that a decision may look at to the digests that were
// seen before. Where there is no room for all they come first, or others that
// were seen later would take away their age.
func (k *knowledge) seen(before []imagev1.SeenImage) []imagev1.SeenImage {
	var seen []imagev1.SeenImage
	add := func(s imagev1.SeenImage) {
		known := slices.ContainsFunc(seen, func(o imagev1.SeenImage) bool { return o.Digest == s.Digest })
		if !known && s.Digest != "" && len(seen) < imagev1.MaxSeen {
			seen = append(seen, s)
		}
	}
	for _, tag := range k.ranked[:min(len(k.ranked), plan.MaxCandidates+plan.MaxYoung)] {
		if a := k.facts.Tags[tag]; a != nil {
			add(imagev1.SeenImage{Digest: a.Digest, Tag: a.Tag, FirstSeen: metav1.Time{Time: a.FirstSeen}})
		}
	}
	for _, s := range before {
		add(s)
	}
	slices.SortStableFunc(seen, func(a, b imagev1.SeenImage) int { return b.FirstSeen.Compare(a.FirstSeen.Time) })
	return seen
}

// setImages writes the status of images in the order of the spec.
func (s *scope) setImages(images map[string]imagev1.ImageStatus) {
	if s.obj.Spec.Weir == nil {
		s.obj.Status.Weir = nil
		return
	}
	var list []imagev1.ImageStatus
	for _, img := range s.spec.images {
		if status, ok := images[img.Name]; ok {
			list = append(list, status)
		}
	}
	if s.obj.Status.Weir == nil {
		if len(list) == 0 {
			return
		}
		s.obj.Status.Weir = &imagev1.WeirStatus{}
	}
	s.obj.Status.Weir.Images = list
}

// writeImages takes a decision over into the status. Written: what it writes
// is on the branch that is read.
func (s *scope) writeImages(result *plan.Result, written bool) {
	images := statusOf(s.obj)
	for _, decided := range result.Images {
		status := *decided.DeepCopy()
		status.Scan, status.Seen = images[decided.Name].Scan, images[decided.Name].Seen
		if ref, ok := result.Written[decided.Name]; ok && written {
			status.Current = &ref
		}
		images[decided.Name] = status
	}
	s.setImages(images)
}

// nudge has source-controller look at the branch that was just pushed to.
func (c *Controller) nudge(ctx context.Context, s *scope) {
	ref := s.source.Spec.Reference
	if branchOf(ref) != s.run.target.Branch {
		return
	}
	before := s.source
	after := before.DeepCopy()
	if after.Annotations == nil {
		after.Annotations = map[string]string{}
	}
	after.Annotations[imagev1.ReconcileRequestAnnotation] = time.Now().Format(time.RFC3339Nano)
	patch := client.MergeFrom(before)
	if err := c.Client.Patch(ctx, after, patch, client.FieldOwner(imagev1.FieldManager)); err != nil {
		// It looks by itself at its interval.
		ctrl.LoggerFrom(ctx).Error(err, "ask for a look at the pushed branch", "kind", sourcev1.GitRepositoryKind, "source", client.ObjectKeyFromObject(before))
	}
}
