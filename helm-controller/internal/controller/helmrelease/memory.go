// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/values"
)

// memory is what the controller keeps of a HelmRelease between reconciles. All of
// it can be lost: what must not be is in the status and in Helm's storage.
type memory struct {
	uid types.UID
	// compiled are the expressions and rules of the spec, and expressions those of
	// the dependencies.
	compiled    compiled
	expressions *expressions
	// reads are the Secrets and ConfigMaps as they were read last.
	reads []values.Read
	// madeSource is the generation whose source was written, and written that source.
	madeSource int64
	written    written
	// cleared is the last attempt whose dependencies were all ready.
	cleared attempt
	// cluster is the key of the one that all this is about, and epoch how often it
	// had come back.
	cluster string
	epoch   int

	// running is the action under way, nil if there is none, and trigger what has
	// cut its wait short, or "".
	running *state.Step
	trigger string
	// done are the actions of this round.
	done []state.Action
	// failure is what the last try came to, if it is worth trying again; it stays on
	// show until retryAt.
	failure error
	retryAt time.Time
	// next is when the interval is over.
	next time.Time
	// interval that next is by.
	interval time.Duration
	// gated is what the action under way was told when it asked for devices, and
	// warned what was last warned of.
	gated  *gated
	warned string

	// drift follows the objects of the release, drifting is set while it does, and
	// unwatched are the kinds of which it was said that they are polled.
	drift     kube.Drift
	drifting  bool
	unwatched string
	// planned is what the last plan was made for.
	planned plannedFor
	// ready is the digest of the chart that the release was last ready at.
	ready string
}

// begin starts a round anew: what was done counts no more, and nothing is waited
// for.
func (m *memory) begin() {
	m.done, m.failure, m.retryAt = nil, nil, time.Time{}
}

// remember returns what is kept of a HelmRelease. One that was deleted and made
// anew is another one.
func (c *Controller) remember(owner types.NamespacedName, uid types.UID) *memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memories == nil {
		c.memories = map[types.NamespacedName]*memory{}
	}
	m := c.memories[owner]
	if m == nil || m.uid != uid {
		m = &memory{uid: uid}
		c.memories[owner] = m
	}
	return m
}

func (c *Controller) forget(owner types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.memories, owner)
}
