// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gitops/weir/pkg/artifact"
)

// Figures are what a replica measures of its copies.
type Figures struct {
	artifacts *prometheus.GaugeVec
	downloads *prometheus.CounterVec
	bytes     prometheus.Counter
}

// NewFigures registers the metrics. A second one of the same process measures
// for itself, and the first one stays the one served.
func NewFigures(registry prometheus.Registerer) (*Figures, error) {
	f := &Figures{
		artifacts: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_source_mirror_artifacts", Help: "Artifacts of the leader that this standby has a verified copy of, and those that it failed to copy, by state: copied or missing.",
		}, []string{"state"}),
		downloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_source_mirror_downloads_total", Help: "Downloads from the leader, by result: stored, refused for a wrong digest or size, absent at the leader, or failed.",
		}, []string{"result"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_source_mirror_bytes_total", Help: "Bytes that were downloaded from the leader.",
		}),
	}
	for _, collector := range []prometheus.Collector{f.artifacts, f.downloads, f.bytes} {
		err := registry.Register(collector)
		if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !twice {
			return nil, fmt.Errorf("register the metrics of mirrored artifacts: %w", err)
		}
	}
	return f, nil
}

// hold sets how many artifacts there are.
func (f *Figures) hold(copied, missing int) {
	f.artifacts.WithLabelValues("copied").Set(float64(copied))
	f.artifacts.WithLabelValues("missing").Set(float64(missing))
}

// clear says nothing more of artifacts: those of a leader are its own.
func (f *Figures) clear() { f.artifacts.Reset() }

// downloaded counts one download.
func (f *Figures) downloaded(size int64, err error) {
	f.bytes.Add(float64(size))
	result := "failed"
	switch {
	case err == nil:
		result = "stored"
	case errors.Is(err, artifact.ErrDigest):
		result = "refused"
	case errors.Is(err, artifact.ErrNotFound):
		result = "absent"
	}
	f.downloads.WithLabelValues(result).Inc()
}
