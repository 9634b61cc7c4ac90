// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// clockPoll is how often the API server is asked for its resource version.
const clockPoll = 5 * time.Second

// clock watches over the one thing that no watch survives: an API server whose
// resource versions go backwards, because its etcd was restored from a backup.
// Every cache of the process then waits for versions that come hours later, or
// never, and looks healthy. The process ends instead and is started again with
// empty caches.
type clock struct {
	list func(context.Context) (*coordinationv1.LeaseList, error)
}

var (
	_ manager.Runnable               = (*clock)(nil)
	_ manager.LeaderElectionRunnable = (*clock)(nil)
)

// NeedLeaderElection is false: standbys have caches as well.
func (c *clock) NeedLeaderElection() bool { return false }

// Start returns an error once the resource version has gone backwards, and nil
// when ctx ends.
func (c *clock) Start(ctx context.Context) error {
	ticker := time.NewTicker(clockPoll)
	defer ticker.Stop()
	latest := ""
	for {
		if list, err := c.list(ctx); err == nil {
			if wentBack(latest, list.ResourceVersion) {
				return begin(fmt.Errorf("the API server is at resource version %s and was at %s before: it was restored from a backup, and every cache has to begin anew", list.ResourceVersion, latest))
			}
			latest = list.ResourceVersion
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func wentBack(before, now string) bool {
	order, err := resourceversion.CompareResourceVersion(now, before)
	return before != "" && err == nil && order < 0
}
