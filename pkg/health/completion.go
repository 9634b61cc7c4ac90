// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// terminal names the conditions that end a kind that runs to completion.
type terminal struct {
	succeeded, failed string
}

// terminals are the kinds that run to completion and say so in a condition.
// Sources: batch/v1 JobConditionType; kubeflow.org/v1 JobConditionType;
// jobset.x-k8s.io/v1alpha2 JobSetConditionType; trainer.kubeflow.org/v1alpha1.
var terminals = map[schema.GroupKind]terminal{
	job: {"Complete", "Failed"},
	{Group: "jobset.x-k8s.io", Kind: "JobSet"}:        {"Completed", "Failed"},
	{Group: "trainer.kubeflow.org", Kind: "TrainJob"}: {"Complete", "Failed"},
	{Group: "kubeflow.org", Kind: "PyTorchJob"}:       {"Succeeded", "Failed"},
	{Group: "kubeflow.org", Kind: "TFJob"}:            {"Succeeded", "Failed"},
	{Group: "kubeflow.org", Kind: "MPIJob"}:           {"Succeeded", "Failed"},
	{Group: "kubeflow.org", Kind: "XGBoostJob"}:       {"Succeeded", "Failed"},
	{Group: "kubeflow.org", Kind: "PaddleJob"}:        {"Succeeded", "Failed"},
	{Group: "kubeflow.org", Kind: "JAXJob"}:           {"Succeeded", "Failed"},
}

// RunsToCompletion reports whether objects of a kind end by themselves, so
// that one that is gone may have done its work.
func RunsToCompletion(gk schema.GroupKind) bool {
	_, ok := terminals[gk]
	return ok
}

// completion reports whether obj has run to its end, how, and what it says.
func completion(obj *unstructured.Unstructured) (finished, succeeded bool, message string) {
	ends, ok := terminals[obj.GroupVersionKind().GroupKind()]
	if !ok {
		return false, false, ""
	}
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
		if condition["status"] != "True" {
			continue
		}
		switch condition["type"] {
		case ends.succeeded:
			return true, true, ""
		case ends.failed:
			text, _ := condition["message"].(string)
			return true, false, text
		}
	}
	return false, false, ""
}
