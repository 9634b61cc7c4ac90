// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command plot draws the main panels of the dashboards from what a real
// Prometheus has scraped while the platform went through the rehearsal, into
// docs/observability.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/weir-gitops/weir/hack/bench/plot"
	"github.com/weir-gitops/weir/hack/dashboards"
	"github.com/weir-gitops/weir/hack/dashboards/rehearsal"
	"github.com/weir-gitops/weir/hack/platform"
)

// pictures are the panels that are drawn, by the names of their files.
var pictures = map[string]struct{ dashboard, panel, unit string }{
	"commit-to-ready": {"delivery.json", "From commit to ready", "seconds"},
	"failures":        {"delivery.json", "Failures", "in 15 seconds"},
	"drift":           {"delivery.json", "Changes by hand that were put back", "in 15 seconds"},
	"gpus":            {"gpu.json", "Used, reserved and free", "GPUs"},
	"denials":         {"gpu.json", "Denials", "in 15 seconds"},
}

// quota is the one whose GPUs are drawn: all would be too many lines.
const quota = "team-serving"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, filepath.Join("docs", "observability"))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

// run draws every picture into a directory of the checkout.
func run(ctx context.Context, dir string) (err error) {
	r, err := rehearsal.Run(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Platform.Stop(context.WithoutCancel(ctx))) }()
	if err := os.MkdirAll(dir, 0o755); err != nil { //#nosec G301 -- as the rest of the checkout
		return fmt.Errorf("make a directory for the pictures: %w", err)
	}
	for name, picture := range pictures {
		d, err := dashboards.Read(picture.dashboard)
		if err != nil {
			return err
		}
		panel, err := d.Panel(picture.panel)
		if err != nil {
			return err
		}
		p, err := draw(ctx, r, d, panel)
		if err != nil {
			return err
		}
		p.Y = picture.unit
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), p.SVG(), 0o644); err != nil { //#nosec G306 -- everybody may read it
			return fmt.Errorf("write a picture: %w", err)
		}
	}
	return nil
}

// draw asks for what a panel shows.
func draw(ctx context.Context, r *rehearsal.Rehearsal, d *dashboards.Dashboard, panel *dashboards.Panel) (*plot.Plot, error) {
	p := &plot.Plot{Title: panel.Title, X: "seconds since the controllers were ready", Linear: true}
	for _, target := range panel.Targets {
		found, err := r.Prometheus.Range(ctx, d.Fill(strings.ReplaceAll(target.Expr, "$quota", quota)), r.Began, r.Ended)
		if err != nil {
			return nil, fmt.Errorf("draw %s: %w", panel.Title, err)
		}
		for _, series := range found {
			p.Series = append(p.Series, plot.Series{Name: legend(target.LegendFormat, series.Labels), Points: points(r, series.Points)})
		}
	}
	return p, nil
}

func points(r *rehearsal.Rehearsal, from []platform.Point) []plot.Point {
	all := make([]plot.Point, len(from))
	for i, point := range from {
		all[i] = plot.Point{X: max(point.At.Sub(r.Began).Seconds(), 0), Y: point.Value}
	}
	return all
}

var label = regexp.MustCompile(`\{\{(\w+)\}\}`)

// legend fills the labels of a series into its name.
func legend(format string, labels map[string]string) string {
	return label.ReplaceAllStringFunc(format, func(found string) string { return labels[strings.Trim(found, "{}")] })
}
