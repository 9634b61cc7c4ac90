// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// readInventory returns what status.inventory lists.
func readInventory(obj *kustomizev1.Kustomization) (inventory.Inventory, error) {
	inv := inventory.Inventory{}
	if obj.Status.Inventory == nil {
		return inv, nil
	}
	for _, entry := range obj.Status.Inventory.Entries {
		ref, err := inventory.Parse(entry.ID)
		if err != nil {
			return nil, err
		}
		inv[ref] = entry.Version
	}
	return inv, nil
}

// writeInventory sets status.inventory, sorted, and drops what is recorded of
// objects that are not in it.
func writeInventory(obj *kustomizev1.Kustomization, inv inventory.Inventory) {
	entries := make([]meta.ResourceRef, 0, len(inv))
	for _, ref := range inv.Refs() {
		entries = append(entries, meta.ResourceRef{ID: ref.ID(), Version: inv[ref]})
	}
	obj.Status.Inventory = &meta.ResourceInventory{Entries: entries}
	if obj.Status.Weir == nil {
		return
	}
	obj.Status.Weir.CompletedJobs = slices.DeleteFunc(obj.Status.Weir.CompletedJobs, func(job kustomizev1.CompletedJob) bool {
		ref, err := inventory.Parse(job.ID)
		_, member := inv[ref]
		return err != nil || !member
	})
}

// completed returns the record of an object that ran to completion at the
// given digest, or nil.
func completed(obj *kustomizev1.Kustomization, ref inventory.Ref, digest string) *kustomizev1.CompletedJob {
	if obj.Status.Weir == nil {
		return nil
	}
	jobs, id := obj.Status.Weir.CompletedJobs, ref.ID()
	i := slices.IndexFunc(jobs, func(job kustomizev1.CompletedJob) bool { return job.ID == id && job.Digest == digest })
	if i < 0 {
		return nil
	}
	return &jobs[i]
}

// recordCompleted notes which objects have run to completion. A training job
// must never run twice because somebody, or its time to live, removed it.
func recordCompleted(obj *kustomizev1.Kustomization, finished []apply.Finished, now metav1.Time) {
	for _, f := range finished {
		if completed(obj, f.Ref, f.Digest) != nil {
			continue
		}
		if obj.Status.Weir == nil {
			obj.Status.Weir = &kustomizev1.WeirStatus{}
		}
		id := f.Ref.ID()
		jobs := slices.DeleteFunc(obj.Status.Weir.CompletedJobs, func(job kustomizev1.CompletedJob) bool { return job.ID == id })
		if len(jobs) >= kustomizev1.MaxCompletedJobs {
			jobs = jobs[1:]
		}
		jobs = append(jobs, kustomizev1.CompletedJob{ID: id, Digest: f.Digest, Succeeded: f.Succeeded, FinishedAt: now})
		obj.Status.Weir.CompletedJobs = jobs
	}
}
