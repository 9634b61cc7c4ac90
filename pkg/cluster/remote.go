// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/tenant"
)

// maxRemote bounds the remote clusters of a process: each one costs
// connections, watches and memory.
const maxRemote = 1000

// goneGrace is how long a cluster may be away before its users say so.
const goneGrace = 10 * time.Second

// Config of Clusters.
type Config struct {
	// Reader reads Secrets and ConfigMaps, past any cache.
	Reader client.Reader
	// Accounts issues tokens of local service accounts.
	Accounts corev1client.ServiceAccountsGetter
	// DefaultAccount is the service account of the user's namespace
	// whose token is used if a ConfigMap names none. Empty: none.
	DefaultAccount string
	// Insecure is what a kubeconfig may ask for.
	Insecure Insecure
	// Dial connects to the addresses that access data name.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Limit bounds the requests that one remote cluster may have under way.
	Limit func(*rest.Config)
	// Engine makes the engine of a cluster; its watches end with ctx.
	Engine func(ctx context.Context, watches dynamic.Interface, mapper apimeta.RESTMapper) *apply.Engine
	// Gate makes what asks for devices on a cluster; its watch ends with ctx.
	// Nil: nothing is asked.
	Gate func(ctx context.Context, client dynamic.Interface, mapper apimeta.RESTMapper) *gate.Client
	// Workers is how many objects are reconciled at a time.
	Workers int
	// Manager owns the fields of what is applied.
	Manager string
	// UserAgent of all requests.
	UserAgent string
	// Wake brings a user back after the given time. It must not
	// block.
	Wake func(owner types.NamespacedName, after time.Duration)
}

// Use returns the cluster that spec.kubeConfig refers to, or the local one for
// nil, and counts the user as one of it and of no other. It reads the access
// data each time. Without usable ones the user has no cluster any more, and the
// error says why.
func (c *Clusters) Use(ctx context.Context, user User, ref *meta.KubeConfigReference) (*Cluster, error) {
	if ref == nil {
		_, err := c.join(ctx, user, nil)
		return c.local, err
	}
	found, err := c.read(ctx, user.Owner.Namespace, ref)
	if _, temporary := errors.AsType[*temporaryError](err); temporary {
		return nil, err
	}
	if err != nil {
		return nil, errors.Join(err, c.Leave(ctx, user.UID))
	}
	return c.join(ctx, user, found)
}

// join makes a user one of the cluster with the given access, nil for the
// local one.
func (c *Clusters) join(ctx context.Context, user User, to *access) (*Cluster, error) {
	c.mu.Lock()
	cluster := c.local
	if to != nil {
		cluster = c.byKey[to.key]
	}
	before, had := c.inUse[user.UID]
	if had && before.cluster == cluster {
		c.mu.Unlock()
		return cluster, nil
	}
	c.mu.Unlock()
	if had {
		if err := c.Leave(ctx, user.UID); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if to != nil {
		var err error
		if cluster, err = c.remote(to); err != nil { //nolint:contextcheck // a cluster outlives the call that makes it
			return nil, err
		}
	}
	c.inUse[user.UID] = use{owner: user.Owner, cluster: cluster}
	c.counts[cluster]++
	return cluster, nil
}

// remote returns the cluster with the given access, which it makes if there is
// none yet. The caller holds the lock.
func (c *Clusters) remote(to *access) (*Cluster, error) {
	if cluster := c.byKey[to.key]; cluster != nil {
		return cluster, nil
	}
	if len(c.byKey) >= maxRemote {
		return nil, fmt.Errorf("spec.kubeConfig: this process applies to %d other clusters already, and no more; run several with --watch-label-selector", maxRemote)
	}
	cluster, err := c.connect(to)
	if err != nil {
		return nil, err
	}
	c.byKey[to.key] = cluster
	return cluster, nil
}

// connect makes a cluster and has it asked whether it is there.
func (c *Clusters) connect(to *access) (*Cluster, error) {
	credentials := rest.CopyConfig(to.config)
	credentials.Dial = c.config.Dial
	credentials.Impersonate = rest.ImpersonationConfig{}
	base, err := rest.TransportFor(credentials)
	if err != nil {
		return nil, fmt.Errorf("spec.kubeConfig: the access data for %s cannot be used: %w", to.config.Host, err)
	}
	through := base
	if to.account != nil {
		through = &bearer{account: to.account, accounts: c.config.Accounts, next: through}
	}
	through = &wary{next: through, limit: maxResponse}

	ctx, cancel := context.WithCancel(c.ctx)
	cluster := &Cluster{Name: to.config.Host, key: to.key, acts: to.config.Impersonate.UserName != ""}
	cluster.stop = func() {
		cancel()
		utilnet.CloseIdleConnectionsFor(base)
	}
	cluster.link = newLink(to.config.Host, probeVersion(through, to.config.Host), nil, func(up bool) { c.tell(cluster, up) })
	config := &rest.Config{Host: to.config.Host, Transport: through, Impersonate: to.config.Impersonate, UserAgent: c.config.UserAgent, QPS: -1}
	c.config.Limit(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &guard{link: cluster.link, next: next} })
	if err := c.equip(ctx, cluster, config); err != nil {
		cancel()
		return nil, fmt.Errorf("spec.kubeConfig: make the clients for %s: %w", to.config.Host, err)
	}
	go cluster.link.run(ctx)
	return cluster, nil
}

// equip gives a cluster its clients. The engine comes with the first
// connection, because it asks the cluster questions when it starts.
func (c *Clusters) equip(ctx context.Context, cluster *Cluster, config *rest.Config) error {
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return err
	}
	watches, err := dynamic.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return err
	}
	cluster.Tenants = tenant.NewClients(config, mapper, c.config.Manager)
	if c.config.Gate != nil {
		cluster.Gate = c.config.Gate(ctx, watches, mapper)
	}
	cluster.link.ready = func() { cluster.Engine = c.config.Engine(ctx, watches, mapper) }
	return nil
}

// tell wakes the users of a cluster that has come, or has stayed away for a
// moment.
func (c *Clusters) tell(cluster *Cluster, up bool) {
	after := goneGrace
	if up || cluster.Epoch() == 0 {
		after = 0
	}
	for _, owner := range c.users(cluster) {
		c.config.Wake(owner, after)
	}
}
