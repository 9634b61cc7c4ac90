// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the recount, by the quota at the root of a tree.
type Metrics struct {
	open, drift    *prometheus.GaugeVec
	expiredCounter *prometheus.CounterVec
}

// NewMetrics returns the metrics, which are to be registered by Collectors.
func NewMetrics() *Metrics {
	label := []string{"root"}
	return &Metrics{
		open:           prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gpuquota_reservations_open", Help: "Reservations of pods that were admitted and are not counted yet."}, label),
		drift:          prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gpuquota_recount_drift", Help: "Units by which the ledger differed from what the last recount had written. Anything but 0 was written by somebody else."}, label),
		expiredCounter: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gpuquota_reservations_expired_total", Help: "Reservations that were dropped since their pods were never stored."}, label),
	}
}

// Collectors returns what is to be registered.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.open, m.drift, m.expiredCounter}
}

func (m *Metrics) counted(root string, latest *Latest, drift float64) {
	m.open.WithLabelValues(root).Set(float64(len(latest.Record.Reservations)))
	m.drift.WithLabelValues(root).Set(drift)
	m.expiredCounter.WithLabelValues(root).Add(0)
}

func (m *Metrics) expired(root string) { m.expiredCounter.WithLabelValues(root).Inc() }

func (m *Metrics) forget(root string) {
	for _, vec := range []interface {
		DeleteLabelValues(values ...string) bool
	}{m.open, m.drift, m.expiredCounter} {
		vec.DeleteLabelValues(root)
	}
}
