// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// keptSnapshots is how many are kept at most.
const keptSnapshots = 5

// latest returns the latest release that status.history tells of, or nil.
func latest(obj *helmv2.HelmRelease) *helmv2.Snapshot {
	return newest(obj.Status.History, func(*helmv2.Snapshot) bool { return true })
}

// newest returns the one of the highest version that is wanted, or nil.
func newest(history helmv2.Snapshots, want func(*helmv2.Snapshot) bool) (found *helmv2.Snapshot) {
	for _, s := range history {
		if want(s) && (found == nil || s.Version > found.Version) {
			found = s
		}
	}
	return found
}

// previous returns the last release before the latest one that is good to roll
// back to, or nil: it was deployed, and its tests did not fail, unless that
// does not count.
func previous(obj *helmv2.HelmRelease) *helmv2.Snapshot {
	current := latest(obj)
	return newest(obj.Status.History, func(s *helmv2.Snapshot) bool { return s.Version < current.Version && good(obj, s) })
}

func good(obj *helmv2.HelmRelease, s *helmv2.Snapshot) bool {
	was := release.Status(s.Status)
	return (was == release.Deployed || was == release.Superseded) && (ignoresTestFailures(obj) || !hasFailedTest(s))
}

// truncate forgets what is older than the release that would be rolled back
// to, and of many failures since then all but the last few.
func truncate(obj *helmv2.HelmRelease) {
	order(obj)
	history := obj.Status.History
	if len(history) == 0 {
		return
	}
	target := slices.Index(history, previous(obj))
	switch {
	case target >= keptSnapshots:
		obj.Status.History = append(slices.Clone(history[:keptSnapshots-1]), history[target])
	case target >= 0:
		obj.Status.History = history[:target+1]
	default:
		obj.Status.History = history[:min(len(history), keptSnapshots)]
	}
}

// order sorts status.history, the latest first.
func order(obj *helmv2.HelmRelease) {
	slices.SortStableFunc(obj.Status.History, func(a, b *helmv2.Snapshot) int { return b.Version - a.Version })
}

// put records a release in status.history, in place of an older record of it.
// What is known of its tests is kept.
func put(obj *helmv2.HelmRelease, made *helmv2.Snapshot) {
	for i, s := range obj.Status.History {
		if same(s, made.Name, made.Namespace, made.Version) {
			made.TestHooks = s.TestHooks
			obj.Status.History[i] = made
			return
		}
	}
	obj.Status.History = append(obj.Status.History, made)
	order(obj)
}

// known returns what status.history tells of a release, or nil.
func known(obj *helmv2.HelmRelease, r *release.Release) *helmv2.Snapshot {
	for _, s := range obj.Status.History {
		if same(s, r.Name, r.Namespace, r.Version) {
			return s
		}
	}
	return nil
}

func same(s *helmv2.Snapshot, name, namespace string, version int) bool {
	return s.Name == name && s.Namespace == namespace && s.Version == version
}

// tested reports whether the tests of a release have run: one failed, or all
// of them passed. There may be none.
func tested(s *helmv2.Snapshot) bool {
	if s == nil || s.TestHooks == nil {
		return false
	}
	if hasFailedTest(s) {
		return true
	}
	for _, hook := range *s.TestHooks {
		if hook == nil || hook.Phase != release.HookSucceeded {
			return false
		}
	}
	return true
}

func hasFailedTest(s *helmv2.Snapshot) bool {
	if s == nil || s.TestHooks == nil {
		return false
	}
	for _, hook := range *s.TestHooks {
		if hook != nil && hook.Phase == release.HookFailed {
			return true
		}
	}
	return false
}

// tests returns how the tests of a release ended that the spec selects.
func tests(obj *helmv2.HelmRelease, r *release.Release) map[string]*helmv2.TestHookStatus {
	hooks, filters := map[string]*helmv2.TestHookStatus{}, obj.GetTest().GetFilters()
	for name, hook := range r.Tests() {
		if !selected(name, filters) {
			continue
		}
		hooks[name] = &helmv2.TestHookStatus{
			LastStarted:   metav1.NewTime(hook.LastRun.Started),
			LastCompleted: metav1.NewTime(hook.LastRun.Completed),
			Phase:         hook.LastRun.Phase,
		}
	}
	return hooks
}

// selected reports whether filters choose a test: none excludes it, and one
// names it unless all of them exclude.
func selected(name string, filters []helmv2.Filter) bool {
	names, named := false, false
	for _, f := range filters {
		if f.Exclude && f.Name == name {
			return false
		}
		names = names || !f.Exclude
		named = named || !f.Exclude && f.Name == name
	}
	return named || !names
}

// releaseName is how messages call a release.
func releaseName(s *helmv2.Snapshot) string {
	return fmt.Sprintf("%s/%s.v%d", s.Namespace, s.Name, s.Version)
}

// chartName is how messages call the chart of a release.
func chartName(s *helmv2.Snapshot) string {
	return fmt.Sprintf("%s@%s", s.ChartName, s.ChartVersion)
}
