// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/git"
)

// resume looks after a run of an earlier generation, and of an object that was
// suspended meanwhile. One that may be pushing is waited for: what it pushed
// must not be forgotten. Any other is given up.
func (c *Controller) resume(_ context.Context, s *scope) error {
	r := s.entry.run
	if r != nil && (r.generation != s.obj.Generation || s.obj.Spec.Suspend) {
		if r.submitted && r.outcome == nil {
			outcome, over := c.Batches.Take(s.name)
			if !over {
				return errWaiting
			}
			if outcome.Err == nil && outcome.Commit != "" {
				s.notePush(outcome.Commit)
			}
		}
		r.cancel()
		s.entry.run = nil
	}
	if s.obj.Spec.Suspend {
		return errSuspended
	}
	return nil
}

// begin goes on with the run that is under way, or begins one. A run whose
// inputs have changed is given up, unless it may be pushing.
func (c *Controller) begin(_ context.Context, s *scope) error {
	key := s.key()
	if old := s.entry.run; old != nil {
		if old.key == key || old.submitted {
			s.run = old
			return nil
		}
		old.cancel()
	}
	run := &run{key: key, generation: s.obj.Generation, started: time.Now(), over: make(chan struct{}), policies: s.policies, failed: map[string]error{}}
	run.token, _ = fluxmeta.ReconcileAnnotationValue(s.obj.Annotations)
	run.cancel = sync.OnceFunc(func() { close(run.over) })
	s.entry.run, s.run = run, run
	return nil
}

// key sums up what a run depends on, beside registries and Git.
func (s *scope) key() string {
	token, _ := fluxmeta.ReconcileAnnotationValue(s.obj.Annotations)
	return sum(s.obj.Generation, token, s.obj.Annotations[imagev1.ApproveAnnotation], s.obj.Annotations[imagev1.UnrejectAnnotation],
		s.source.UID, s.source.Generation, s.policies)
}

// sum is a checksum of values in JSON.
func sum(values ...any) string {
	h := sha256.New()
	encoder := json.NewEncoder(h)
	for _, value := range values {
		// What cannot be encoded is told apart by how it prints.
		if err := encoder.Encode(value); err != nil {
			fmt.Fprintf(h, "%v", value)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// requested reports whether somebody asked for the run by annotation.
func (s *scope) requested() bool {
	return s.run.token != "" && s.run.token != s.obj.Status.LastHandledReconcileAt
}

// baseOf is the part of the plan's input that does not come from registries.
func (c *Controller) baseOf(ctx context.Context, s *scope) (*plan.Automation, error) {
	sign, err := c.signer(ctx, s)
	if err != nil {
		return nil, err
	}
	commit := s.obj.Spec.GitSpec.Commit
	return &plan.Automation{
		Self:     s.name,
		UID:      s.obj.UID,
		Audited:  s.obj.Spec.Weir != nil,
		Dir:      s.spec.dir,
		Source:   fmt.Sprintf("GitRepository/%s", sourceName(s.obj)),
		Message:  s.spec.template,
		Values:   commit.MessageTemplateValues,
		Author:   git.Signature{Name: commit.Author.Name, Email: commit.Author.Email},
		Sign:     sign,
		Index:    c.Index,
		LastPush: s.obj.Status.LastPushCommit,
	}, nil
}

// wake brings the object back when something in the background is over.
func (c *Controller) wake(s *scope) func() {
	name := s.name
	return func() { c.Waker.Wake(name) }
}

// recall returns what is known of an object. What goes on for one that had the
// name before, and whose finalizer somebody removed, is stopped: its outcome
// must not be taken for that of this one.
func (c *Controller) recall(name types.NamespacedName, uid types.UID) *entry {
	if c.memory.ofAnother(name, uid) {
		c.drop(name)
	}
	return c.memory.entry(name, uid)
}

// drop forgets an object and stops what goes on for it.
func (c *Controller) drop(name types.NamespacedName) {
	c.memory.drop(name)
	c.Figures.drop(name)
	c.Batches.Cancel(name)
	c.Scanner.Drop(owner(name, ""))
}
