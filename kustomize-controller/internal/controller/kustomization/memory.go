// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// memory is what the controller keeps of a Kustomization between reconciles.
// All of it can be lost: then the next reconcile is a full one.
type memory struct {
	// tried is the last attempt, applied the last one whose objects were all
	// written.
	tried, applied attempt
	// cleared is the last attempt, less its variables, whose dependencies
	// were all ready.
	cleared attempt
	// expressions of the dependencies.
	expressions *expressions
	// requestedAt is the last handled value of the request annotation.
	requestedAt string
	// nextFull is when the interval is over.
	nextFull time.Time
	// failure is what kept the last attempt from being applied. It stays on
	// show until retryAt.
	failure error
	retryAt time.Time
	// waitSince is when the applied attempt began to wait for its health.
	waitSince time.Time
	// wasHealthy is set once the applied attempt was healthy.
	wasHealthy bool
	// inventory is what status.inventory was last set to.
	inventory *meta.ResourceInventory
	// unwatched are the kinds of which it was said that they are polled.
	unwatched string
	// run is the reconciliation that is under way, or was last.
	run run
	// terminating are the objects that were deleted together with the
	// Kustomization and that are waited for; nil before.
	terminating inventory.Inventory
	// explanation of the objects that are not healthy.
	explanation explanation
	// cluster is the key of the one that all this is about, and epoch how
	// often it had come back.
	cluster string
	epoch   int
	// compiled are the expressions of the spec.
	compiled compiled
	// queue is what the applied attempt waits in.
	queue queueing
	// swapped is what the attempt has taken away to make room, and warned what
	// was last warned of.
	swapped swapped
	warned  string
	// illSince is when a once healthy attempt fell ill.
	illSince time.Time
	// reads is what the build of the applied attempt has read, nil if that
	// is not known.
	reads *build.Reads
}

// attempt identifies what is applied: two equal ones build the same objects.
type attempt struct {
	generation int64
	digest     string
	variables  string
	// keys identifies what decrypts.
	keys string
}

func (c *Controller) remember(uid types.UID) *memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memories == nil {
		c.memories = map[types.UID]*memory{}
	}
	m := c.memories[uid]
	if m == nil {
		m = &memory{}
		c.memories[uid] = m
	}
	return m
}

func (c *Controller) forget(uid types.UID) {
	c.mu.Lock()
	if m := c.memories[uid]; m != nil {
		c.reads.replace(m.reads, nil)
	}
	delete(c.memories, uid)
	c.mu.Unlock()
	c.Store.Forget(uid)
}

// outdated reports whether the status is not the one that goes with the memory:
// somebody has edited it, or the cluster was restored from a backup.
func (m *memory) outdated(obj *kustomizev1.Kustomization) bool {
	return m.inventory != nil && !equality.Semantic.DeepEqual(m.inventory, obj.Status.Inventory)
}

// decide tells a full reconcile from one that only looks. An attempt that
// failed is not repeated before its time, whatever event arrives; what it
// failed with stays on show.
func (c *Controller) decide(ctx context.Context, s *scope) error {
	m := s.memory
	if m.outdated(s.obj) {
		c.reads.replace(m.reads, nil)
		*m = memory{cluster: m.cluster, epoch: m.epoch}
	}
	if c.takeChanged(s.owner()) {
		m.nextFull, m.retryAt = s.now, s.now
	}
	again := m.again(s)
	due := m.failure == nil && !s.now.Before(m.nextFull)
	if !again && !due && !m.behind(s) {
		return m.failure
	}
	m.nextFull = s.now.Add(c.Options.Jitter(s.obj.Spec.Interval.Duration))
	return c.begin(ctx, s, again)
}

// begin notes what the next attempt is made of, and finds out whether it is
// another one than the last. With again it is made in any case.
func (c *Controller) begin(ctx context.Context, s *scope, again bool) error {
	m := s.memory
	before := m.tried
	variables, err := c.readVariables(ctx, s)
	keys, keysErr := c.readKeys(ctx, s)
	err = errors.Join(err, keysErr)
	m.tried = attempt{generation: s.obj.Generation, digest: s.artifact.Digest, variables: digestOf(variables), keys: keys}
	began := c.resumeWait(s, before)
	if err != nil {
		s.full, m.run = true, run{}
		return reconcile.Fail(kustomizev1.BuildFailedReason, err)
	}
	s.variables = variables
	// An interval that finds nothing new has nothing to build: the watches
	// know every object.
	s.full = again || m.tried != m.applied || m.failure != nil
	if !s.full {
		return nil
	}
	m.run = run{began: began, notable: m.asked(s)}
	if m.tried != m.applied {
		m.wasHealthy = m.applied == (attempt{}) && s.heldBefore()
	}
	return nil
}

// again reports whether there is a reason to do what was done before once more.
func (m *memory) again(s *scope) bool {
	return m.asked(s) || m.retries(s) || m.confirms(s) || m.unplanned(s) || s.drift.Stale
}

// behind reports whether there is something that was not tried yet.
func (m *memory) behind(s *scope) bool {
	return m.tried.generation != s.obj.Generation || m.tried.digest != s.artifact.Digest
}

// asked reports whether somebody requests a reconcile.
func (m *memory) asked(s *scope) bool {
	requested := s.requestedAt()
	return requested != "" && requested != m.requestedAt && requested != s.obj.Status.LastHandledReconcileAt
}

// retries reports whether it is time to repeat what failed.
func (m *memory) retries(s *scope) bool {
	return m.failure != nil && !s.now.Before(m.retryAt)
}

func (s *scope) requestedAt() string {
	value, _ := fluxmeta.ReconcileAnnotationValue(s.obj.GetAnnotations())
	return value
}

func digestOf(variables map[string]string) string {
	if variables == nil {
		return ""
	}
	data, err := json.Marshal(variables) // keys are sorted
	if err != nil {
		return fmt.Sprintf("%p", variables) // never equal: builds anew
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// heldBefore reports whether the status says that this very attempt was
// applied and healthy on this cluster, as it may after a restart.
func (s *scope) heldBefore() bool {
	return !s.moved && conditions.IsReady(s.obj) && s.obj.Status.ObservedGeneration == s.obj.Generation &&
		s.obj.Status.LastAppliedRevision == s.artifact.Revision
}
