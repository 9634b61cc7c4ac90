// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// scope is what the phases of one reconcile share.
type scope struct {
	obj     *helmv2.HelmRelease
	patcher *reconcile.Patcher
	memory  *memory
	now     time.Time
	// requested: somebody asks for a reconcile by annotation.
	requested bool

	// asked: the status says that devices were asked for.
	asked bool
	// rules are those of spec.driftDetection.ignore, and checks those of
	// spec.healthCheckExprs. Filled by validate.
	rules  *exemption.Rules
	checks *health.Checks
	// basis is how changes of what the spec refers to are heard of. Filled by
	// follow.
	basis string
	// target is the cluster to release to, and moved says that the release which the
	// status tells of is on another one. Filled by connect.
	target *cluster.Cluster
	moved  bool
	// leave ends the work on the target cluster. Filled by connect.
	leave func()
	// account acts there; empty: the controller. Filled by connect.
	account string
	// client acts as the tenant on the target cluster. Filled by connect.
	client *apply.Client
	// source and artifact are where the chart is. Filled by findSource.
	source   client.Object
	artifact *fluxmeta.Artifact
	// values are those of the spec, merged. Filled by mergeValues.
	values map[string]any
	// secrets takes what came from Secrets out of texts. Filled by mergeValues.
	secrets func(string) string
	// chart to release, and what it is with the values. Filled by openChart.
	chart *helm.Chart
	want  state.Desired
	// history of the release in Helm's storage, and what follows. Filled by observe.
	history []*release.Release
	step    state.Step
	// driftErr is why drift could not be looked for, or put back. Filled by
	// watchDrift.
	driftErr error
	// recheck is when to look again although all is well; zero: at the interval.
	recheck time.Duration
}

func (s *scope) owner() types.NamespacedName {
	return types.NamespacedName{Namespace: s.obj.Namespace, Name: s.obj.Name}
}

// close releases what the phases have opened.
func (s *scope) close() {
	if s.leave != nil {
		s.leave()
	}
}

// recheckIn has the HelmRelease looked at after the given time, or sooner.
func (s *scope) recheckIn(after time.Duration) {
	if s.recheck == 0 || after < s.recheck {
		s.recheck = after
	}
}

func (c *Controller) newScope(obj *helmv2.HelmRelease, patcher *reconcile.Patcher) *scope {
	return &scope{obj: obj, patcher: patcher, now: time.Now(), asked: mayHaveAsked(obj),
		memory: c.remember(types.NamespacedName{Namespace: obj.Namespace, Name: obj.Name}, obj.UID)}
}
