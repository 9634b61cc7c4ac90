// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names that Kueue gives to what it manages.
const (
	// QueueLabel on a workload names the queue that it waits in.
	QueueLabel = "kueue.x-k8s.io/queue-name"
	// WorkloadOwnerLabel on a Workload holds the UID of the object that it
	// stands for.
	WorkloadOwnerLabel = "kueue.x-k8s.io/job-uid"

	prebuiltWorkload = "kueue.x-k8s.io/prebuilt-workload-name"
	multiKueue       = "kueue.x-k8s.io/multikueue"
	admissionGate    = "kueue.x-k8s.io/admission"
)

// Workload is the kind that stands for an object in Kueue's queues.
var Workload = schema.GroupKind{Group: "kueue.x-k8s.io", Kind: "Workload"}

// InQueue reports whether a queue decides when an object starts: it has a
// queue, a Workload made for it, or is left to another cluster's queue.
func InQueue(obj *unstructured.Unstructured) bool {
	labels := obj.GetLabels()
	return labels[QueueLabel] != "" || labels[prebuiltWorkload] != "" || obj.GetAnnotations()[prebuiltWorkload] != "" ||
		slices.Contains([]string{at("spec.managedBy").text(obj.Object), at("spec.runPolicy.managedBy").text(obj.Object)}, multiKueue)
}

// waitingFor says what a queued object waits for, as far as it tells itself.
func waitingFor(obj *unstructured.Unstructured) string {
	for _, one := range []condition{isFalse("QuotaReserved"), isFalse("Admitted"), isFalse("PodScheduled"), isTrue("Unschedulable")} {
		if ok, said := one.ask(obj.Object); ok {
			return said.message
		}
	}
	if queue := obj.GetLabels()[QueueLabel]; queue != "" {
		return "waiting in queue " + queue
	}
	return "waiting in a queue"
}
