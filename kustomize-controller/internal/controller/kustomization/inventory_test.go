// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
)

var (
	train = inventory.Ref{Namespace: "ns", Name: "train", Group: "batch", Kind: "Job"}
	eval  = inventory.Ref{Namespace: "ns", Name: "eval", Group: "batch", Kind: "Job"}
	web   = inventory.Ref{Namespace: "ns", Name: "web", Kind: "Service"}
)

func TestInventoryRoundTrip(t *testing.T) {
	obj := &kustomizev1.Kustomization{}
	if inv, err := readInventory(obj); err != nil || len(inv) > 0 {
		t.Errorf("inventory of a new object: %v, %v", inv, err)
	}
	want := inventory.Inventory{web: "v1", train: "v1", eval: "v1beta1"}
	writeInventory(obj, want)
	entries := []meta.ResourceRef{
		{ID: "ns_eval_batch_Job", Version: "v1beta1"}, {ID: "ns_train_batch_Job", Version: "v1"}, {ID: "ns_web__Service", Version: "v1"},
	}
	if diff := cmp.Diff(entries, obj.Status.Inventory.Entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	got, err := readInventory(obj)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("read %v (-want +got):\n%s", err, diff)
	}
	obj.Status.Inventory.Entries[0].ID = "nonsense"
	if inv, err := readInventory(obj); err == nil {
		t.Errorf("read %v from nonsense, want an error: what cannot be read would not be pruned", inv)
	}
}

func TestWriteInventoryDropsRecordsOfOthers(t *testing.T) {
	obj := &kustomizev1.Kustomization{}
	recordCompleted(obj, []apply.Finished{{Ref: train, Digest: "1"}, {Ref: eval, Digest: "1"}}, metav1.Now())
	writeInventory(obj, inventory.Inventory{eval: "v1"})
	if completed(obj, train, "1") != nil || completed(obj, eval, "1") == nil {
		t.Errorf("records %+v, want that of eval only", obj.Status.Weir.CompletedJobs)
	}
}

func TestRecordCompleted(t *testing.T) {
	first, later := metav1.Time{Time: time.Unix(1, 0)}, metav1.Time{Time: time.Unix(2, 0)}
	obj := &kustomizev1.Kustomization{}
	recordCompleted(obj, nil, first)
	if obj.Status.Weir != nil {
		t.Error("a record of nothing")
	}
	recordCompleted(obj, []apply.Finished{{Ref: train, Digest: "1", Succeeded: true}}, first)
	recordCompleted(obj, []apply.Finished{{Ref: train, Digest: "1", Succeeded: true}, {Ref: eval, Digest: "1"}}, later)
	want := []kustomizev1.CompletedJob{
		{ID: train.ID(), Digest: "1", Succeeded: true, FinishedAt: first}, {ID: eval.ID(), Digest: "1", FinishedAt: later},
	}
	if diff := cmp.Diff(want, obj.Status.Weir.CompletedJobs); diff != "" {
		t.Errorf("the same again (-want +got):\n%s", diff)
	}
	recordCompleted(obj, []apply.Finished{{Ref: train, Digest: "2"}}, later)
	want = []kustomizev1.CompletedJob{
		{ID: eval.ID(), Digest: "1", FinishedAt: later}, {ID: train.ID(), Digest: "2", FinishedAt: later},
	}
	if diff := cmp.Diff(want, obj.Status.Weir.CompletedJobs); diff != "" {
		t.Errorf("changed and run again (-want +got):\n%s", diff)
	}
	if completed(obj, train, "1") != nil || completed(obj, train, "2") == nil {
		t.Error("completed finds the wrong digest")
	}
}

func TestRecordCompletedForgetsTheOldest(t *testing.T) {
	obj := &kustomizev1.Kustomization{}
	ref := func(i int) inventory.Ref {
		return inventory.Ref{Namespace: "ns", Name: fmt.Sprintf("job-%d", i), Group: "batch", Kind: "Job"}
	}
	for i := range kustomizev1.MaxCompletedJobs + 1 {
		recordCompleted(obj, []apply.Finished{{Ref: ref(i), Digest: "1"}}, metav1.Now())
	}
	if got := len(obj.Status.Weir.CompletedJobs); got != kustomizev1.MaxCompletedJobs {
		t.Errorf("%d records, want %d", got, kustomizev1.MaxCompletedJobs)
	}
	if completed(obj, ref(0), "1") != nil || completed(obj, ref(kustomizev1.MaxCompletedJobs), "1") == nil {
		t.Error("it is not the oldest that is gone")
	}
}
