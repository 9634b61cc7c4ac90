// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Persistent makes a reflector come back soon after the API server was away.
// Left to itself it waits for up to a minute after a few failures, and all that
// time nobody notices what changes. Errors that the reflector has an answer to,
// such as an expired resource version, go through.
func Persistent(source cache.ListerWatcher) cache.ListerWatcher {
	with := cache.ToListerWatcherWithContext(source)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (list runtime.Object, err error) {
			err = persist(ctx, func() error {
				list, err = with.ListWithContext(ctx, options)
				return err
			})
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (events apiwatch.Interface, err error) {
			err = persist(ctx, func() error {
				events, err = with.WatchWithContext(ctx, options)
				return err
			})
			return events, err
		},
	}
}

// Backoff is how long to wait before a watch that failed is begun again: 0.2
// to 5 seconds, and up to half as much on top. A reflector that is given it
// comes back as soon after a watch was cut or had expired as Persistent does
// when a request fails; on its own it would wait for up to a minute.
func Backoff() *wait.Backoff {
	return &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Steps: 10, Cap: 5 * time.Second, Jitter: 0.5}
}

// persist repeats a request until the API server is there to answer it.
func persist(ctx context.Context, request func() error) error {
	backoff := Backoff()
	for {
		err := request()
		if err == nil || !away(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(backoff.Step()):
		}
	}
}

// away reports whether an error says that the API server is down, or only just
// starting: then it does not know its own roles yet.
func away(err error) bool {
	var network net.Error
	return errors.As(err, &network) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err)
}
