// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"container/list"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sync/singleflight"
	"helm.sh/helm/v3/pkg/chart/loader"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/artifact"
)

// Charts loads charts and keeps them parsed, once for each digest. What it
// keeps is bounded in bytes and can be lost at any time.
//
// A source gets a chart only if the same source object, told by its UID, has
// itself given the artifact: a digest alone, which may be known to others, opens
// nothing.
type Charts struct {
	limit   int64
	fetcher *artifact.Fetcher
	flights singleflight.Group
	parsing sync.Mutex // unpacking takes memory: one at a time

	mu    sync.Mutex
	kept  map[string]*keptChart
	used  *list.List // of *keptChart, the least recently used first
	bytes int64
	count uint64 // of the charts parsed
}

type keptChart struct {
	key      string
	chart    *Chart
	entitled map[types.UID]struct{}
	place    *list.Element
}

// NewCharts returns Charts that keep at most limit bytes of files, and the chart
// used last whatever its size.
func NewCharts(limit int64, fetcher *artifact.Fetcher) *Charts {
	return &Charts{limit: limit, fetcher: fetcher, kept: map[string]*keptChart{}, used: list.New()}
}

// Open returns the chart in the artifact of a source, downloading it if this
// source's is not at hand. Errors are those of artifact.Fetcher, or say why the
// artifact is no chart.
func (c *Charts) Open(ctx context.Context, source types.UID, a *meta.Artifact) (*Chart, error) {
	if a == nil {
		return nil, fmt.Errorf("load the chart: the source has no artifact")
	}
	if chart := c.acquire(source, chartKey(source, a.Digest)); chart != nil {
		return chart, nil
	}
	loaded, err, _ := c.flights.Do(string(source)+"/"+a.Digest, func() (any, error) {
		return c.load(ctx, source, a)
	})
	if err != nil {
		return nil, err
	}
	chart, ok := loaded.(*Chart)
	if !ok {
		return nil, fmt.Errorf("load the chart of artifact %s: it is not there", a.Path)
	}
	return chart, nil
}

// chartKey is what a chart is shared by: the digest of its artifact, or for one
// that does not stand for its content, the source as well.
func chartKey(source types.UID, digest string) string {
	if artifact.Shareable(digest) {
		return digest
	}
	return string(source) + "/" + digest
}

// acquire returns what is there for an entitled source, or nil.
func (c *Charts) acquire(source types.UID, key string) *Chart {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept[key]
	if kept == nil {
		return nil
	}
	if _, ok := kept.entitled[source]; !ok {
		return nil
	}
	c.used.MoveToBack(kept.place)
	return kept.chart
}

// load downloads for a source, and parses unless somebody has before.
func (c *Charts) load(ctx context.Context, source types.UID, a *meta.Artifact) (*Chart, error) {
	var packed bytes.Buffer
	if err := c.fetcher.Fetch(ctx, a, &packed); err != nil {
		return nil, err
	}
	c.parsing.Lock()
	defer c.parsing.Unlock()
	key := chartKey(source, a.Digest)
	if chart := c.entitle(source, key); chart != nil {
		return chart, nil
	}
	parsed, err := loader.LoadArchive(&packed)
	if err != nil {
		return nil, fmt.Errorf("load the chart of artifact %s: %s", a.Path, strings.TrimSpace(err.Error()))
	}
	c.count++
	chart := newChart(parsed, a.Digest, c.count)
	c.keep(&keptChart{key: key, chart: chart, entitled: map[types.UID]struct{}{source: {}}})
	return chart, nil
}

func (c *Charts) entitle(source types.UID, key string) *Chart {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.kept[key]
	if kept == nil {
		return nil
	}
	kept.entitled[source] = struct{}{}
	c.used.MoveToBack(kept.place)
	return kept.chart
}

// keep adds a chart, and drops those that were not used for longest until the
// rest fits.
func (c *Charts) keep(added *keptChart) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[added.key] = added
	added.place = c.used.PushBack(added)
	c.bytes += added.chart.size
	for c.bytes > c.limit {
		oldest, ok := c.used.Front().Value.(*keptChart)
		if !ok || oldest == added {
			return
		}
		c.used.Remove(oldest.place)
		delete(c.kept, oldest.key)
		c.bytes -= oldest.chart.size
	}
}
