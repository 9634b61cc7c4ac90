// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster gives objects that apply others the cluster to apply to:
// the one that the controller runs in, or the one that spec.kubeConfig names.
//
// A remote cluster is kept as long as anybody uses it. What identifies
// it is the content of the access data, so new credentials are another cluster
// to this package, and two objects with equal ones share its watches.
package cluster

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/tenant"
)

// Local is the name of the cluster that the controller runs in.
const Local = "local"

// Cluster is one API server, as one identity.
type Cluster struct {
	// Name is Local, or the address of the API server. It does not depend on
	// the identity.
	Name string
	// Engine applies and watches there, with that identity's own rights. That
	// of a remote cluster is there once Await has returned nil.
	Engine *apply.Engine
	// Tenants gives out clients that act as a service account there.
	Tenants *tenant.Clients
	// Gate asks there for devices. Nil: nothing is asked.
	Gate *gate.Client

	key  string
	acts bool  // the access data themselves impersonate somebody
	link *link // nil for the local cluster
	stop context.CancelFunc
}

// NewLocal returns the cluster that the controller runs in.
func NewLocal(engine *apply.Engine, tenants *tenant.Clients) *Cluster {
	return &Cluster{Name: Local, Engine: engine, Tenants: tenants}
}

// Remote reports whether it is another cluster than the one the controller runs in.
func (c *Cluster) Remote() bool { return c.link != nil }

// Key is the same as long as nothing has to be found out anew about the
// cluster. It is empty for the local one.
func (c *Cluster) Key() string { return c.key }

// Acts reports whether the access data impersonate somebody, so that no service
// account can be impersonated on top.
func (c *Cluster) Acts() bool { return c.acts }

// Await returns whether the cluster can be used, soon: the error is an
// UnreachableError, or ErrConnecting if it is not known yet. Users are woken
// when that changes.
func (c *Cluster) Await(ctx context.Context) error {
	if c.link == nil {
		return nil
	}
	return c.link.await(ctx)
}

// Verdict returns why the cluster cannot be used, or nil. It is for requests
// that went wrong: the reason may be that the cluster has gone.
func (c *Cluster) Verdict(ctx context.Context) error {
	if c.link == nil {
		return nil
	}
	return c.link.verdict(ctx)
}

// Epoch counts how often the cluster has come back.
func (c *Cluster) Epoch() int {
	if c.link == nil {
		return 0
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return c.link.epoch
}

// Bound returns a context that ends when the cluster goes, so that nobody waits
// for answers that will not come. The caller calls the function when it is
// done.
func (c *Cluster) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.link == nil {
		return ctx, func() {}
	}
	return c.link.bound(ctx)
}

// forget drops what the cluster's engine knows of an owner.
func (c *Cluster) forget(ctx context.Context, owner types.NamespacedName) error {
	if c.link != nil && c.Epoch() == 0 {
		return nil // there is no engine yet, or nobody has used it
	}
	return c.Engine.Forget(ctx, owner)
}

// User is an object that applies to a cluster, such as a Kustomization.
type User struct {
	UID   types.UID
	Owner types.NamespacedName
}

// Clusters are those that this process applies to.
type Clusters struct {
	local  *Cluster
	config Config
	crowd  *crowd

	ctx    context.Context //nolint:containedctx // the life of the clusters, not of a call
	mu     sync.Mutex
	byKey  map[string]*Cluster
	inUse  map[types.UID]use
	counts map[*Cluster]int
}

type use struct {
	owner   types.NamespacedName
	cluster *Cluster
}

// New returns Clusters that know the local one. Remote ones end with ctx.
func New(ctx context.Context, local *Cluster, config Config) *Clusters {
	return &Clusters{
		local: local, config: config, crowd: newCrowd(config.Workers), ctx: ctx,
		byKey: map[string]*Cluster{}, inUse: map[types.UID]use{}, counts: map[*Cluster]int{},
	}
}

// Local returns the cluster that the controller runs in.
func (c *Clusters) Local() *Cluster { return c.local }

// Leave ends the use of a cluster, which is stopped if it was the last. What
// was applied there stays.
func (c *Clusters) Leave(ctx context.Context, uid types.UID) error {
	c.mu.Lock()
	left, ok := c.inUse[uid]
	if !ok {
		c.mu.Unlock()
		return nil
	}
	delete(c.inUse, uid)
	last := c.release(left.cluster)
	c.mu.Unlock()
	err := left.cluster.forget(ctx, left.owner)
	if last {
		left.cluster.stop()
	}
	return err
}

// Gone ends the use of every object of that name: there is none.
func (c *Clusters) Gone(ctx context.Context, owner types.NamespacedName) error {
	var uids []types.UID
	c.mu.Lock()
	for uid, used := range c.inUse {
		if used.owner == owner {
			uids = append(uids, uid)
		}
	}
	c.mu.Unlock()
	for _, uid := range uids {
		if err := c.Leave(ctx, uid); err != nil {
			return err
		}
	}
	return nil
}

// release takes one use off a cluster and reports whether it was the last of a
// remote one. The caller holds the lock.
func (c *Clusters) release(cluster *Cluster) bool {
	c.counts[cluster]--
	if c.counts[cluster] > 0 {
		return false
	}
	delete(c.counts, cluster)
	if cluster == c.local {
		return false
	}
	delete(c.byKey, cluster.key)
	return true
}

// users returns who uses a cluster.
func (c *Clusters) users(cluster *Cluster) []types.NamespacedName {
	c.mu.Lock()
	defer c.mu.Unlock()
	var owners []types.NamespacedName
	for _, used := range c.inUse {
		if used.cluster == cluster {
			owners = append(owners, used.owner)
		}
	}
	return owners
}
