// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// swapped is what an attempt has taken away to make room for the rest of it.
type swapped struct {
	revision string
	objects  []string
}

// gate has an apply ask for the devices that it adds before it writes.
func (c *Controller) gate(s *scope, options *apply.Options) {
	if s.target.Gate == nil {
		return
	}
	if s.obj.Spec.Prune {
		options.Stale = s.before.Minus(s.after)
	}
	options.Gate = func(ctx context.Context, change gate.Change) (apply.Leave, error) { return c.passGate(ctx, s, change) }
}

// passGate asks whether a revision may be applied. What asks for no more than
// before always may.
func (c *Controller) passGate(ctx context.Context, s *scope, change gate.Change) (apply.Leave, error) {
	s.change = change
	if !change.Grows() {
		if err := s.target.Gate.Withdraw(ctx, s.obj.UID, change.Shrinks(), s.mayHaveAsked()); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "a request for devices is left behind")
		}
		return nil, nil
	}
	verdict, err := s.target.Gate.Ask(ctx, gate.Request{
		Kind: kustomizev1.KustomizationKind, Namespace: s.obj.Namespace, Name: s.obj.Name, UID: s.obj.UID,
		Remote: s.target.Remote(), Revision: s.artifact.Revision, Change: change,
	})
	if gate.IsUnavailable(err) {
		if cause := errors.Unwrap(err); cause != nil {
			ctrl.LoggerFrom(ctx).Error(cause, "cannot ask for devices")
		}
		// Not every reason for it ends with an event.
		return nil, c.refuse(s, kustomizev1.GPUQuotaUnavailableReason, err.Error(), min(s.obj.GetRetryInterval(), c.Options.RequeueDependency))
	}
	if err != nil {
		return nil, err
	}
	switch verdict.Answer {
	case gate.Granted:
		c.warn(s, verdict)
		return s.leaveGrowers(verdict), nil
	case gate.NeverFits:
		return nil, c.refuse(s, kustomizev1.GPUQuotaNeverFitsReason, verdict.Text, s.obj.GetRetryInterval())
	case gate.Waiting:
	}
	return nil, c.refuse(s, kustomizev1.GPUQuotaExceededReason, verdict.Text, s.obj.GetRetryInterval())
}

// leaveGrowers returns what is to wait until the rest has made room for it.
func (s *scope) leaveGrowers(verdict gate.Verdict) apply.Leave {
	if !verdict.ShrinkFirst {
		return nil
	}
	leave := apply.Leave{}
	for _, object := range s.change.Objects {
		if object.Grows() {
			leave[object.Key] = struct{}{}
			s.swap = append(s.swap, gate.NameOfKey(object.Key))
		}
	}
	return leave
}

// refuse says why a revision is not applied, and tells of it if that is another
// reason than before. The verdict, if it changes, brings the Kustomization back.
func (c *Controller) refuse(s *scope, reason, why string, after time.Duration) error {
	message := gate.Refusal(kustomizev1.KustomizationKind, s.artifact.Revision, why, s.change, len(s.after))
	before := conditions.GetReason(s.obj, kustomizev1.ReadyCondition) + conditions.GetMessage(s.obj, kustomizev1.ReadyCondition)
	if before != reason+message && s.swapIncomplete() == nil {
		c.failed(s, reason, message)
	}
	return reconcile.Wait(after, reason, errors.New(message))
}

// warn tells, once, of limits that are exceeded and do not hold.
func (c *Controller) warn(s *scope, verdict gate.Verdict) {
	text := strings.Join(verdict.Warnings, "; ")
	if text != "" && text != s.memory.warned {
		c.event(s, corev1.EventTypeNormal, kustomizev1.GPUQuotaWarningReason, text)
	}
	s.memory.warned = text
}

// holdSwap waits, having taken away what makes room, until the room is there.
func (s *scope) holdSwap(ctx context.Context) error {
	shrunk := s.change.Shrinkers()
	if len(shrunk) > 0 {
		s.memory.swapped = swapped{s.artifact.Revision, shrunk}
		if err := s.target.Gate.Removed(ctx, s.obj.UID, shrunk); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "what a swap has taken away is known to this process alone")
		}
	}
	slices.Sort(s.swap)
	message := fmt.Sprintf("Waiting for GPUs: %s of revision %s will be applied when those that the revision gives up are free", gate.Listed(s.swap), s.artifact.Revision)
	return reconcile.Hold(s.obj.GetRetryInterval(), kustomizev1.WaitingForGPUsReason, errors.New(message))
}

// swapIncomplete returns what the revision at hand has taken away to make room
// for what is not there yet.
func (s *scope) swapIncomplete() []string {
	if s.memory.swapped.revision != s.artifact.Revision {
		return nil
	}
	return s.memory.swapped.objects
}

// ungranted turns the error of an apply into that of the reconcile: what the gate
// has said stays as it is. If the revision has taken objects away before, the
// message lists them.
func (s *scope) ungranted(ctx context.Context, err error) error {
	e, ok := errors.AsType[*reconcile.Error](err)
	if !ok {
		e = &reconcile.Error{Kind: reconcile.KindFailed, Reason: kustomizev1.ReconciliationFailedReason, Err: err}
	}
	taken := s.swapIncomplete()
	if taken == nil && s.mayHaveAsked() {
		if taken, _ = s.target.Gate.WasRemoved(ctx, s.obj.UID); len(taken) > 0 {
			s.memory.swapped = swapped{s.artifact.Revision, taken}
		}
	}
	if len(taken) == 0 {
		return e
	}
	return &reconcile.Error{Kind: e.Kind, Reason: kustomizev1.SwapIncompleteReason, After: e.After,
		Err: fmt.Errorf("%w; to make room for it, this revision has already reduced or removed %s", e.Err, gate.Listed(taken))}
}

// mayHaveAsked reports whether the status says that a request for devices was
// made, maybe by an earlier process.
func (s *scope) mayHaveAsked() bool {
	if s.target.Gate == nil {
		return false
	}
	switch conditions.GetReason(s.obj, kustomizev1.ReadyCondition) {
	case kustomizev1.GPUQuotaExceededReason, kustomizev1.GPUQuotaNeverFitsReason, kustomizev1.GPUQuotaUnavailableReason,
		kustomizev1.SwapIncompleteReason, kustomizev1.WaitingForGPUsReason:
		return true
	}
	return false
}

// withdraw takes back what a Kustomization has asked for that is going away. On
// the local cluster the leader sees that itself, so nothing depends on it.
func (c *Controller) withdraw(ctx context.Context, s *scope) {
	if s.target == nil && s.obj.Spec.KubeConfig == nil {
		s.target = c.Clusters.Local()
	}
	if s.target == nil || s.target.Gate == nil {
		return
	}
	if err := s.target.Gate.Withdraw(ctx, s.obj.UID, true, s.mayHaveAsked()); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "a request for devices is left behind")
	}
}
