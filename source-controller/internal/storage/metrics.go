// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What is used is counted at most so often, and takes at most this share of the
// time.
const (
	countPause = time.Minute
	countShare = 100
)

// Metrics tell how much room there is: of the file system at each scrape, and
// of what a volume may hold once a minute at most.
type Metrics struct {
	path                         string
	limit                        int64
	size, available, used, bound *prometheus.Desc

	mu    sync.Mutex
	bytes int64
	next  time.Time // when to count again
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics returns the metrics of a directory, of the file system that it is
// on, and of the bytes that may be in it, 0 if nothing limits them.
func NewMetrics(path string, limit int64) *Metrics {
	return &Metrics{
		path: path, limit: limit,
		size:      prometheus.NewDesc("weir_artifact_storage_size_bytes", "Size of the file system that artifacts are on.", nil, nil),
		available: prometheus.NewDesc("weir_artifact_storage_available_bytes", "How much of it is left to this process.", nil, nil),
		used:      prometheus.NewDesc("weir_artifact_storage_used_bytes", "What the files below --storage-path take, counted once a minute at most.", nil, nil),
		bound:     prometheus.NewDesc("weir_artifact_storage_limit_bytes", "What they may take, as --storage-size-limit says, and 0 if nothing limits them.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.size
	ch <- m.available
	ch <- m.used
	ch <- m.bound
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	var disk syscall.Statfs_t
	if syscall.Statfs(m.path, &disk) != nil {
		return // whoever is to write there says so
	}
	block := float64(disk.Bsize)
	for desc, value := range map[*prometheus.Desc]float64{
		m.size: float64(disk.Blocks) * block, m.available: float64(disk.Bavail) * block,
		m.used: float64(m.count(time.Now())), m.bound: float64(m.limit),
	} {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
}

// count returns what the files take, as the kubelet counts it: in blocks. That
// may be as old as countPause, or countShare times what a count takes.
func (m *Metrics) count(now time.Time) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.next) {
		return m.bytes
	}
	began := time.Now()
	m.bytes = occupied(m.path)
	m.next = now.Add(max(countPause, countShare*time.Since(began)))
	return m.bytes
}

// occupied is what a directory takes. Files that go meanwhile take nothing.
func occupied(dir string) (bytes int64) {
	const unit = 512 // of st_blocks, whatever the file system's blocks are
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil {
			bytes += unit * blocks(entry)
		}
		return nil
	})
	return bytes
}

// blocks is how many units a file or directory takes, 0 if it is gone.
func blocks(entry fs.DirEntry) int64 {
	if info, err := entry.Info(); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			return stat.Blocks
		}
	}
	return 0
}
