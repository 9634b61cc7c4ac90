// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"github.com/prometheus/client_golang/prometheus"

	wire "github.com/weir-gitops/weir/pkg/gate"
)

// Point is the value of the label point of denials of this package.
const Point = "gate"

// Metrics of the answers. Register it as a collector.
type Metrics struct {
	verdicts *prometheus.CounterVec
	waiting  prometheus.Gauge
	duration prometheus.Histogram
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero.
func NewMetrics() *Metrics {
	return &Metrics{
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gpuquota_gate_verdicts_total",
			Help: "Verdicts about revisions that ask for more devices: Granted, Waiting or NeverFits.",
		}, []string{"answer"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gpuquota_gate_waiting",
			Help: "Revisions that wait for room.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gpuquota_gate_pass_duration_seconds",
			Help:    "How long one look at all requests took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.verdicts.Describe(ch)
	m.waiting.Describe(ch)
	m.duration.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.verdicts.Collect(ch)
	m.waiting.Collect(ch)
	m.duration.Collect(ch)
}

func (m *Metrics) judged(answer wire.Answer) { m.verdicts.WithLabelValues(string(answer)).Inc() }
