// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-gitops/weir/hack/bench/plot"
)

// sizes are the numbers of Kustomizations by which growth is measured.
var sizes = []int{100, 300, 1000, 3000}

// picture is where the plot of the growth goes.
var picture = filepath.Join("docs", "benchmarks.svg")

// measureGrowth measures how time, CPU and memory grow with the number of
// Kustomizations, and draws it. What another part has measured in the same run
// is not measured again.
func measureGrowth(ctx context.Context, out results) error {
	for _, n := range sizes {
		key := fmt.Sprintf("ks_%d", n)
		if err := measureBare(ctx, shared(n), key, out); err != nil {
			return err
		}
		if _, done := out[key+"_seconds"]; done {
			out.ratio(key, key)
			continue
		}
		err := onController(ctx, func(r *rig, c *controller) error { return measureReady(ctx, r, c, shared(n), key, out) })
		if err != nil {
			return err
		}
	}
	return os.WriteFile(picture, growthPlot(out).SVG(), 0o600)
}

// growthPlot puts the figures of all sizes into one picture.
func growthPlot(out results) plot.Plot {
	p := plot.Plot{
		Title: "From the first create to the last Kustomization ready",
		X:     "Kustomizations (4 objects each)",
		Y:     "seconds",
	}
	for _, line := range []struct{ name, suffix string }{
		{"bare client", "_bare_seconds"},
		{"kustomize-controller", "_seconds"},
		{"its CPU seconds", "_cpu_seconds"},
	} {
		series := plot.Series{Name: line.name}
		for _, n := range sizes {
			series.Points = append(series.Points, plot.Point{X: float64(n), Y: out[fmt.Sprintf("ks_%d%s", n, line.suffix)]})
		}
		p.Series = append(p.Series, series)
	}
	return p
}
