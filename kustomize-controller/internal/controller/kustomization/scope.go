// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/cluster"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/watch"
)

// scope is what the phases of one reconcile share.
type scope struct {
	obj     *kustomizev1.Kustomization
	patcher *reconcile.Patcher
	memory  *memory
	now     time.Time
	// applied is the revision that was applied last, when the reconcile began.
	applied string

	// target is the cluster to apply to, and moved says that what
	// status.inventory lists is on another one. Filled by connect.
	target *cluster.Cluster
	moved  bool
	// rules are those of spec.ignore. Filled by validate.
	rules *exemption.Rules
	// leave ends the work on the target cluster. Filled by connect.
	leave func()
	// engine applies to the target cluster and watches it. Filled by connect.
	engine *apply.Engine
	// set is what is applied there. Filled by connect.
	set *apply.Set
	// client acts as the tenant on the target cluster. Filled by connect.
	client *apply.Client
	// local acts as the tenant on the cluster of the Kustomization, where the
	// objects are that its spec names. It is client unless spec.kubeConfig
	// names another cluster. Filled by connect.
	local *apply.Client
	// drifted is how many objects were put back. Filled by correct.
	drift apply.Drift
	// source and artifact are what is applied. Filled by findSource.
	source   client.Object
	artifact *fluxmeta.Artifact
	// self is what the expressions of dependencies see of obj. Filled when
	// there are any.
	self map[string]any
	// variables to substitute, nil for none. Filled by decide.
	variables map[string]string
	// decrypter has the keys of spec.decryption, nil if it is not set. Filled by
	// decide.
	decrypter build.Decrypter
	// full says that this reconcile builds and applies. Filled by decide.
	full bool
	// written says that everything was applied and pruned. Filled by prune.
	written bool
	// tree is the unpacked artifact, or why there is none. Filled by skip or
	// fetch, closed at the end.
	tree    *artifact.Tree
	treeErr error
	// objects as built. Filled by build.
	objects []*unstructured.Unstructured
	// origins has for each object where it comes from. Filled by build.
	origins []string
	// reads is what the build has read. Filled by build.
	reads *build.Reads
	// before is the inventory that the reconcile found. Filled by build.
	before inventory.Inventory
	// after is the inventory of what was built. Filled by build.
	after inventory.Inventory
	// changes that were made. Filled by apply and prune.
	changes []apply.Change
	// swap are the objects that have to wait until what makes room for them is
	// gone, and change is what the revision changes of what is asked for. Filled by
	// apply.
	swap   []string
	change gate.Change
	// recheck is when to look again although all is well. Filled by
	// checkHealth; zero: at the interval.
	recheck time.Duration
	// patient goes on waiting for the other objects when one has failed.
	patient bool
	// explain adds to ailing objects what their pods complain of. Filled by
	// checkHealth.
	explain func([]apply.Ailing) []apply.Ailing
	// checks are the expressions of spec.healthCheckExprs. Filled by
	// compileChecks.
	checks *health.Checks
	// targets of spec.healthChecks. Filled by apply.
	targets []watch.Target
}

func (s *scope) owner() types.NamespacedName {
	return types.NamespacedName{Namespace: s.obj.Namespace, Name: s.obj.Name}
}

// close releases what the phases have opened.
func (s *scope) close() {
	if s.tree != nil {
		s.tree.Close()
	}
	if s.leave != nil {
		s.leave()
	}
}

func (c *Controller) newScope(obj *kustomizev1.Kustomization, patcher *reconcile.Patcher) *scope {
	s := &scope{obj: obj, patcher: patcher, now: time.Now(), applied: obj.Status.LastAppliedRevision, patient: c.Options.DisableFailFast}
	s.memory = c.remember(obj.UID)
	return s
}
