// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"strings"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// undetermined takes the place of a digest that nobody knows any more.
const undetermined = "undetermined"

// Resume finds out what became of an action that a dead process has begun. It
// returns the outcome as the action would have reported it, to be recorded
// with Record, if it had come to an end in storage: a revision that the status
// announced is ours, and a failure in storage is a failure. ok is false if
// there is nothing to record: the action left nothing, or was cut off; then
// the release is Locked, and is unlocked without counting as a failure.
func Resume(obj *helmv2.HelmRelease, want Desired, seen Observed) (_ Outcome, ok bool) {
	begun := pending(obj)
	if begun == nil || seen.Running {
		return Outcome{}, false
	}
	found := seen.latest()
	if found != nil && (found.Name != begun.Name || found.Namespace != begun.Namespace) {
		found = nil
	}
	outcome, finished := Outcome{}, false
	switch action := Action(begun.Action); action {
	case Install, Upgrade, Rollback:
		outcome, finished = resumeRelease(obj, want, begun, found)
	case UninstallRemediation:
		outcome, finished = resumeUndoing(obj, begun, found)
	case None, Test, Uninstall, Unlock:
		// Done again if it is still called for, which changes nothing.
	}
	if !finished && !unfinished(begun, found) {
		settle(obj)
	}
	return outcome, finished
}

// unfinished reports whether an action has left a release that is Locked.
func unfinished(begun *helmv2.PendingAction, found *release.Release) bool {
	return found != nil && int64(found.Version) == begun.Version && (found.Status.Pending() || found.Status == release.Uninstalling)
}

func resumeRelease(obj *helmv2.HelmRelease, want Desired, begun *helmv2.PendingAction, found *release.Release) (Outcome, bool) {
	if found == nil || int64(found.Version) != begun.Version || !announced(obj, begun, found) {
		return Outcome{}, false
	}
	step := resumedStep(obj, begun, found)
	if begun.Generation == obj.Generation {
		step.PostRenderersDigest, step.CommonMetadataDigest = want.PostRenderersDigest, want.CommonMetadataDigest
	} else {
		step.PostRenderersDigest, step.CommonMetadataDigest = undetermined, undetermined
	}
	if step.Action == Rollback {
		if target := previous(obj); target != nil {
			step.To = target.Version
		}
	}
	outcome := Outcome{Step: step, Release: found}
	if found.Status == release.Failed {
		if from, ok := unlockedFrom(found); ok {
			outcome.Step.Action, outcome.Step.From = Unlock, from
		} else {
			outcome.Err = errors.New(found.Description)
		}
	}
	return outcome, found.Status == release.Failed || found.Status == release.Deployed
}

func resumeUndoing(obj *helmv2.HelmRelease, begun *helmv2.PendingAction, found *release.Release) (Outcome, bool) {
	switch {
	case found == nil:
		return Outcome{Step: resumedStep(obj, begun, nil), Err: ErrNotFound}, true
	case found.Status == release.Uninstalled:
		return Outcome{Step: resumedStep(obj, begun, found), Release: found}, true
	}
	return Outcome{}, false
}

func resumedStep(obj *helmv2.HelmRelease, begun *helmv2.PendingAction, found *release.Release) Step {
	step := Step{
		Action: Action(begun.Action), Version: int(begun.Version), OCIDigest: begun.OCIDigest, ConfigDigest: begun.ConfigDigest,
		Target: Target{begun.Name, begun.Namespace, obj.Status.StorageNamespace},
	}
	if found != nil {
		step.Chart = found.Chart
	}
	return step
}

// announced reports whether a release is the one that the status says was
// begun. Values that were added to others have another digest.
func announced(obj *helmv2.HelmRelease, begun *helmv2.PendingAction, found *release.Release) bool {
	if begun.ChartVersion != found.Chart.Version {
		return false
	}
	added := begun.Action == string(Upgrade) && obj.GetUpgrade().PreserveValues
	return added || begun.ConfigDigest == release.ConfigDigest(found.Config)
}

// Refresh updates what status.history tells of releases that a later one has
// replaced since: Helm marks them as superseded. Whatever else has changed in
// them was not done by an action, and shows when they are verified.
func Refresh(obj *helmv2.HelmRelease, seen Observed) {
	for i, s := range obj.Status.History {
		stored := seen.version(s.Version)
		if stored == nil || !same(s, stored.Name, stored.Namespace, stored.Version) ||
			stored.Status != release.Superseded || s.Status == string(release.Superseded) {
			continue
		}
		before := *stored
		before.Status = release.Status(s.Status)
		if release.Verify(s, &before) != nil {
			continue
		}
		made := release.Snapshot(stored, s.Action, s.OCIDigest)
		made.TestHooks = s.TestHooks
		obj.Status.History[i] = made
	}
}

const (
	unlockedPrefix = "Release unlocked from stale '"
	unlockedSuffix = "' state"
)

// Unlocked is the description that Unlock gives to a release: that it was left
// with the given status. Flux gives the same.
func Unlocked(from release.Status) string { return unlockedPrefix + string(from) + unlockedSuffix }

// unlockedFrom returns the status that a release had when it was unlocked. ok
// is false if it was not.
func unlockedFrom(r *release.Release) (from release.Status, ok bool) {
	rest, ok := strings.CutPrefix(r.Description, unlockedPrefix)
	if !ok {
		return "", false
	}
	status, ok := strings.CutSuffix(rest, unlockedSuffix)
	return release.Status(status), ok
}

// Outdated says why an action that is under way is not worth waiting for: what
// is wanted has changed since it was begun. It is empty if nothing has, or if
// the action is not for what is wanted: uninstalls are finished.
func Outdated(obj *helmv2.HelmRelease, want Desired) string {
	begun := pending(obj)
	if begun == nil {
		return ""
	}
	switch Action(begun.Action) {
	case Install, Upgrade, Test, Rollback:
	default:
		return ""
	}
	made := begun.Action == string(Install) || begun.Action == string(Upgrade)
	switch {
	case begun.Generation != obj.Generation:
		return NewGeneration
	case made && (begun.ChartVersion != want.Chart.Version || begun.OCIDigest != want.OCIDigest), !made && obj.Status.LastAttemptedRevision != want.Chart.Version:
		return NewChart
	case made && begun.ConfigDigest != want.ConfigDigest, !made && obj.Status.LastAttemptedConfigDigest != want.ConfigDigest:
		return NewValues
	case Requested(obj, helmv2.ResetAnnotation, obj.Status.LastHandledResetAt):
		return ResetRequested
	}
	return ""
}
