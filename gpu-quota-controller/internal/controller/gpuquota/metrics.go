// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/recount"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// Figures are what quotas hold, as metrics. They are read at each scrape.
type Figures struct {
	holdings *holdings.Store
	state    func() *view.State

	mu       sync.Mutex
	balances map[string]map[string]ledger.Balance

	hard, used, reserved, available, unselected *prometheus.Desc
}

var _ prometheus.Collector = (*Figures)(nil)

// NewFigures returns Figures, to be registered. What pods hold in namespaces
// that no quota selects comes from the holdings.
func NewFigures(store *holdings.Store, state func() *view.State) *Figures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gpuquota_"+name, help, labels, nil)
	}
	return &Figures{
		holdings: store, state: state, balances: map[string]map[string]ledger.Balance{},
		hard:       desc("hard", "The limit of a quota, in units of the device.", "quota", "device"),
		used:       desc("used", "What pods of a quota and of those below it hold.", "quota", "device"),
		reserved:   desc("reserved", "What a quota and those below it have promised and do not hold yet.", "quota", "device"),
		available:  desc("available", "What is left in a quota and in all above it.", "quota", "device"),
		unselected: desc("unselected_used", "What pods hold in namespaces that no quota selects.", "namespace", "device"),
	}
}

// Describe implements prometheus.Collector.
func (f *Figures) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{f.hard, f.used, f.reserved, f.available, f.unselected} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (f *Figures) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for quota, devices := range f.balances {
		for device, b := range devices {
			gauge(f.used, b.Used.Float(), quota, device)
			gauge(f.reserved, b.Reserved.Float(), quota, device)
			if b.Hard != nil {
				gauge(f.hard, b.Hard.Float(), quota, device)
			}
			if b.Available != nil {
				gauge(f.available, b.Available.Float(), quota, device)
			}
		}
	}
	if state := f.state(); state != nil {
		for namespace, amounts := range recount.Unselected(f.holdings, state) {
			for device, amount := range amounts {
				gauge(f.unselected, amount.Float(), namespace, device)
			}
		}
	}
}

func (f *Figures) set(quota string, balances map[string]ledger.Balance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.balances[quota] = balances
}

func (f *Figures) forget(quota string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.balances, quota)
}
