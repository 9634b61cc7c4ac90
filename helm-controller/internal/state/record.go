// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/pkg/redact"
)

// Outcome of an action.
type Outcome struct {
	// Step that was carried out.
	Step Step
	// Release that the action has made or changed, as it is stored in the end
	// or, if it was removed from there, as it was last. Nil if the action
	// stored nothing.
	Release *release.Release
	// Err is why the action failed. ErrNotFound and ErrUninstalled count as
	// success of an uninstall.
	Err error
	// Canceled is why the action was cut off, if it was. Then Err, if there is
	// one, does not count as a failure.
	Canceled string
	// Duration of the action, 0 if it is not known.
	Duration time.Duration
	// Logs of Helm, for the event.
	Logs []string
}

// Event tells that something happened. Its reason and message are also those
// of the condition that was set.
type Event struct {
	// Failure is set if it is a warning.
	Failure         bool
	Reason, Message string
	// Logs of Helm, to be added to the message of a failure.
	Logs []string
	// Metadata by key, without the group in front: revision, token,
	// app-version and oci-digest, as far as they are known.
	Metadata map[string]string
}

// Begin writes to the status that a step is begun. The status has to be stored
// before the action runs: after a restart it tells whose revision is found.
func Begin(obj *helmv2.HelmRelease, step Step, now time.Time) {
	if step.Action == Unlock {
		// What was left unfinished stays recorded until it is unlocked.
		return
	}
	if step.Anew {
		obj.Status.History = nil
	}
	if step.Action != Uninstall {
		obj.Status.StorageNamespace = step.Target.StorageNamespace
	}
	switch {
	case step.Action == Install:
		obj.Status.LastAttemptedReleaseAction = helmv2.ReleaseActionInstall
	case step.Action == Upgrade && !step.Continues:
		obj.Status.LastAttemptedReleaseAction = helmv2.ReleaseActionUpgrade
	}
	switch step.Action {
	case Install, Upgrade:
		conditions.Delete(obj, helmv2.TestSuccessCondition)
		conditions.Delete(obj, helmv2.RemediatedCondition)
		truncate(obj)
	case Rollback, UninstallRemediation:
		truncate(obj)
	case None, Test, Uninstall, Unlock:
	}
	if obj.Status.Weir == nil {
		obj.Status.Weir = &helmv2.WeirStatus{}
	}
	obj.Status.Weir.Pending = &helmv2.PendingAction{
		Action: string(step.Action), Name: step.Target.Name, Namespace: step.Target.Namespace, Version: int64(step.Version),
		Generation: obj.Generation, ChartVersion: step.Chart.Version, ConfigDigest: step.ConfigDigest, OCIDigest: step.OCIDigest,
		Since: metav1.NewTime(now),
	}
}

// pending returns the action that was begun and whose outcome is not recorded.
func pending(obj *helmv2.HelmRelease) *helmv2.PendingAction {
	if obj.Status.Weir == nil {
		return nil
	}
	return obj.Status.Weir.Pending
}

// settle forgets the action that was begun.
func settle(obj *helmv2.HelmRelease) {
	if obj.Status.Weir == nil {
		return
	}
	obj.Status.Weir.Pending = nil
	if *obj.Status.Weir == (helmv2.WeirStatus{}) {
		obj.Status.Weir = nil
	}
}

// Record writes the outcome of an action to the status: history, counters and
// the conditions Released, TestSuccess and Remediated. It returns the event to
// send, or nil if there is nothing to tell: an action that was cut off is
// neither success nor failure.
func Record(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	action := outcome.Step.Action
	if action.makes() && outcome.Duration > 0 {
		obj.Status.LastAttemptedReleaseActionDuration = &metav1.Duration{Duration: outcome.Duration}
	}
	if outcome.Err != nil && outcome.Canceled != "" {
		cutOff(obj, outcome)
		return nil
	}
	event := record(obj, outcome)
	if action != Unlock || outcome.Err == nil {
		settle(obj)
	}
	if event != nil && event.Failure {
		event.Logs = outcome.Logs
	}
	return event
}

func record(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	switch outcome.Step.Action {
	case Install, Upgrade:
		return recordRelease(obj, outcome)
	case Test:
		return recordTest(obj, outcome)
	case Rollback:
		return recordRollback(obj, outcome)
	case UninstallRemediation:
		return recordUndoing(obj, outcome)
	case Uninstall:
		return recordUninstall(obj, outcome)
	case Unlock:
		return recordUnlock(obj, outcome)
	case None:
	}
	return nil
}

// cutOff records what an action has stored before it was cut off, so that the
// revision is known as ours. What is not finished is unlocked next, and stays
// announced until then.
func cutOff(obj *helmv2.HelmRelease, outcome Outcome) {
	step, stored := outcome.Step, outcome.Release
	if stored != nil && (stored.Status.Pending() || stored.Status == release.Uninstalling) {
		return
	}
	if stored != nil && stored.Version >= step.Version && (step.Action.makes() || step.Action == Rollback) {
		if step.Action == Install {
			obj.Status.History = nil
		}
		put(obj, release.Snapshot(stored, helmv2.ReleaseAction(step.Action), step.OCIDigest))
	}
	settle(obj)
}

// recordRelease records an install or an upgrade. Only a failure that is in
// storage counts for retries: otherwise nothing has changed.
func recordRelease(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	step, stored := outcome.Step, outcome.Release
	if stored != nil && stored.Version < step.Version {
		stored = nil
	}
	if stored != nil {
		if step.Action == Install {
			// Nothing of before is to be rolled back to. Until here it tells whose
			// an uninstalled release is that has the name.
			obj.Status.History = nil
		}
		put(obj, release.Snapshot(stored, helmv2.ReleaseAction(step.Action), step.OCIDigest))
	}
	reasons := [2]string{helmv2.InstallSucceededReason, helmv2.InstallFailedReason}
	if step.Action == Upgrade {
		reasons = [2]string{helmv2.UpgradeSucceededReason, helmv2.UpgradeFailedReason}
	}
	if outcome.Err == nil && stored != nil {
		return released(obj, step, reasons[0])
	}
	if outcome.Err == nil {
		outcome.Err = errors.New("helm reports success, and the release is not in its storage")
	}
	obj.Status.Failures++
	if stored != nil {
		countFailure(obj)
	}
	message := fmt.Sprintf("Helm %s failed for release %s/%s with chart %s@%s: %s", step.Action, step.Target.Namespace, step.Target.Name,
		step.Chart.Name, step.Chart.Version, cause(outcome.Err))
	conditions.MarkFalse(obj, helmv2.ReleasedCondition, reasons[1], "%s", message)
	return &Event{Failure: true, Reason: reasons[1], Message: message,
		Metadata: metadata(step.Chart.Version, step.ConfigDigest, step.Chart.AppVersion, step.OCIDigest)}
}

// released records an install or upgrade that succeeded.
func released(obj *helmv2.HelmRelease, step Step, reason string) *Event {
	current := latest(obj)
	message := markReleased(obj, reason, current)
	if obj.GetTest().Enable && !tested(current) {
		conditions.MarkUnknown(obj, helmv2.TestSuccessCondition, helmv2.AwaitingTestsReason,
			"Helm release %s with chart %s is awaiting tests", releaseName(current), chartName(current))
	}
	obj.Status.ObservedPostRenderersDigest = step.PostRenderersDigest
	obj.Status.ObservedCommonMetadataDigest = step.CommonMetadataDigest
	return &Event{Reason: reason, Message: message, Metadata: about(current)}
}

func markReleased(obj *helmv2.HelmRelease, reason string, s *helmv2.Snapshot) (message string) {
	verb := "upgrade"
	if reason == helmv2.InstallSucceededReason {
		verb = "install"
	}
	message = fmt.Sprintf("Helm %s succeeded for release %s with chart %s", verb, releaseName(s), chartName(s))
	conditions.MarkTrue(obj, helmv2.ReleasedCondition, reason, "%s", message)
	return message
}

// recordTest records tests of the latest release, and of no other.
func recordTest(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	current := latest(obj)
	if current == nil {
		return nil
	}
	ours := outcome.Release != nil && same(current, outcome.Release.Name, outcome.Release.Namespace, outcome.Release.Version)
	if ours {
		made := release.Snapshot(outcome.Release, current.Action, current.OCIDigest)
		put(obj, made)
		made.TestHooks = new(tests(obj, outcome.Release))
		current = made
	} else if outcome.Err == nil {
		outcome.Err = fmt.Errorf("the tests that have run are not those of %s", releaseName(current))
	}
	if outcome.Err == nil && hasFailedTest(current) {
		outcome.Err = errors.New("a test has failed")
	}
	event := &Event{Reason: helmv2.TestSucceededReason, Metadata: about(current)}
	if outcome.Err != nil {
		obj.Status.Failures++
		if tested(current) && countsTestFailures(obj) {
			countFailure(obj)
		}
		event.Failure, event.Reason = true, helmv2.TestFailedReason
		event.Message = fmt.Sprintf("Helm test failed for release %s with chart %s: %s", releaseName(current), chartName(current), cause(outcome.Err))
		conditions.MarkFalse(obj, helmv2.TestSuccessCondition, event.Reason, "%s", event.Message)
		return event
	}
	event.Message = fmt.Sprintf("Helm test succeeded for release %s with chart %s: %s", releaseName(current), chartName(current), count(len(*current.TestHooks)))
	conditions.MarkTrue(obj, helmv2.TestSuccessCondition, event.Reason, "%s", event.Message)
	return event
}

func count(hooks int) string {
	switch hooks {
	case 0:
		return "no test hooks"
	case 1:
		return "1 test hook completed successfully"
	}
	return fmt.Sprintf("%d test hooks completed successfully", hooks)
}

func recordRollback(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	step := outcome.Step
	to := fmt.Sprintf("%s/%s.v%d with chart %s@%s", step.Target.Namespace, step.Target.Name, step.To, step.Chart.Name, step.Chart.Version)
	if stored := outcome.Release; stored != nil && stored.Version >= step.Version {
		put(obj, release.Snapshot(stored, helmv2.ReleaseActionRollback, step.OCIDigest))
	}
	event := &Event{Reason: helmv2.RollbackSucceededReason, Message: fmt.Sprintf("Helm rollback to previous release %s succeeded", to),
		Metadata: metadata(step.Chart.Version, step.ConfigDigest, step.Chart.AppVersion, step.OCIDigest)}
	if outcome.Err != nil {
		event.Failure, event.Reason = true, helmv2.RollbackFailedReason
		event.Message = fmt.Sprintf("Helm rollback to previous release %s failed: %s", to, cause(outcome.Err))
	}
	return remediated(obj, event)
}

func recordUndoing(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	done := uninstalled(outcome.Err)
	current := refreshUninstalled(obj, outcome, helmv2.ReleaseActionUninstallRemediation)
	if current == nil {
		return nil
	}
	what := fmt.Sprintf("Helm uninstall remediation for release %s with chart %s", releaseName(current), chartName(current))
	event := &Event{Reason: helmv2.UninstallSucceededReason, Message: what + " succeeded", Metadata: about(current)}
	if !done {
		event.Failure, event.Reason, event.Message = true, helmv2.UninstallFailedReason, what+" failed: "+cause(outcome.Err)
	} else {
		obj.Status.Inventory = nil
	}
	return remediated(obj, event)
}

func remediated(obj *helmv2.HelmRelease, event *Event) *Event {
	if event.Failure {
		obj.Status.Failures++
		conditions.MarkFalse(obj, helmv2.RemediatedCondition, event.Reason, "%s", event.Message)
		return event
	}
	conditions.MarkTrue(obj, helmv2.RemediatedCondition, event.Reason, "%s", event.Message)
	return event
}

// recordUninstall records an uninstall that makes place. After success nothing
// of the release is left in the status.
func recordUninstall(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	current := refreshUninstalled(obj, outcome, helmv2.ReleaseActionUninstall)
	if current == nil {
		if uninstalled(outcome.Err) {
			Forget(obj)
			return nil
		}
		current = &helmv2.Snapshot{Name: outcome.Step.Target.Name, Namespace: outcome.Step.Target.Namespace, Version: outcome.Step.Version}
	}
	event := &Event{Reason: helmv2.UninstallSucceededReason, Metadata: about(current)}
	switch {
	case errors.Is(outcome.Err, ErrNotFound):
		event.Message = fmt.Sprintf("Release %s was not found, assuming it is uninstalled", releaseName(current))
	case errors.Is(outcome.Err, ErrUninstalled):
		event.Message = fmt.Sprintf("Release %s was already uninstalled", releaseName(current))
	case outcome.Err != nil:
		obj.Status.Failures++
		event.Failure, event.Reason = true, helmv2.UninstallFailedReason
		event.Message = fmt.Sprintf("Helm uninstall failed for release %s with chart %s: %s", releaseName(current), chartName(current), cause(outcome.Err))
	default:
		event.Message = fmt.Sprintf("Helm uninstall succeeded for release %s with chart %s", releaseName(current), chartName(current))
	}
	conditions.MarkFalse(obj, helmv2.ReleasedCondition, event.Reason, "%s", event.Message)
	if event.Failure {
		return event
	}
	Forget(obj)
	return event
}

// refreshUninstalled records how an uninstall has left a release, and returns
// the latest one that status.history tells of, or nil.
func refreshUninstalled(obj *helmv2.HelmRelease, outcome Outcome, action helmv2.ReleaseAction) *helmv2.Snapshot {
	if r := outcome.Release; r != nil {
		if s := known(obj, r); s != nil {
			put(obj, release.Snapshot(r, action, s.OCIDigest))
		}
	}
	return latest(obj)
}

func uninstalled(err error) bool {
	return err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrUninstalled)
}

// Forget takes everything about the release out of the status: it is not this
// HelmRelease's any more.
func Forget(obj *helmv2.HelmRelease) {
	obj.Status.History, obj.Status.Inventory, obj.Status.StorageNamespace = nil, nil, ""
	clearFailures(obj)
}

func recordUnlock(obj *helmv2.HelmRelease, outcome Outcome) *Event {
	stored := outcome.Release
	if stored == nil {
		return nil
	}
	made := snapshotUnlocked(obj, stored)
	event := &Event{Reason: helmv2.PendingReleaseReason, Metadata: about(made)}
	if outcome.Err != nil {
		obj.Status.Failures++
		event.Failure = true
		event.Message = fmt.Sprintf("Unlock of Helm release %s with chart %s in %s state failed: %s", releaseName(made), chartName(made), outcome.Step.From, cause(outcome.Err))
	} else {
		if p := pending(obj); p != nil && p.Action == string(Install) {
			obj.Status.History = nil // as after an install that has come to an end
		}
		// A release that is not ours stays so.
		if len(obj.Status.History) > 0 || pending(obj) != nil {
			put(obj, made)
		}
		event.Message = fmt.Sprintf("Unlocked Helm release %s with chart %s in %s state", releaseName(made), chartName(made), outcome.Step.From)
	}
	conditions.MarkFalse(obj, helmv2.ReleasedCondition, event.Reason, "%s", event.Message)
	return event
}

// snapshotUnlocked returns the snapshot of an unlocked release, with the action
// that was cut off.
func snapshotUnlocked(obj *helmv2.HelmRelease, stored *release.Release) *helmv2.Snapshot {
	var action helmv2.ReleaseAction
	var ociDigest string
	if p := pending(obj); p != nil && p.Version == int64(stored.Version) {
		action, ociDigest = helmv2.ReleaseAction(p.Action), p.OCIDigest
	} else if s := known(obj, stored); s != nil {
		action, ociDigest = s.Action, s.OCIDigest
	}
	return release.Snapshot(stored, action, ociDigest)
}

// cause is the text of an error without credentials.
func cause(err error) string { return strings.TrimSpace(redact.Error(err)) }

func about(s *helmv2.Snapshot) map[string]string {
	return metadata(s.ChartVersion, s.ConfigDigest, s.AppVersion, s.OCIDigest)
}

func metadata(revision, token, appVersion, ociDigest string) map[string]string {
	known := map[string]string{}
	for key, value := range map[string]string{"revision": revision, "token": token, "app-version": appVersion, "oci-digest": ociDigest} {
		if value != "" {
			known[key] = value
		}
	}
	return known
}
