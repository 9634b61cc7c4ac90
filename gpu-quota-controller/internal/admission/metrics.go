// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Point is the value of the label point of denials of this package.
const Point = "admission"

// Metrics of the answers. Register it as a collector.
type Metrics struct {
	duration *prometheus.HistogramVec
	denials  *prometheus.CounterVec
	inFlight prometheus.GaugeFunc
	now      atomic.Int64
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns metrics at zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gpuquota_admission_duration_seconds",
			Help:    "How long reviews of pods took, by decision: allowed, warned, denied, retry, skipped or invalid.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"decision"}),
		denials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gpuquota_denials_total",
			Help: "Refusals by the quota and the device class whose limit was in the way, and the point: admission or gate.",
		}, []string{"quota", "device", "point"}),
	}
	m.inFlight = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gpuquota_admission_in_flight",
		Help: "Reviews of pods that are being answered.",
	}, func() float64 { return float64(m.now.Load()) })
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.duration.Describe(ch)
	m.denials.Describe(ch)
	m.inFlight.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.duration.Collect(ch)
	m.denials.Collect(ch)
	m.inFlight.Collect(ch)
}

func (m *Metrics) enter() int64 { return m.now.Add(1) }

func (m *Metrics) leave() { m.now.Add(-1) }

func (m *Metrics) observe(decision string, began time.Time) {
	m.duration.WithLabelValues(decision).Observe(time.Since(began).Seconds())
}

// Denied counts a refusal, at this point or another one.
func (m *Metrics) Denied(quota, device, point string) {
	m.denials.WithLabelValues(quota, device, point).Inc()
}
