// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// A ground is where Weir runs while it is disturbed.
type ground interface {
	// name is what the page calls it, such as "pods".
	name() string
	// cluster is the one that Weir works on.
	cluster() *testkit.Cluster
	// host is the address on which servers listen that controllers reach.
	host() string
	// dir is for files, which are gone after close.
	dir() string
	// kill ends one replica of a controller without giving it a say, and does
	// something right after that. Another one comes up.
	kill(ctx context.Context, controller string, then func(context.Context) error) error
	// absent ends all replicas of a controller, does something while there is none,
	// and returns when others are on their way up.
	absent(ctx context.Context, controller string, meanwhile func(context.Context) error) error
	// loseDisk ends all replicas without giving them a say; the next ones find an
	// empty disk.
	loseDisk(ctx context.Context, controller string) error
	// stopAPI ends the API server until start is called.
	stopAPI(ctx context.Context) (start func(context.Context) error, err error)
	// cutAPI breaks all connections of the controllers to the API server, or of
	// everybody as far as they can be reached, and returns how many there were. New
	// ones may be made at once.
	cutAPI(ctx context.Context, everybody bool) (cut int, err error)
	// part keeps a controller from another one, or from the API server if that
	// is empty, until heal is called. Connections hang; they are not refused.
	part(ctx context.Context, controller, other string) (heal func(context.Context) error, err error)
	// freeze stops a controller in the midst of whatever it does until thaw is
	// called.
	freeze(ctx context.Context, controller string) (thaw func(context.Context) error, err error)
	// step has the controllers, or everything that runs on the cluster's node, see
	// a time of day that is ahead by so much, or behind, until heal is called.
	step(ctx context.Context, by time.Duration, everything bool) (heal func(context.Context) error, err error)
	// metrics is what a controller says about itself, in Prometheus' format.
	metrics(ctx context.Context, controller string) ([]byte, error)
	// lastWords are the ends of the logs.
	lastWords(ctx context.Context) string
	close(ctx context.Context) error
}

// The controllers.
const (
	sourceController    = "source-controller"
	kustomizeController = "kustomize-controller"
	helmController      = "helm-controller"
	quotaController     = "gpu-quota-controller"
	imageController     = "image-automation-controller"
)

// apiServer is the component of a cluster that everybody talks to.
const apiServer = "kube-apiserver"

func stopAPI(ctx context.Context, c *testkit.Cluster) (start func(context.Context) error, err error) {
	return func(ctx context.Context) error { return c.StartComponent(ctx, apiServer) }, c.StopComponent(ctx, apiServer)
}
