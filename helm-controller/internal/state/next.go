// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"slices"
	"time"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// Action that can be run on a release.
type Action string

const (
	// None is no action.
	None Action = ""
	// Install the chart.
	Install Action = "install"
	// Upgrade to the chart and the values.
	Upgrade Action = "upgrade"
	// Test runs the tests of the chart.
	Test Action = "test"
	// Rollback undoes a failed upgrade.
	Rollback Action = "rollback"
	// Uninstall makes place for another release, or ends it.
	Uninstall Action = "uninstall"
	// UninstallRemediation undoes a failed install or upgrade.
	UninstallRemediation Action = "uninstall-remediation"
	// Unlock marks a release as failed that an action has left unfinished. It
	// writes Unlocked as its description, and does nothing else.
	Unlock Action = "unlock"
)

// Name of an action in messages.
func (a Action) Name() string {
	if a == UninstallRemediation {
		return string(Uninstall)
	}
	return string(a)
}

// Remedies reports whether an action undoes a failure.
func (a Action) Remedies() bool { return a == Rollback || a == UninstallRemediation }

// releases reports whether an action makes a release what is wanted. Only then
// is Ready no longer known; others leave the failure before them visible.
func (a Action) releases() bool { return a.makes() || a == Uninstall }

// alike reports whether only one of two actions may run in one round.
func (a Action) alike(b Action) bool {
	return a == b || a.makes() && b.makes() || a.Remedies() && b.Remedies()
}

// makes reports whether an action makes a release of a chart.
func (a Action) makes() bool { return a == Install || a == Upgrade }

// Step is what is to be done.
type Step struct {
	// Action to run. If it is None, nothing is to be done now.
	Action Action
	// Reason for the action or for waiting, in a few words, for logs.
	Reason string
	// Target of the action. That of Uninstall may be a former one.
	Target Target
	// Version of the release that the action makes or, for Test, Unlock and
	// uninstalls, is about. 0 if that is not known.
	Version int
	// To is the version that Rollback rolls back to.
	To int
	// From is the status that Unlock finds.
	From release.Status
	// Replace installs under a name that an uninstalled release has left.
	Replace bool
	// MaxHistory is how many revisions Helm keeps; 0 keeps all.
	MaxHistory int
	// Timeout of each operation of the action.
	Timeout time.Duration
	// Chart, OCIDigest and ConfigDigest of what is installed or upgraded to,
	// or rolled back to.
	Chart                   release.Chart
	OCIDigest, ConfigDigest string
	// PostRenderersDigest and CommonMetadataDigest of an install or upgrade.
	PostRenderersDigest, CommonMetadataDigest string
	// Anew forgets status.history: it is of no use any more.
	Anew bool
	// Continues is set for an upgrade that goes on with an install which was
	// cut off: if it fails, that is a failed install.
	Continues bool
	// Stalled says why nothing helps but a change. Nil if something may.
	Stalled *Stall
	// Retry is when to call Next again, without what is done until now.
	Retry time.Duration
}

// Stall is a state that only a change of the spec, the chart or the values
// leads out of, or a reset. Ready goes on to show the failure (see Summary).
type Stall struct {
	Reason, Message string
}

// retriedHistory is how many revisions are kept of a release that is tried
// again and again, where spec.maxHistory is 0: they would fill the cluster.
const retriedHistory = 10

// Message says that an action is under way.
func (s Step) Message() string {
	return fmt.Sprintf("Running '%s' action with timeout of %s", s.Action.Name(), s.Timeout)
}

// Releases reports whether Ready is not known while the action runs. Otherwise
// the failure that it is about stays visible.
func (s Step) Releases() bool { return s.Action.releases() }

// Next returns what follows from a state. done are the actions of this round
// that have ended: no two of a kind run in one round, and none after one that
// undoes a failure. A round ends
//   - when Next returns neither an action nor Retry,
//   - when Retry is over,
//   - when ResetFailures gives a reason, or somebody asks for a reconciliation,
//   - with the process.
func Next(obj *helmv2.HelmRelease, s State, done []Action) Step {
	step := choose(obj, s)
	if step.Action == None {
		return step
	}
	remedied := slices.ContainsFunc(done, Action.Remedies)
	if remedied || slices.ContainsFunc(done, step.Action.alike) {
		return pause(obj, s, remedied)
	}
	return complete(obj, s, step)
}

// pause returns when the next round begins, or that there is none.
func pause(obj *helmv2.HelmRelease, s State, remedied bool) Step {
	strategy, attempted := active(obj, s.want.Policy)
	switch {
	case attempted && strategy.retry != nil:
		return Step{Retry: max(*strategy.retry, s.want.Policy.soonest()), Reason: "to be tried again at the retry interval"}
	case remedied && strategy.exhausted() && !reinstalls(obj, strategy):
		return exceeded(obj, s)
	}
	return Step{Retry: s.want.Policy.delay(obj.Status.Failures), Reason: "to be tried again"}
}

// reinstalls reports whether an upgrade was undone by an uninstall: an install
// follows, which has retries of its own.
func reinstalls(obj *helmv2.HelmRelease, strategy strategy) bool {
	return obj.Status.LastAttemptedReleaseAction == helmv2.ReleaseActionUpgrade && strategy.remedy == helmv2.UninstallRemediationStrategy
}

func exceeded(obj *helmv2.HelmRelease, s State) Step {
	strategy, _ := active(obj, s.want.Policy)
	return Step{Reason: "no retries are left", Stalled: &Stall{
		Reason:  helmv2.RetriesExceededReason,
		Message: fmt.Sprintf("Failed to %s after %d attempt(s)", obj.Status.LastAttemptedReleaseAction, strategy.failures),
	}}
}

// choose returns the action that a state calls for, incomplete as yet.
func choose(obj *helmv2.HelmRelease, s State) Step {
	switch s.Kind {
	case TargetChanged:
		step, _ := Removal(obj)
		step.Reason = "the release is another one now: " + s.Reason
		return step
	case Absent:
		return unlessExhausted(obj, s, installStrategy(obj, s.want.Policy), Step{Action: Install, Reason: s.Reason, Replace: replaces(obj, s)})
	case Locked:
		return unlock(obj, s)
	case Unmanaged:
		return Step{Action: Upgrade, Reason: s.Reason, Anew: true}
	case OutOfSync:
		return unlessExhausted(obj, s, upgradeStrategy(obj, s.want.Policy), Step{Action: Upgrade, Reason: s.Reason})
	case Untested:
		return Step{Action: Test, Reason: s.Reason}
	case Interrupted:
		return Step{Action: Upgrade, Reason: s.Reason, Continues: latest(obj).Action == helmv2.ReleaseActionInstall}
	case Failed:
		return remedy(obj, s)
	case InSync:
		if forced(obj) {
			return Step{Action: Upgrade, Reason: "an upgrade was requested"}
		}
	case Running:
	}
	return Step{Reason: s.Reason}
}

// unlessExhausted returns a step if retries for it are left, or somebody asks
// for one.
func unlessExhausted(obj *helmv2.HelmRelease, s State, strategy strategy, step Step) Step {
	if strategy.exhausted() && !forced(obj) {
		return exceeded(obj, s)
	}
	return step
}

// replaces reports whether an install takes the name of an uninstalled release
// that the controller itself has left there, besides where the spec says so.
func replaces(obj *helmv2.HelmRelease, s State) bool {
	left := s.seen.latest()
	return obj.GetInstall().Replace || left != nil && known(obj, left) != nil
}

// unlock ends what was left unfinished. An uninstall that undoes a failure is
// begun again, but not after a reset: the new chart is to be tried instead.
func unlock(obj *helmv2.HelmRelease, s State) Step {
	found := s.seen.latest()
	strategy, _ := active(obj, s.want.Policy)
	if found.Status == release.Uninstalling && strategy.failures > 0 && undoes(obj, found) {
		return Step{Action: UninstallRemediation, Reason: s.Reason}
	}
	return Step{Action: Unlock, Reason: s.Reason, From: found.Status}
}

func undoes(obj *helmv2.HelmRelease, found *release.Release) bool {
	if p := pending(obj); p != nil {
		return p.Action == string(UninstallRemediation)
	}
	s := known(obj, found)
	return s != nil && s.Action == helmv2.ReleaseActionUninstallRemediation
}

// remedy returns what a failure leads to.
func remedy(obj *helmv2.HelmRelease, s State) Step {
	strategy, attempted := active(obj, s.want.Policy)
	again := Step{Action: Upgrade, Reason: s.Reason}
	switch {
	case !attempted, strategy.retry != nil, strategy.failures <= 0, forced(obj):
		return again
	case strategy.exhausted() && !strategy.remediateLast:
		return exceeded(obj, s)
	case strategy.remedy == helmv2.UninstallRemediationStrategy:
		return Step{Action: UninstallRemediation, Reason: s.Reason}
	}
	target := previous(obj)
	if target == nil {
		return Step{Reason: "there is nothing to roll back to", Stalled: &Stall{
			Reason:  helmv2.MissingRollbackTargetReason,
			Message: "Failed to perform remediation: missing target release for rollback: cannot remediate failed release",
		}}
	}
	stored := s.seen.version(target.Version)
	if stored != nil && release.Verify(target, stored) == nil {
		return Step{Action: Rollback, Reason: s.Reason, To: target.Version}
	}
	// It must not be rolled back to what somebody else has put there.
	if strategy.exhausted() {
		return exceeded(obj, s)
	}
	again.Reason = fmt.Sprintf("v%d to roll back to is gone from storage or was changed there", target.Version)
	return again
}

// Removal returns the step that uninstalls the release that status tells of,
// wherever it is. ok is false if there is none.
func Removal(obj *helmv2.HelmRelease) (_ Step, ok bool) {
	step := Step{Action: Uninstall, Timeout: obj.GetUninstall().GetTimeout(obj.GetTimeout())}
	current, begun := latest(obj), pending(obj)
	switch {
	case obj.Status.StorageNamespace == "":
		return Step{}, false
	case current != nil:
		step.Target = Target{current.Name, current.Namespace, obj.Status.StorageNamespace}
		step.Version = current.Version
	case begun != nil:
		// An install was cut off before anything of it was in the history.
		step.Target = Target{begun.Name, begun.Namespace, obj.Status.StorageNamespace}
	default:
		return Step{}, false
	}
	return step, true
}

// complete fills in what an action needs.
func complete(obj *helmv2.HelmRelease, s State, step Step) Step {
	if step.Action == Uninstall {
		return step
	}
	want, found := s.want, s.seen.latest()
	step.Target, step.Timeout, step.MaxHistory = want.Target, timeout(obj, step.Action), maxHistory(obj, want.Policy)
	if found != nil {
		step.Version = found.Version
	}
	if step.Action.makes() {
		step.Version++
		step.Chart, step.OCIDigest, step.ConfigDigest = want.Chart, want.OCIDigest, want.ConfigDigest
		step.PostRenderersDigest, step.CommonMetadataDigest = want.PostRenderersDigest, want.CommonMetadataDigest
	}
	if step.Action == Rollback {
		step.Version++
		target := s.seen.version(step.To)
		step.Chart, step.ConfigDigest = target.Chart, release.ConfigDigest(target.Config)
		step.OCIDigest = known(obj, target).OCIDigest
	}
	return step
}

func maxHistory(obj *helmv2.HelmRelease, policy Policy) int {
	limit := obj.GetMaxHistory()
	if strategy, attempted := active(obj, policy); limit == 0 && attempted && strategy.retry != nil && strategy.failures > 0 {
		return retriedHistory
	}
	return limit
}

func timeout(obj *helmv2.HelmRelease, action Action) time.Duration {
	shared := obj.GetTimeout()
	switch action {
	case Install:
		return obj.GetInstall().GetTimeout(shared)
	case Upgrade:
		return obj.GetUpgrade().GetTimeout(shared)
	case Test:
		return obj.GetTest().GetTimeout(shared)
	case Rollback:
		return obj.GetRollback().GetTimeout(shared)
	case Uninstall, UninstallRemediation:
		return obj.GetUninstall().GetTimeout(shared)
	case None, Unlock:
	}
	return shared
}
