// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	// reachPatience is how long a controller that starts waits for an API server
	// that nobody reaches. A container that ends at once, again and again, is kept
	// from starting for minutes, also when the API server is long back. It is less
	// than the patience of a liveness probe, which nobody answers yet.
	reachPatience = time.Minute
	reachPause    = time.Second
)

// awaitServer returns when an API server answers, whatever it says.
func awaitServer(log logr.Logger, cfg *rest.Config, patience, pause time.Duration) error {
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return fmt.Errorf("make a client for the API server: %w", err)
	}
	end := time.Now().Add(patience)
	for first := true; ; first = false {
		_, err := client.ServerVersion()
		var answer apierrors.APIStatus // not an error type, so AsType does not do
		if err == nil || errors.As(err, &answer) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("reach the API server: %w", err)
		}
		if first {
			log.Info("wait for the API server", "error", err.Error())
		}
		<-time.After(pause)
	}
}
