// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import "github.com/weir-gitops/weir/pkg/app"

// Names of the feature gates that switch something.
const (
	additiveCELDependencyCheck     = "AdditiveCELDependencyCheck"
	cancelHealthCheckOnNewRevision = "CancelHealthCheckOnNewRevision"
	defaultToRetryOnFailure        = "DefaultToRetryOnFailure"
	directSourceFetch              = "DirectSourceFetch"
	disableChartDigestTracking     = "DisableChartDigestTracking"
	disableConfigWatchers          = "DisableConfigWatchers"
	externalArtifact               = "ExternalArtifact"
	useHelm3Defaults               = "UseHelm3Defaults"
)

// gates are those of Flux's helm-controller, all of them, so that arguments
// written for it are understood or refused with a reason.
var gates = map[string]app.Gate{
	additiveCELDependencyCheck:     {},
	cancelHealthCheckOnNewRevision: {Default: true},
	defaultToRetryOnFailure:        {},
	directSourceFetch:              {},
	disableChartDigestTracking:     {},
	disableConfigWatchers:          {},
	externalArtifact:               {},
	useHelm3Defaults:               {},

	"AllowDNSLookups":             {Fixed: "a template that asks the network renders something else each time"},
	"CacheSecretsAndConfigMaps":   {Fixed: "the memory would hold every Secret of the cluster; what a spec names is read when it is needed"},
	"OOMWatch":                    {Fixed: "what is kept in memory is bounded in bytes, so an end by the kernel is a limit that is too low"},
	"ObjectLevelWorkloadIdentity": {Fixed: "identities of clouds are not built yet"},

	"AdoptLegacyReleases": {Moot: "releases of any version are adopted"},
	"CorrectDrift":        {Moot: "spec.driftDetection decides"},
	"DetectDrift":         {Moot: "spec.driftDetection decides"},
}
