// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package helmchart turns a Helm chart into an artifact: one of a repository as
// it is, or packaged anew with other values, or one that is packaged from the
// files of a Git repository.
//
// Nothing is fetched or packaged while the source is the one that the stored
// chart was made of, or has the same version of the chart. Whatever fails, the
// last good chart stays.
package helmchart

import (
	"context"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
)

// Pointer is the name that leads to the chart, whatever its revision.
const Pointer = "latest.tar.gz"

// Controller reconciles HelmCharts.
type Controller struct {
	// Keeper keeps the artifacts.
	artifact.Keeper

	// Sources reads the objects that charts come from, with the indexes that
	// SetupWithManager makes.
	Sources client.Reader
	// Charts finds, fetches and packages charts.
	Charts *chart.Charts
	// Requeue is when to look again for a source that has no artifact.
	Requeue time.Duration
	// Packing is taken by those who package charts from files, all the time:
	// they hold what they read while they wait for dependencies. Those that
	// take charts from repositories have the slots of Keeper.
	Packing artifact.Slots
}

// scope is what the phases of one reconcile share.
type scope struct {
	*artifact.Source

	obj *sourcev1.HelmChart
	// settled, filled by validate: the artifact was made from this generation,
	// and nothing is wrong with it.
	settled bool
	// source, filled by find, is where the chart comes from.
	source sourcev1.Source
}

// Reconcile brings one HelmChart up to date.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &sourcev1.HelmChart{}
	status := &obj.Status
	return c.Keeper.Reconcile(ctx, req, artifact.Subject{
		Object: obj,
		Kind:   sourcev1.HelmChartKind,
		Status: artifact.Status{
			Artifact: &status.Artifact, ObservedGeneration: &status.ObservedGeneration, Request: &status.ReconcileRequestStatus,
			URL: &status.URL, Pointer: Pointer,
		},
		Suspended: func() bool { return obj.Spec.Suspend },
		Interval:  func() time.Duration { return obj.GetRequeueAfter() },
		Run: func(ctx context.Context, source *artifact.Source) error {
			return reconcile.Run(ctx, &scope{Source: source, obj: obj},
				c.validate,
				artifact.Announce,
				artifact.Check,
				c.find,
				c.build,
			)
		},
	})
}
