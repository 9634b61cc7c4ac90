// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// guardedKinds take with them what cannot be had back: all objects in a
// namespace, all objects of a kind, the data of a volume.
var guardedKinds = []schema.GroupKind{
	{Kind: "Namespace"},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
	{Kind: "PersistentVolumeClaim"},
}

// maxDoomed is how many objects the message of a held prune names.
const maxDoomed = 5

// heldPruneError is a prune that waits to be confirmed.
type heldPruneError struct {
	// command of kubectl that confirms it, but for the annotation.
	command string
	// doomed are the objects, those of guarded kinds first.
	doomed []apply.Doomed
	// because says why it has to be confirmed.
	because string
	// value of the annotation that confirms it.
	value string
	// present is the value that the annotation has.
	present string
}

func (h *heldPruneError) Error() string {
	names := make([]string, 0, maxDoomed)
	for _, d := range h.doomed[:min(len(h.doomed), maxDoomed)] {
		names = append(names, d.Ref.String())
	}
	more := ""
	if rest := len(h.doomed) - maxDoomed; rest > 0 {
		more = fmt.Sprintf(" and %d more", rest)
	}
	other := ""
	if h.present != "" {
		other = " (the present value confirms another prune)"
	}
	return fmt.Sprintf("prune not confirmed: %d to delete, %s: %s%s; they stay until the annotation %s: %s confirms just this%s: kubectl %s %s=%s",
		len(h.doomed), h.because, strings.Join(names, ", "), more,
		kustomizev1.ConfirmPruneAnnotation, h.value, other, h.command, kustomizev1.ConfirmPruneAnnotation, h.value)
}

// holdPrune decides whether a prune has to wait, and returns what it waits for,
// or nil. Before is how many objects the inventory had before the revision at
// hand, of which a percentage is meant.
func holdPrune(obj *kustomizev1.Kustomization, doomed []apply.Doomed, before int) *heldPruneError {
	if obj.Spec.Weir == nil || obj.Spec.Weir.PruneGuard == nil || len(doomed) == 0 {
		return nil
	}
	sorted := slices.Clone(doomed)
	slices.SortFunc(sorted, func(a, b apply.Doomed) int {
		if x, y := isGuarded(a), isGuarded(b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Ref.ID(), b.Ref.ID())
	})
	because := overLimit(obj.Spec.Weir.PruneGuard.Max, len(doomed), before)
	if isGuarded(sorted[0]) {
		because = strings.TrimPrefix(because+" and with a "+sorted[0].Ref.Kind+" among them", " and ")
	}
	if because == "" {
		return nil
	}
	value, present := confirmation(doomed), obj.Annotations[kustomizev1.ConfirmPruneAnnotation]
	if value == present {
		return nil
	}
	return &heldPruneError{
		command: "-n " + obj.Namespace + " annotate --overwrite ks " + obj.Name,
		doomed:  sorted, because: because, value: value, present: present,
	}
}

func isGuarded(d apply.Doomed) bool { return slices.Contains(guardedKinds, d.Ref.GroupKind()) }

// overLimit says by which limit a prune is too large, or "".
func overLimit(limit *intstr.IntOrString, doomed, before int) string {
	if limit == nil {
		return ""
	}
	if limit.Type == intstr.Int {
		if doomed > limit.IntValue() {
			return fmt.Sprintf("more than the %d of spec.weir.pruneGuard.max", limit.IntValue())
		}
		return ""
	}
	percent, err := strconv.Atoi(strings.TrimSuffix(limit.StrVal, "%"))
	// The CRD admits nothing else than a percentage. If something gets past
	// it, nothing may be deleted without being confirmed.
	if err != nil {
		percent = 0
	}
	if doomed*100 > percent*before {
		return fmt.Sprintf("more than %s of the %d there were, the limit of spec.weir.pruneGuard.max", limit.StrVal, before)
	}
	return ""
}

// confirmation names a set of objects. An object that was deleted and made
// anew is another one, so that an old confirmation is good for nothing else. It
// begins with a letter, so that YAML takes it for text.
func confirmation(doomed []apply.Doomed) string {
	lines := make([]string, len(doomed))
	for i, d := range doomed {
		lines[i] = d.Ref.ID() + " " + string(d.UID) + "\n"
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return "prune-" + hex.EncodeToString(sum[:8])
}

// confirmPrune returns what may be pruned of a stale inventory: all of it, if
// there is no guard; what would be deleted now, if the guard lets it pass; or a
// *heldPruneError as the error.
func (s *scope) confirmPrune(ctx context.Context, stale inventory.Inventory, before int) (inventory.Inventory, error) {
	if s.obj.Spec.Weir == nil || s.obj.Spec.Weir.PruneGuard == nil || len(stale) == 0 {
		return stale, nil
	}
	doomed, err := s.doomed(ctx, stale)
	if err != nil {
		return nil, err
	}
	if held := holdPrune(s.obj, doomed, before); held != nil {
		return nil, held
	}
	passed := make(inventory.Inventory, len(doomed))
	for _, d := range doomed {
		passed[d.Ref] = stale[d.Ref]
	}
	return passed, nil
}

// pruneStale deletes what the source no longer has, if the guard lets it, and
// returns what is still to be deleted.
func (c *Controller) pruneStale(ctx context.Context, s *scope) (inventory.Inventory, error) {
	if !s.obj.Spec.Prune {
		return nil, nil
	}
	stale := s.before.Minus(s.after)
	s.keepBefore()
	passed, err := s.confirmPrune(ctx, stale, s.inventoryBefore())
	if held, ok := errors.AsType[*heldPruneError](err); ok {
		left := make(inventory.Inventory, len(held.doomed))
		for _, d := range held.doomed {
			left[d.Ref] = stale[d.Ref]
		}
		return left, reconcile.Stalled(kustomizev1.PruneNotConfirmedReason, held)
	}
	if err != nil {
		return stale, reconcile.Fail(kustomizev1.PruneFailedReason, err)
	}
	deleted, left, err := s.engine.Prune(ctx, passed, apply.PruneOptions{Client: s.client, Owner: s.owner()})
	c.pruned(s, deleted)
	if err != nil {
		return left, reconcile.Fail(kustomizev1.PruneFailedReason, err)
	}
	return left, nil
}

// keepBefore notes how many objects there were before the inventory grows by
// what a new revision adds, so that a percentage means the same when a prune is
// looked at again, by this process or the next.
func (s *scope) keepBefore() {
	if s.obj.Spec.Weir != nil && s.obj.Spec.Weir.PruneGuard != nil && len(s.before) > 0 && s.weirStatus().InventoryBefore == 0 {
		s.weirStatus().InventoryBefore = int64(len(s.before))
	}
}

// dropBefore is for an inventory that is settled.
func (s *scope) dropBefore() {
	if s.obj.Status.Weir != nil {
		s.obj.Status.Weir.InventoryBefore = 0
		s.tidyWeirStatus()
	}
}

// inventoryBefore is how many objects the inventory had when it was last
// settled.
func (s *scope) inventoryBefore() int {
	if s.obj.Status.Weir != nil && s.obj.Status.Weir.InventoryBefore > 0 {
		return int(s.obj.Status.Weir.InventoryBefore)
	}
	return len(s.before)
}

// confirms reports whether the annotation has changed since a prune was held.
func (m *memory) confirms(s *scope) bool {
	held, ok := errors.AsType[*heldPruneError](m.failure)
	return ok && held.present != s.obj.Annotations[kustomizev1.ConfirmPruneAnnotation]
}

// holdDeletion shows that the deletion of a Kustomization waits to be
// confirmed, and tells of it once.
func (c *Controller) holdDeletion(s *scope, held *heldPruneError) (ctrl.Result, error) {
	_, err := reconcile.Finish(s.obj, reconcile.Stalled(kustomizev1.PruneNotConfirmedReason, held), reconcile.Success{}, reconcile.Policy{
		SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
		Failed:                func(reason, message string) { c.failed(s, reason, message) },
	})
	return ctrl.Result{RequeueAfter: s.obj.GetRetryInterval()}, err
}

// confirmationChanged passes a Kustomization whose confirmation of a prune is
// another one than before.
func confirmationChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetAnnotations()[kustomizev1.ConfirmPruneAnnotation] != e.ObjectNew.GetAnnotations()[kustomizev1.ConfirmPruneAnnotation]
	}}
}
