// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/spf13/pflag"

	"github.com/weir-gitops/weir/source-controller/internal/artifact"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
	"github.com/weir-gitops/weir/source-controller/internal/controller/helmchart"
	"github.com/weir-gitops/weir/source-controller/internal/controller/helmrepository"
)

// HelmOptions are the settings for charts; flags and defaults are Flux's.
type HelmOptions struct {
	Limits chart.Limits
	// CacheSize is of how many indexes lookups are kept, for CacheTTL after
	// the last one; what has expired is removed once in CachePurge.
	CacheSize            int
	CacheTTL, CachePurge time.Duration
}

// Bind defines the flags.
func (o *HelmOptions) Bind(fs *pflag.FlagSet) {
	fs.Int64Var(&o.Limits.Index, "helm-index-max-size", 50<<20, "How many bytes the index of a Helm repository may have.")
	fs.Int64Var(&o.Limits.Chart, "helm-chart-max-size", 10<<20, "How many bytes the archive of a Helm chart may have; its files may have ten times as many.")
	fs.Int64Var(&o.Limits.File, "helm-chart-file-max-size", 5<<20, "How many bytes one file of a Helm chart may have.")
	fs.IntVar(&o.CacheSize, "helm-cache-max-size", 0, "Of how many indexes of Helm repositories lookups are kept in memory; none by default.")
	fs.DurationVar(&o.CacheTTL, "helm-cache-ttl", 15*time.Minute, "How long the lookups in an index are kept after the last one.")
	fs.DurationVar(&o.CachePurge, "helm-cache-purge-interval", time.Minute, "How often lookups that are past their time are removed.")
}

// Validate reports every setting that cannot work.
func (o *HelmOptions) Validate() error {
	var errs []error
	for flag, value := range map[string]int64{
		"--helm-index-max-size":      o.Limits.Index,
		"--helm-chart-max-size":      o.Limits.Chart,
		"--helm-chart-file-max-size": o.Limits.File,
	} {
		if value < 1 {
			errs = append(errs, fmt.Errorf("%s must be at least 1, got %d", flag, value))
		}
	}
	return errors.Join(errs...)
}

// setupHelm adds the controllers of HelmRepositories and HelmCharts.
func setupHelm(ctx context.Context, p *parts) error {
	o := &p.options.Helm
	charts := chart.New(chart.Options{
		Dialer: p.dialer, Registry: p.registry, Limits: o.Limits,
		Cache: chart.NewCache(o.CacheSize, o.CacheTTL, o.CachePurge),
	})
	repositories := &helmrepository.Controller{Keeper: p.keeper(&sourcev1.HelmRepository{}), Charts: charts}
	if err := repositories.SetupWithManager(p.app.Manager, p.patientOptions()); err != nil {
		return err
	}
	hc := &helmchart.Controller{
		Keeper: p.keeper(&sourcev1.HelmChart{}), Sources: p.app.Manager.GetClient(), Charts: charts, Requeue: p.options.RequeueDependency,
		Packing: artifact.NewSlots(p.options.Concurrent),
	}
	return hc.SetupWithManager(ctx, p.app.Manager, p.patientOptions())
}
