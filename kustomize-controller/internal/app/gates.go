// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import "github.com/weir-gitops/weir/pkg/app"

// Names of the feature gates that switch something.
const (
	additiveCELDependencyCheck   = "AdditiveCELDependencyCheck"
	directSourceFetch            = "DirectSourceFetch"
	disableFailFastBehavior      = "DisableFailFastBehavior"
	disableConfigWatchers        = "DisableConfigWatchers"
	externalArtifact             = "ExternalArtifact"
	strictPostBuildSubstitutions = "StrictPostBuildSubstitutions"
)

// gates are those of Flux's kustomize-controller, all of them, so that
// arguments written for it are understood or refused with a reason.
var gates = map[string]app.Gate{
	additiveCELDependencyCheck:   {},
	directSourceFetch:            {},
	disableConfigWatchers:        {},
	disableFailFastBehavior:      {},
	externalArtifact:             {},
	strictPostBuildSubstitutions: {Default: true},

	"CacheSecretsAndConfigMaps":   {Fixed: "the memory would hold every Secret of the cluster; what a spec names is read once for each reconcile that builds"},
	"ObjectLevelWorkloadIdentity": {Fixed: "identities of clouds are not built yet"},

	"GroupChangeLog":    {Fixed: "an event lists at most twenty objects, sorted, each with its namespace"},
	"MigrateAPIVersion": {Fixed: "rewriting the versions in managedFields claims fields that a version may not have; reset the managedFields of the object that the API server refuses"},

	"CancelHealthCheckOnNewRevision": {Moot: "no health check holds a worker, and a new revision always begins at once"},
	"DisableStatusPollerCache":       {Default: true, Moot: "health is watched, and nothing polls"},
}
