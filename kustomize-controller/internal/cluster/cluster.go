// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster gives Kustomizations the cluster that they are applied to:
// the one that the controller runs in, or the one that spec.kubeConfig names.
package cluster

import (
	"github.com/weir-gitops/weir/kustomize-controller/internal/tenant"
	"github.com/weir-gitops/weir/pkg/apply"
)

// Cluster is one API server, as one identity.
type Cluster struct {
	// Engine applies and watches there, with that identity's own rights.
	Engine *apply.Engine
	// Tenants gives out clients that act as a service account there.
	Tenants *tenant.Clients
}

// Clusters are the clusters that this process applies to.
type Clusters struct {
	// Local is the one that holds the Kustomizations.
	Local *Cluster
}
