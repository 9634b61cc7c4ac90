// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package release says what a stored Helm release is, in this project's own
// words, and tells whether it is the one that the controller has made.
package release

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Status of a release.
type Status string

// The statuses that Helm gives.
const (
	// Unknown is the status of a release of which nobody knows how it is.
	Unknown Status = "unknown"
	// Deployed is the status of the release that is there.
	Deployed Status = "deployed"
	// Uninstalled is the status of one that was removed and kept in the history.
	Uninstalled Status = "uninstalled"
	// Superseded is the status of one that a later one replaced.
	Superseded Status = "superseded"
	// Failed is the status of one that could not be made, or not in time.
	Failed Status = "failed"
	// Uninstalling is the status of one that is being removed.
	Uninstalling Status = "uninstalling"
	// PendingInstall is the status of one that is being installed.
	PendingInstall Status = "pending-install"
	// PendingUpgrade is the status of one that is being upgraded to.
	PendingUpgrade Status = "pending-upgrade"
	// PendingRollback is the status of one that is being rolled back to.
	PendingRollback Status = "pending-rollback"
)

// Pending reports whether an install, upgrade or rollback is under way, or was
// when the process that did it died.
func (s Status) Pending() bool {
	return s == PendingInstall || s == PendingUpgrade || s == PendingRollback
}

// What a release was applied with.
const (
	// ServerSide apply.
	ServerSide = "ssa"
	// ClientSide apply: three-way merges.
	ClientSide = "csa"
)

// HookTest is the event of hooks that are tests.
const HookTest = "test"

// HookFailed is the phase of a hook that has failed.
const HookFailed = "Failed"

// HookSucceeded is the phase of a hook that has succeeded.
const HookSucceeded = "Succeeded"

// Release is one revision of a release, as it is stored.
type Release struct {
	// Name and Namespace of the release.
	Name, Namespace string
	// Version of it: 1 for the first.
	Version int
	Status  Status
	// ApplyMethod is ServerSide, ClientSide, or empty for a release of before
	// the key existed, which was applied on the client's side.
	ApplyMethod string
	Chart       Chart
	// Config are the values that it was made with, without the chart's own.
	// Numbers are float64, as Helm and Flux read them.
	Config map[string]any
	// Manifest is what was rendered, hooks excepted.
	Manifest string
	Hooks    []Hook
	// Labels of the release, without those that Helm sets by itself.
	Labels                               map[string]string
	FirstDeployed, LastDeployed, Deleted time.Time
	Description, Notes                   string
}

// Chart that a release was made of.
type Chart struct {
	Name, Version, AppVersion string
	// Metadata is all of its Chart.yaml, encoded as the digest of a snapshot
	// needs it. Decode fills it; without it a digest is of the fields above.
	Metadata json.RawMessage
}

// Hook is an object that is created at some point of an action.
type Hook struct {
	// Name and Kind of the object, and Path of its template.
	Name, Kind, Path string
	Manifest         string
	// Events at which it runs, such as pre-install or test.
	Events []string
	Weight int
	// DeletePolicies say when it is deleted.
	DeletePolicies []string
	// OutputLogPolicies say when its logs are fetched.
	OutputLogPolicies []string
	LastRun           Run
}

// Run is the last run of a hook.
type Run struct {
	Started, Completed time.Time
	// Phase is Unknown, Running, Succeeded or Failed, or empty if it never ran.
	Phase string
}

// Test reports whether a hook is a test.
func (h *Hook) Test() bool { return slices.Contains(h.Events, HookTest) }

// Tests returns the tests of a release by name.
func (r *Release) Tests() map[string]*Hook {
	tests := map[string]*Hook{}
	for i := range r.Hooks {
		if r.Hooks[i].Test() {
			tests[r.Hooks[i].Name] = &r.Hooks[i]
		}
	}
	return tests
}

// ServerSide reports whether the release was applied by the API server.
func (r *Release) ServerSide() bool { return r.ApplyMethod == ServerSide }

// SystemLabels are those that Helm sets on its records by itself.
func SystemLabels() []string {
	return []string{"name", "owner", "status", "version", "createdAt", "modifiedAt"}
}

// OwnLabels returns the labels of a record without those that Helm sets.
func OwnLabels(all map[string]string) map[string]string {
	own := maps.Clone(all)
	for _, name := range SystemLabels() {
		delete(own, name)
	}
	if len(own) == 0 {
		return nil
	}
	return own
}
