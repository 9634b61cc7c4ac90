// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package state decides what becomes of a release: what state it is in, which
// action follows from that, and what is written to the status of a HelmRelease
// before and after. All of it is pure: nothing here talks to a cluster.
package state

import (
	"errors"
	"fmt"
	"time"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/values"
)

// Target is where a release is and how it is called.
type Target struct {
	// Name of the release, shortened, and Namespace that it is released to.
	Name, Namespace string
	// StorageNamespace is where Helm stores it.
	StorageNamespace string
}

// Desired is what the spec, the chart and the values come to.
type Desired struct {
	Target Target
	// Chart that is wanted. Its version is complete: with the digest of the
	// artifact, if that is tracked.
	Chart release.Chart
	// OCIDigest of the chart's artifact, if it comes from an OCIRepository.
	OCIDigest string
	// ConfigDigest of the merged values.
	ConfigDigest string
	// Values are the merged values. They are looked at only if
	// spec.upgrade.preserveValues is set, and nil is none.
	Values map[string]any
	// PostRenderersDigest and CommonMetadataDigest of the spec.
	PostRenderersDigest, CommonMetadataDigest string
	Policy                                    Policy
}

// Policy is what flags say.
type Policy struct {
	// RetryOnFailure is the strategy where the spec has none: the feature
	// gate DefaultToRetryOnFailure.
	RetryOnFailure bool
	// MinRetry and MaxRetry bound the delay before what failed is tried
	// again. They default to 750ms and 15m.
	MinRetry, MaxRetry time.Duration
}

// Observed is what was seen of the release.
type Observed struct {
	// History of the target in Helm's storage, newest first.
	History []*release.Release
	// Running is true while an action of this HelmRelease runs.
	Running bool
}

func (o Observed) latest() *release.Release {
	if len(o.History) == 0 {
		return nil
	}
	return o.History[0]
}

func (o Observed) version(version int) *release.Release {
	for _, r := range o.History {
		if r.Version == version {
			return r
		}
	}
	return nil
}

// Kind of state that a release is in.
type Kind string

const (
	// Running is the state while an action is under way: nothing is decided
	// before it ends.
	Running Kind = "Running"
	// TargetChanged is the state if the release that status.history tells of is
	// not the one that is wanted, but one of another name, place or chart.
	TargetChanged Kind = "TargetChanged"
	// Absent is the state if there is no release.
	Absent Kind = "Absent"
	// Locked is the state of a release that an action has left unfinished.
	Locked Kind = "Locked"
	// Unmanaged is the state of a release that the controller did not make.
	Unmanaged Kind = "Unmanaged"
	// OutOfSync is the state of a release that is not what is wanted.
	OutOfSync Kind = "OutOfSync"
	// Untested is the state of one that is, and whose tests have not run.
	Untested Kind = "Untested"
	// Interrupted is the state of a release that was unlocked. Nobody knows
	// whether it would have failed.
	Interrupted Kind = "Interrupted"
	// Failed is the state of a release that has failed, or a test of it has.
	Failed Kind = "Failed"
	// InSync is the state of a release that is what is wanted.
	InSync Kind = "InSync"
)

// State of a release.
type State struct {
	Kind Kind
	// Reason in a few words, for logs. It may be empty.
	Reason string

	want Desired
	seen Observed
}

// Of returns the state of the release of obj. What dead processes have left
// behind must have been settled before, with Refresh and Resume.
func Of(obj *helmv2.HelmRelease, want Desired, seen Observed) State {
	kind, reason := determine(obj, want, seen)
	return State{Kind: kind, Reason: reason, want: want, seen: seen}
}

func determine(obj *helmv2.HelmRelease, want Desired, seen Observed) (Kind, string) {
	if seen.Running {
		return Running, "an action is under way"
	}
	if what := changedTarget(obj, want); what != "" {
		return TargetChanged, what
	}
	found, current := seen.latest(), latest(obj)
	switch {
	case found == nil:
		return Absent, "no release in storage"
	case found.Status == release.Uninstalled:
		return Absent, "found an uninstalled release in storage"
	case found.Status.Pending(), found.Status == release.Uninstalling, found.Status == release.Unknown:
		return Locked, fmt.Sprintf("found a release with status %s in storage", found.Status)
	case current == nil:
		return Unmanaged, "found an existing release in storage"
	case found.Version != current.Version:
		return Unmanaged, fmt.Sprintf("found v%d in storage where status.history tells of v%d", found.Version, current.Version)
	}
	if err := release.Verify(current, found); err != nil {
		return Unmanaged, err.Error()
	}
	if found.Status == release.Failed {
		return failed(found)
	}
	if found.Status == release.Deployed {
		return deployed(obj, want, found, current)
	}
	// A later one that replaced it has been removed from storage.
	return Unmanaged, fmt.Sprintf("the latest release in storage has status %s", found.Status)
}

// failed tells a failure from an action that was cut off. A rollback that was
// cut off is still called for, by the failure before it.
func failed(found *release.Release) (Kind, string) {
	if from, ok := unlockedFrom(found); ok && from != release.PendingRollback {
		return Interrupted, fmt.Sprintf("unlocked from status %s", from)
	}
	return Failed, "the release has failed"
}

func deployed(obj *helmv2.HelmRelease, want Desired, found *release.Release, current *helmv2.Snapshot) (Kind, string) {
	if reason := outOfSync(obj, want, found, current); reason != "" {
		return OutOfSync, reason
	}
	test := obj.GetTest()
	switch {
	case !test.Enable:
		return InSync, ""
	case !tested(current):
		return Untested, "tests have not run"
	case hasFailedTest(current) && countsTestFailures(obj):
		return Failed, "a test of the release has failed"
	}
	return InSync, ""
}

// outOfSync says in what a deployed release is not the one that is wanted.
func outOfSync(obj *helmv2.HelmRelease, want Desired, found *release.Release, current *helmv2.Snapshot) string {
	switch {
	case found.Chart.Name != want.Chart.Name:
		return "another chart is wanted"
	case found.Chart.Version != want.Chart.Version:
		return "another version of the chart is wanted"
	case current.ConfigDigest != want.ConfigDigest && !preserved(obj, want, found):
		return "other values are wanted"
	case !comparesRendering(obj, current):
		return ""
	case obj.Status.ObservedPostRenderersDigest != want.PostRenderersDigest:
		return "other post-renderers are wanted"
	case obj.Status.ObservedCommonMetadataDigest != want.CommonMetadataDigest:
		return "other common metadata is wanted"
	}
	return ""
}

// preserved reports whether values that are added to those of the release
// before are in it already.
func preserved(obj *helmv2.HelmRelease, want Desired, found *release.Release) bool {
	return obj.GetUpgrade().PreserveValues && found.Version > 1 &&
		release.ConfigDigest(values.Overlay(found.Config, want.Values)) == release.ConfigDigest(found.Config)
}

// comparesRendering reports whether what is recorded of post-renderers and
// common metadata counts. A status of before it was recorded must not cause an
// upgrade, so it counts only once the spec has changed, or since the release
// at hand is not the one that the spec led to.
func comparesRendering(obj *helmv2.HelmRelease, current *helmv2.Snapshot) bool {
	status := &obj.Status
	return status.ObservedGeneration != obj.Generation || status.InstallFailures > 0 || status.UpgradeFailures > 0 ||
		current.Action == helmv2.ReleaseActionRollback
}

// changedTarget says what of the target has changed, if anything has.
func changedTarget(obj *helmv2.HelmRelease, want Desired) string {
	current, stored := latest(obj), obj.Status.StorageNamespace
	switch {
	case current == nil || stored == "":
		return ""
	case want.Target.StorageNamespace != stored:
		return "storage namespace"
	case want.Target.Namespace != current.Namespace:
		return "release namespace"
	case want.Target.Name != current.Name:
		return "release name"
	case want.Chart.Name != current.ChartName && obj.GetUpgrade().GetChartNameChangeStrategy() == helmv2.ChartNameChangeStrategyReinstall:
		return "chart name"
	}
	return ""
}

// Errors of an uninstall that found nothing to do. They count as success.
var (
	// ErrNotFound says that there is no such release.
	ErrNotFound = errors.New("release not found")
	// ErrUninstalled says that the release was uninstalled before, and its
	// history kept.
	ErrUninstalled = errors.New("release is already uninstalled")
)
