// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"time"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

const (
	defaultMinRetry = 750 * time.Millisecond
	defaultMaxRetry = 15 * time.Minute
)

// strategy is what the spec says about failures of one kind of action.
type strategy struct {
	// retry is set if nothing is remediated, and is the time between tries.
	retry *time.Duration
	// retries after the first failure; below zero, without end.
	retries int
	// remediateLast remediates the last failure too.
	remediateLast bool
	remedy        helmv2.RemediationStrategy
	// failures that count.
	failures int64
}

// exhausted reports whether the action may not be tried again.
func (s strategy) exhausted() bool {
	return s.retry == nil && s.retries >= 0 && s.failures > int64(s.retries)
}

// strategyOf returns what the spec says about an install or an upgrade. ok is
// false if the action is neither; then the strategy does not count.
func strategyOf(obj *helmv2.HelmRelease, action helmv2.ReleaseAction, policy Policy) (_ strategy, ok bool) {
	if action == helmv2.ReleaseActionInstall {
		return installStrategy(obj, policy), true
	}
	return upgradeStrategy(obj, policy), action == helmv2.ReleaseActionUpgrade
}

func installStrategy(obj *helmv2.HelmRelease, policy Policy) strategy {
	s, install := strategy{remedy: helmv2.UninstallRemediationStrategy, failures: obj.Status.InstallFailures}, obj.GetInstall()
	if r := install.Remediation; r != nil {
		s.retries, s.remediateLast = r.Retries, r.RemediateLastFailure != nil && *r.RemediateLastFailure
	}
	switch {
	case install.Strategy == nil && policy.RetryOnFailure:
		s.retry = new(helmv2.InstallStrategy{}.GetRetryInterval())
	case install.Strategy != nil && install.Strategy.Name == string(helmv2.ActionStrategyRetryOnFailure):
		s.retry = new(install.Strategy.GetRetryInterval())
	}
	return s
}

func upgradeStrategy(obj *helmv2.HelmRelease, policy Policy) strategy {
	s, upgrade := strategy{remedy: helmv2.RollbackRemediationStrategy, failures: obj.Status.UpgradeFailures}, obj.GetUpgrade()
	if r := upgrade.Remediation; r != nil {
		s.retries, s.remediateLast, s.remedy = r.Retries, r.Retries > 0, r.GetStrategy()
		if r.RemediateLastFailure != nil {
			s.remediateLast = *r.RemediateLastFailure
		}
	}
	switch {
	case upgrade.Strategy == nil && policy.RetryOnFailure:
		s.retry = new(helmv2.UpgradeStrategy{}.GetRetryInterval())
	case upgrade.Strategy != nil && upgrade.Strategy.Name == string(helmv2.ActionStrategyRetryOnFailure):
		s.retry = new(upgrade.Strategy.GetRetryInterval())
	}
	return s
}

// active returns the strategy for what was tried last. ok is false if nothing
// was.
func active(obj *helmv2.HelmRelease, policy Policy) (_ strategy, ok bool) {
	return strategyOf(obj, obj.Status.LastAttemptedReleaseAction, policy)
}

// ignoresTestFailures reports whether a failed test is no reason to remediate.
func ignoresTestFailures(obj *helmv2.HelmRelease) bool {
	attempted := obj.Status.LastAttemptedReleaseAction
	var own *bool
	if r := obj.GetInstall().Remediation; r != nil && attempted == helmv2.ReleaseActionInstall {
		own = r.IgnoreTestFailures
	}
	if r := obj.GetUpgrade().Remediation; r != nil && attempted == helmv2.ReleaseActionUpgrade {
		own = r.IgnoreTestFailures
	}
	if own != nil {
		return *own
	}
	return obj.GetTest().IgnoreFailures
}

// countsTestFailures reports whether a failed test makes the release a failed
// one.
func countsTestFailures(obj *helmv2.HelmRelease) bool {
	_, attempted := active(obj, Policy{})
	return attempted && !ignoresTestFailures(obj)
}

// countFailure counts a failure of what was tried last: something was.
func countFailure(obj *helmv2.HelmRelease) {
	if obj.Status.LastAttemptedReleaseAction == helmv2.ReleaseActionInstall {
		obj.Status.InstallFailures++
		return
	}
	obj.Status.UpgradeFailures++
}

func clearFailures(obj *helmv2.HelmRelease) {
	obj.Status.Failures, obj.Status.InstallFailures, obj.Status.UpgradeFailures = 0, 0, 0
}

// soonest is the least time between two tries.
func (p Policy) soonest() time.Duration {
	if p.MinRetry <= 0 {
		return defaultMinRetry
	}
	return p.MinRetry
}

// delay before the next try, which doubles with each failure.
func (p Policy) delay(failures int64) time.Duration {
	shortest, longest := p.soonest(), p.MaxRetry
	if longest <= 0 {
		longest = defaultMaxRetry
	}
	for range min(failures-1, 32) {
		if shortest >= longest {
			break
		}
		shortest *= 2
	}
	return min(shortest, longest)
}

// Reasons to forget failures.
const (
	// NewGeneration is the reason if the spec has changed.
	NewGeneration = "the spec has changed"
	// NewChart is the reason if the version of the chart has.
	NewChart = "the chart has changed"
	// NewValues is the reason if the values have.
	NewValues = "the values have changed"
	// ResetRequested is the reason if somebody has asked for it.
	ResetRequested = "a reset was requested"
)

// ResetFailures forgets the failures if what is wanted is not what was tried
// last, or if somebody asks for it by annotation, and says why; "" if it did
// not. It records what is tried now. A reason means that what runs for the
// former wish may be cancelled, and that what was done counts no more (see
// Next).
func ResetFailures(obj *helmv2.HelmRelease, want Desired) (reason string) {
	status, requested := &obj.Status, Requested(obj, helmv2.ResetAnnotation, obj.Status.LastHandledResetAt)
	switch {
	case status.LastAttemptedGeneration != obj.Generation:
		reason = NewGeneration
	case status.LastAttemptedRevision != want.Chart.Version:
		reason = NewChart
	case status.LastAttemptedConfigDigest != "" && status.LastAttemptedConfigDigest != want.ConfigDigest:
		reason = NewValues
	case requested:
		reason = ResetRequested
	}
	if reason != "" {
		clearFailures(obj)
	}
	status.LastAttemptedGeneration = obj.Generation
	status.LastAttemptedRevision = want.Chart.Version
	status.LastAttemptedRevisionDigest = want.OCIDigest
	status.LastAttemptedConfigDigest = want.ConfigDigest
	status.LastAttemptedValuesChecksum, status.LastReleaseRevision = "", 0
	if token, ok := obj.Annotations[helmv2.ResetAnnotation]; ok {
		status.LastHandledResetAt = token
	}
	return reason
}

// Requested reports whether an annotation asks for something that was not done
// yet: it has the value of the annotation that requests a reconciliation, and
// another than the one that was handled last.
func Requested(obj *helmv2.HelmRelease, annotation, handled string) bool {
	token, ok := obj.Annotations[annotation]
	return ok && token != handled && token == obj.Annotations[reconcileAnnotation]
}

// ForceHandled records that a request for an upgrade was looked at. Call it
// when what Next has returned is carried out.
func ForceHandled(obj *helmv2.HelmRelease) {
	if token, ok := obj.Annotations[helmv2.ForceAnnotation]; ok {
		obj.Status.LastHandledForceAt = token
	}
}

func forced(obj *helmv2.HelmRelease) bool {
	return Requested(obj, helmv2.ForceAnnotation, obj.Status.LastHandledForceAt)
}
