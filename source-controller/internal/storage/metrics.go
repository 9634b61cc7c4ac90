// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tell how much room there is, read at each scrape.
type Metrics struct {
	path            string
	size, available *prometheus.Desc
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns the metrics of the file system that a directory is on.
func NewMetrics(path string) *Metrics {
	return &Metrics{
		path:      path,
		size:      prometheus.NewDesc("weir_artifact_storage_size_bytes", "Size of the file system that artifacts are on.", nil, nil),
		available: prometheus.NewDesc("weir_artifact_storage_available_bytes", "How much of it is left to this process.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.size
	ch <- m.available
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	var fs syscall.Statfs_t
	if syscall.Statfs(m.path, &fs) != nil {
		return // whoever is to write there says so
	}
	block := float64(fs.Bsize)
	ch <- prometheus.MustNewConstMetric(m.size, prometheus.GaugeValue, float64(fs.Blocks)*block)
	ch <- prometheus.MustNewConstMetric(m.available, prometheus.GaugeValue, float64(fs.Bavail)*block)
}
