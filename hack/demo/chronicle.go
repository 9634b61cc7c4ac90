// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/weir-gitops/weir/hack/platform"
)

// A chronicle watches the cluster and keeps when things were first so. It
// orders them by their resource versions: all kinds are in one etcd, which
// numbers its writes, so the order is the API server's and no clock's.
type chronicle struct {
	mu      sync.Mutex
	moments map[moment]record
	born    map[string]map[types.UID]bool
}

// A moment is the first time that something was so of an object.
type moment struct {
	object string // Kind/name
	what   string // created, or a condition that became True
}

func (m moment) String() string { return m.object + " " + m.what }

type record struct {
	version string
	at      time.Time
}

// What the moments of a chronicle are called.
const (
	created  = "created"
	ready    = "Ready"
	complete = "Complete"
)

// watched are the kinds of which moments are kept.
func watched() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		platform.Kustomizations,
		{Group: "apps", Version: "v1", Resource: "deployments"},
		{Group: "apps", Version: "v1", Resource: "statefulsets"},
		{Group: "batch", Version: "v1", Resource: "jobs"},
	}
}

// newChronicle begins a chronicle, which goes on until ctx ends.
func newChronicle(ctx context.Context, p *platform.Platform) (*chronicle, error) {
	c := &chronicle{moments: map[moment]record{}, born: map[string]map[types.UID]bool{}}
	for _, kind := range watched() {
		list, err := p.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind.Resource, err)
		}
		events, err := p.Resource(kind).Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", kind.Resource, err)
		}
		go c.follow(events)
	}
	return c, nil
}

func (c *chronicle) follow(events watch.Interface) {
	for event := range events.ResultChan() {
		if object, ok := event.Object.(*unstructured.Unstructured); ok && event.Type != watch.Deleted {
			c.note(object)
		}
	}
}

func (c *chronicle) note(object *unstructured.Unstructured) {
	name := object.GetKind() + "/" + object.GetName()
	r := record{version: object.GetResourceVersion(), at: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.born[name] == nil {
		c.born[name] = map[types.UID]bool{}
	}
	c.born[name][object.GetUID()] = true
	so := []string{created}
	for _, condition := range conditions(object) {
		if condition["status"] == "True" {
			so = append(so, fmt.Sprint(condition["type"]))
		}
	}
	for _, what := range so {
		m := moment{name, what}
		if _, known := c.moments[m]; !known {
			c.moments[m] = r
		}
	}
}

// births is how many objects of a name there have been, one after the other.
func (c *chronicle) births(object string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.born[object])
}

// since returns how long after a time a moment was.
func (c *chronicle) since(begun time.Time, m moment) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moments[m].at.Sub(begun)
}

// inOrder returns nil if all moments were and each was after the one before it.
func (c *chronicle) inOrder(moments []moment) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range moments {
		this, ok := c.moments[m]
		if !ok {
			return fmt.Errorf("not seen: %s", m)
		}
		if i == 0 {
			continue
		}
		before := c.moments[moments[i-1]]
		order, err := resourceversion.CompareResourceVersion(before.version, this.version)
		if err != nil {
			return fmt.Errorf("compare %s with %s: %w", moments[i-1], m, err)
		}
		if order >= 0 {
			return fmt.Errorf("%s (resource version %s) should be after %s (%s)", m, this.version, moments[i-1], before.version)
		}
	}
	return nil
}

// conditions of an object's status.
func conditions(object *unstructured.Unstructured) []map[string]any {
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	all := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if condition, ok := item.(map[string]any); ok {
			all = append(all, condition)
		}
	}
	return all
}
