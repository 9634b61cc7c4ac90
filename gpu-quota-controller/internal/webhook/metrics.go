// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
)

var _ prometheus.Collector = (*Certificates)(nil)

// Describe implements prometheus.Collector.
func (c *Certificates) Describe(ch chan<- *prometheus.Desc) { ch <- expiry() }

// Collect implements prometheus.Collector: until there is a certificate, there
// is nothing to tell of it.
func (c *Certificates) Collect(ch chan<- prometheus.Metric) {
	current := c.current.Load()
	if current == nil || current.pair.Leaf == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(expiry(), prometheus.GaugeValue, float64(current.pair.Leaf.NotAfter.Unix()))
}

func expiry() *prometheus.Desc {
	return prometheus.NewDesc("gpuquota_webhook_certificate_expiry_timestamp_seconds", "When the certificate ends that this replica shows to API servers.", nil, nil)
}
