// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package tenant gives out clients that act as the service account which an object
// names, so that a tenant can do through Git what it may do by hand, and no
// more.
package tenant

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/apply"
)

// maxClients bounds the clients that are kept. They share one transport, so
// one more costs little, but nobody should be able to make them without end.
const maxClients = 4096

// Clients makes one client per user and keeps it.
type Clients struct {
	config  *rest.Config
	mapper  meta.RESTMapper
	manager string

	mu     sync.Mutex
	byUser map[string]*apply.Client
}

// NewClients returns Clients for the cluster of config. What they apply is
// owned by the given field manager.
func NewClients(config *rest.Config, mapper meta.RESTMapper, manager string) *Clients {
	return &Clients{config: config, mapper: mapper, manager: manager, byUser: map[string]*apply.Client{}}
}

// For returns the client of a service account, or of the config itself if name
// is empty.
func (c *Clients) For(namespace, name string) (*apply.Client, error) {
	user := userOf(namespace, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.byUser[user]; client != nil {
		return client, nil
	}
	client, err := dynamic.NewForConfig(c.Config(namespace, name))
	if err != nil {
		return nil, fmt.Errorf("make a client that acts as %q: %w", user, err)
	}
	if len(c.byUser) >= maxClients {
		clear(c.byUser)
	}
	c.byUser[user] = &apply.Client{Dynamic: client, Mapper: c.mapper, Manager: c.manager}
	return c.byUser[user], nil
}

// Config returns how to reach the cluster as a service account, or as For does
// without one. It is the caller's.
func (c *Clients) Config(namespace, name string) *rest.Config {
	config := rest.CopyConfig(c.config)
	if user := userOf(namespace, name); user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
	}
	return config
}

func userOf(namespace, name string) string {
	if name == "" {
		return ""
	}
	return "system:serviceaccount:" + namespace + ":" + name
}
