// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"regexp"

	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Marks that earlier tools left on objects, with which they would think that
// the object is still theirs.
var (
	legacyAnnotations = []string{
		"kubectl.kubernetes.io/last-applied-configuration",
		"kustomize.toolkit.fluxcd.io/checksum",
		"fluxcd.io/sync-checksum",
	}
	legacyLabels = []string{"fluxcd.io/sync-gc-mark"}
)

// TakeOver are the managers whose fields become ours: kubectl in all its
// guises, what was there before the first apply, and our own updates. More
// names are taken over with both operations.
func TakeOver(self string, more ...string) []watch.Manager {
	managers := []watch.Manager{
		{Prefix: "kubectl", Operation: metav1.ManagedFieldsOperationApply},
		{Prefix: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate},
		{Prefix: "before-first-apply", Operation: metav1.ManagedFieldsOperationUpdate},
		{Prefix: self, Exact: true, Operation: metav1.ManagedFieldsOperationUpdate},
	}
	for _, name := range more {
		managers = append(managers,
			watch.Manager{Prefix: name, Exact: true, Operation: metav1.ManagedFieldsOperationApply},
			watch.Manager{Prefix: name, Exact: true, Operation: metav1.ManagedFieldsOperationUpdate})
	}
	return managers
}

// needsCleanup reports whether a live object has claims to take over, or marks
// of earlier tools.
func needsCleanup(obj *unstructured.Unstructured, managers watch.Managers) bool {
	return watch.HasClaims(obj, managers) || len(legacyMarks(obj)) > 0
}

func legacyMarks(obj *unstructured.Unstructured) []ssa.JSONPatch {
	return append(ssa.PatchRemoveAnnotations(obj, legacyAnnotations), ssa.PatchRemoveLabels(obj, legacyLabels)...)
}

// cleanUp makes the claims of other managers ours and removes the marks, so
// that the apply which follows decides about every field.
func (c *Client) cleanUp(ctx context.Context, ref inventory.Ref, version string, managers watch.Managers) error {
	live, err := c.Get(ctx, ref, version)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return &ObjectError{Ref: ref, Doing: "read", Err: err}
	}
	patches := legacyMarks(live)
	if watch.HasClaims(live, managers) {
		takeOver, err := ssa.PatchReplaceFieldsManagers(live, fieldManagers(managers.TakeOver), managers.Self)
		if err != nil {
			return &ObjectError{Ref: ref, Doing: "takeover", Err: err}
		}
		patches = append(patches, takeOver...)
	}
	if len(patches) == 0 {
		return nil
	}
	if err := c.patchMetadata(ctx, live, patches); err != nil {
		return &ObjectError{Ref: ref, Doing: "takeover", Err: err}
	}
	return nil
}

func fieldManagers(managers []watch.Manager) []ssa.FieldManager {
	out := make([]ssa.FieldManager, len(managers))
	for i, m := range managers {
		out[i] = ssa.FieldManager{Name: m.Prefix, ExactMatch: m.Exact, OperationType: m.Operation}
	}
	return out
}

// notChangeable matches how API servers and webhooks word that a field cannot
// be changed; there is no reason code for it.
var notChangeable = regexp.MustCompile(`immutable|updates to .* for fields other than|may not be (changed|updated)|cannot be changed|can't be changed`)

// immutable reports whether a refusal is about a change, not about a value.
func immutable(err error) bool {
	return (apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsConflict(err) || apierrors.IsBadRequest(err)) &&
		notChangeable.MatchString(err.Error())
}

// creatable returns why the API server would refuse the object even if it did
// not exist yet, found out under a name that does not: deleting something that
// cannot be created again is the worst outcome.
func (c *Client) creatable(ctx context.Context, d *Desired) error {
	resource, err := c.resource(d.GVK, d.Ref.Namespace)
	if err != nil {
		return err
	}
	other := d.Object.DeepCopy()
	other.SetName("")
	other.SetGenerateName("weir-dry-run-")
	_, err = resource.Create(ctx, other, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: c.Manager})
	// An invalid value and a denial are verdicts. That the other name is not
	// possible, as for some kinds, is none.
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) && !nameAtFault(err) {
		return err
	}
	return nil
}

func nameAtFault(err error) bool {
	cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid)
	return ok && (cause.Field == "metadata.name" || cause.Field == "metadata.generateName")
}
