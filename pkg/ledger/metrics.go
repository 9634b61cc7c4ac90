// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is told what a Store does. Its methods are called from several
// goroutines.
type Metrics interface {
	// Conflict: somebody else wrote the ledger of the root first.
	Conflict(root string)
	// Wrote: the ledger was written, with so many bytes and so many pods that were admitted by it.
	Wrote(root string, bytes, pods int)
	// Waited: a claim was answered, or not if outcome is empty, after so long.
	Waited(outcome Outcome, wait time.Duration)
}

// Collectors are Metrics for Prometheus.
type Collectors struct {
	conflicts, writes *prometheus.CounterVec
	bytes             *prometheus.GaugeVec
	batch             prometheus.Histogram
	wait              *prometheus.HistogramVec
}

// NewCollectors returns collectors that are not registered yet.
func NewCollectors() *Collectors {
	return &Collectors{
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gpuquota_ledger_cas_conflicts_total",
			Help: "Writes of the ledger of a root quota that were repeated, since another writer was first.",
		}, []string{"root"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gpuquota_ledger_writes_total",
			Help: "Writes of the ledger of a root quota by this process.",
		}, []string{"root"}),
		bytes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gpuquota_ledger_size_bytes",
			Help: "Size of the ledger of a root quota when this process last wrote it; it cannot grow beyond 32768.",
		}, []string{"root"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gpuquota_ledger_batch_pods",
			Help:    "Pods that were admitted by one write of a ledger.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 8),
		}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gpuquota_ledger_wait_seconds",
			Help:    "How long a pod waited for the answer of a ledger.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"outcome"}),
	}
}

// Describe implements prometheus.Collector.
func (c *Collectors) Describe(ch chan<- *prometheus.Desc) {
	for _, collector := range c.all() {
		collector.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c *Collectors) Collect(ch chan<- prometheus.Metric) {
	for _, collector := range c.all() {
		collector.Collect(ch)
	}
}

func (c *Collectors) all() []prometheus.Collector {
	return []prometheus.Collector{c.conflicts, c.writes, c.bytes, c.batch, c.wait}
}

// Conflict implements Metrics.
func (c *Collectors) Conflict(root string) { c.conflicts.WithLabelValues(root).Inc() }

// Wrote implements Metrics.
func (c *Collectors) Wrote(root string, bytes, pods int) {
	c.writes.WithLabelValues(root).Inc()
	c.conflicts.WithLabelValues(root) // at 0: a counter that begins with its first conflict shows no rate of it
	c.bytes.WithLabelValues(root).Set(float64(bytes))
	if pods > 0 {
		c.batch.Observe(float64(pods))
	}
}

// Waited implements Metrics.
func (c *Collectors) Waited(outcome Outcome, wait time.Duration) {
	if outcome == "" {
		outcome = "Unanswered"
	}
	c.wait.WithLabelValues(string(outcome)).Observe(wait.Seconds())
}

type noMetrics struct{}

func (noMetrics) Conflict(string)               {}
func (noMetrics) Wrote(string, int, int)        {}
func (noMetrics) Waited(Outcome, time.Duration) {}
