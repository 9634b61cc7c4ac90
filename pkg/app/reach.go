// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	// reachPause is the time between two looks for an API server that is away.
	reachPause = time.Second
	// reachPatience is how long one look waits for an answer.
	reachPatience = 5 * time.Second
)

// awaitServer returns when an API server answers, whatever it says, if it knows us: a
// token that it does not take, as after a clock was off, is replaced by the kubelet
// where we find it. It waits for as long as it takes: a container that ends at once,
// again and again, is kept from starting for minutes, also when all is long well.
// Errors are ErrStopped if ctx ended before, and what is wrong with the config.
func awaitServer(ctx context.Context, log logr.Logger, cfg *rest.Config, pause time.Duration) error {
	quick := rest.CopyConfig(cfg)
	quick.Timeout = reachPatience
	client, err := discovery.NewDiscoveryClientForConfig(quick)
	if err != nil {
		return fmt.Errorf("make a client for the API server: %w", err)
	}
	for said := ""; ; {
		_, err := client.ServerVersionWithContext(ctx)
		var answer apierrors.APIStatus // not an error type, so AsType does not do
		if err == nil || errors.As(err, &answer) && !apierrors.IsUnauthorized(err) {
			return nil
		}
		if now := err.Error(); now != said && ctx.Err() == nil {
			said = now
			log.Info("wait for the API server", "error", said)
		}
		select {
		case <-ctx.Done():
			return ErrStopped
		case <-time.After(pause):
		}
	}
}
