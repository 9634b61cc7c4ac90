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
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/weir-gitops/weir/pkg/apply/diff"
	"github.com/weir-gitops/weir/pkg/exemption"
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

// TakeOver are the managers whose fields become ours, by the beginnings of
// their names: kubectl in all its guises, what was there before the first apply,
// and our own updates. More names are taken over with both operations.
func TakeOver(self string, more ...string) []watch.Manager {
	managers := []watch.Manager{
		{Prefix: "kubectl", Operation: metav1.ManagedFieldsOperationApply},
		{Prefix: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate},
		{Prefix: "before-first-apply", Operation: metav1.ManagedFieldsOperationUpdate},
		{Prefix: self, Operation: metav1.ManagedFieldsOperationUpdate},
	}
	for _, name := range more {
		managers = append(managers,
			watch.Manager{Prefix: name, Operation: metav1.ManagedFieldsOperationApply},
			watch.Manager{Prefix: name, Operation: metav1.ManagedFieldsOperationUpdate})
	}
	return managers
}

// needsCleanup reports whether a live object has claims to take over, or marks
// of earlier tools.
func (e *Engine) needsCleanup(obj *unstructured.Unstructured, set *Set) bool {
	return watch.HasClaims(obj, e.config.Watch.Managers, e.exempt(obj, set)) || len(legacyMarks(obj)) > 0
}

func legacyMarks(obj *unstructured.Unstructured) []ssa.JSONPatch {
	return append(ssa.PatchRemoveAnnotations(obj, legacyAnnotations), ssa.PatchRemoveLabels(obj, legacyLabels)...)
}

// cleanUp makes the claims of other managers ours and removes the marks, so
// that the apply which follows decides about every field. It returns the object
// as it is then, nil if there is none.
func (e *Engine) cleanUp(ctx context.Context, client *Client, set *Set, d *Desired) (*unstructured.Unstructured, error) {
	live, err := client.Get(ctx, d.Ref, d.GVK.Version)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &ObjectError{Ref: d.Ref, Doing: "read", Err: err}
	}
	patches, exempt := legacyMarks(live), e.exempt(live, set)
	if watch.HasClaims(live, e.config.Watch.Managers, exempt) {
		takeOver, err := takeOverPatch(live, e.config.Watch.Managers, exempt)
		if err != nil {
			return nil, &ObjectError{Ref: d.Ref, Doing: "takeover", Err: err}
		}
		patches = append(patches, takeOver...)
	}
	if len(patches) == 0 {
		return live, nil
	}
	if live, err = client.patchMetadata(ctx, live, patches); err != nil {
		return nil, &ObjectError{Ref: d.Ref, Doing: "takeover", Err: err}
	}
	return live, nil
}

// takeOverPatch hands the claims of other managers to us, but for those on
// fields that are left to them.
func takeOverPatch(live *unstructured.Unstructured, managers watch.Managers, exempt *exemption.Tree) ([]ssa.JSONPatch, error) {
	var kept []metav1.ManagedFieldsEntry
	goes := live.DeepCopy()
	entries := goes.GetManagedFields()
	for i, entry := range entries {
		if !managers.TakesOver(entry) {
			continue
		}
		stays := watch.Spared(live, diff.Claims(entry), exempt)
		if stays.Empty() {
			continue
		}
		mine := entry
		var err error
		if mine.FieldsV1, err = encodeFields(stays); err != nil {
			return nil, err
		}
		if entries[i].FieldsV1, err = encodeFields(diff.Claims(entry).Difference(stays)); err != nil {
			return nil, err
		}
		kept = append(kept, mine)
	}
	goes.SetManagedFields(entries)
	patches, err := ssa.PatchReplaceFieldsManagers(goes, fieldManagers(managers.TakeOver), managers.Self)
	if err != nil || len(patches) == 0 {
		return nil, err
	}
	patches[0].Value = append(patches[0].Value, kept...)
	return patches, nil
}

func encodeFields(fields *fieldpath.Set) (*metav1.FieldsV1, error) {
	data, err := fields.ToJSON()
	if err != nil {
		return nil, err
	}
	return metav1.NewFieldsV1(string(data)), nil
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
