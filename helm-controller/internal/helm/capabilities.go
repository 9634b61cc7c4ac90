// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	// freshFor is how long what a cluster can do is taken for true. It is short,
	// since somebody may have just added a kind that a template asks for, and long
	// enough for a crowd of releases to share one look.
	freshFor = time.Second
	// maxClusters bounds how many clusters are remembered.
	maxClusters = 64
)

// capabilities remembers for each cluster what templates see as .Capabilities.
// A cluster is told by its mapper, of which it has one.
type capabilities struct {
	mu       sync.Mutex
	clusters map[meta.RESTMapper]*clusterCapabilities
}

type clusterCapabilities struct {
	mu    sync.Mutex // held while asking, so that a crowd asks once
	known *chartutil.Capabilities
	at    time.Time
}

func newCapabilities() *capabilities {
	return &capabilities{clusters: map[meta.RESTMapper]*clusterCapabilities{}}
}

func (c *capabilities) of(mapper meta.RESTMapper) *clusterCapabilities {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.clusters[mapper]
	if known == nil {
		if len(c.clusters) >= maxClusters {
			clear(c.clusters) // what is true is found out again
		}
		known = &clusterCapabilities{}
		c.clusters[mapper] = known
	}
	return known
}

// get returns what the cluster can do, as somebody who may be asked by anybody
// with an account there. The result is the caller's.
func (c *capabilities) get(mapper meta.RESTMapper, config *rest.Config) (*chartutil.Capabilities, error) {
	cluster := c.of(mapper)
	cluster.mu.Lock()
	defer cluster.mu.Unlock()
	if cluster.known == nil || time.Since(cluster.at) > freshFor {
		known, err := discover(config)
		if err != nil {
			return nil, err
		}
		cluster.known, cluster.at = known, time.Now()
	}
	own := *cluster.known
	own.APIVersions = slices.Clip(own.APIVersions) // appending makes a copy
	return &own, nil
}

// forget has the next action look again: there may be new kinds.
func (c *capabilities) forget(mapper meta.RESTMapper) {
	cluster := c.of(mapper)
	cluster.mu.Lock()
	defer cluster.mu.Unlock()
	cluster.known = nil
}

func discover(config *rest.Config) (*chartutil.Capabilities, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for its kinds: %w", err)
	}
	version, err := client.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for its version: %w", err)
	}
	// Kinds of an aggregated API that is away are missing, and no error.
	versions, err := action.GetVersionSet(client)
	if err != nil {
		return nil, fmt.Errorf("ask the cluster for its kinds: %w", err)
	}
	slices.Sort(versions)
	return &chartutil.Capabilities{
		APIVersions: versions,
		KubeVersion: chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}, nil
}
