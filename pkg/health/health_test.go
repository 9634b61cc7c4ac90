// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

func TestOf(t *testing.T) {
	const (
		deployment = "apiVersion: apps/v1\nkind: Deployment\n"
		job        = "apiVersion: batch/v1\nkind: Job\n"
		jobSet     = "apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet\n"
		pyTorch    = "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\n"
		trainJob   = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\n"
		model      = "apiVersion: serving.example.com/v1\nkind: Model\n"
		plain      = "metadata: {name: x, namespace: ns, generation: 2}\n"
		queued     = "metadata: {name: x, namespace: ns, labels: {kueue.x-k8s.io/queue-name: q}}\n"
		deleted    = "metadata: {name: x, namespace: ns, deletionTimestamp: '2026-01-01T00:00:00Z'}\n"
		available  = "conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]"
	)
	for name, tc := range map[string]struct {
		obj  string
		want Result
	}{
		"deployment, ready": {
			deployment + plain + "spec: {replicas: 2}\nstatus: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, " + available + "}",
			Result{Status: Current},
		},
		"deployment, not seen yet": {
			deployment + plain + "spec: {replicas: 2}\nstatus: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, " + available + "}",
			Result{Status: InProgress, Message: "Deployment generation is 2, but latest observed generation is 1"},
		},
		"deployment, rolling out": {
			deployment + plain + "spec: {replicas: 2}\nstatus: {observedGeneration: 2, replicas: 2, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2, " + available + "}",
			Result{Status: InProgress, Message: "Updated: 1/2"},
		},
		"deployment, deadline exceeded": {
			deployment + plain + "spec: {replicas: 2}\nstatus: {observedGeneration: 2, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}",
			Result{Status: Failed, Message: "Progress deadline exceeded"},
		},
		"job, new":       {job + plain, Result{Status: InProgress, Message: "Job has completed 0 of 1 pods"}},
		"job, running":   {job + plain + "spec: {completions: 3}\nstatus: {active: 2, succeeded: 1, startTime: '2026-01-01T00:00:00Z'}", Result{Status: InProgress, Message: "Job has completed 1 of 3 pods"}},
		"job, complete":  {job + plain + "status: {conditions: [{type: Complete, status: 'True', message: done}]}", Result{Status: Current, Finished: true}},
		"job, failing":   {job + plain + "status: {conditions: [{type: FailureTarget, status: 'True'}, {type: Failed, status: 'False'}]}", Result{Status: InProgress, Message: "Job has completed 0 of 1 pods"}},
		"job, failed":    {job + plain + "status: {conditions: [{type: Failed, status: 'True', message: too often}]}", Result{Status: Failed, Message: "too often", Finished: true}},
		"job, suspended": {job + plain + "spec: {suspend: true}", Result{Status: Current}},
		"job, queued":    {job + queued + "spec: {suspend: true}", Result{Status: InProgress, Message: "Job is queued"}},
		"job, admitted":  {job + queued + "spec: {suspend: false}", Result{Status: InProgress, Message: "Job has completed 0 of 1 pods"}},
		"job, complete and suspended": {
			job + plain + "spec: {suspend: true}\nstatus: {conditions: [{type: Suspended, status: 'True'}, {type: Complete, status: 'True'}]}",
			Result{Status: Current, Finished: true},
		},
		"job, deleted": {job + deleted, Result{Status: Terminating, Message: "Job is being deleted"}},
		// kstatus knows nothing of these kinds but their conditions.
		"job set, complete":      {jobSet + plain + "status: {conditions: [{type: Completed, status: 'True'}]}", Result{Status: Current, Finished: true}},
		"job set, failed":        {jobSet + plain + "status: {conditions: [{type: Failed, status: 'True', message: worker died}]}", Result{Status: Failed, Message: "worker died", Finished: true}},
		"job set, wrong word":    {jobSet + plain + "status: {conditions: [{type: Complete, status: 'True'}]}", Result{Status: InProgress, Message: "JobSet has not finished"}},
		"PyTorch, running":       {pyTorch + plain + "status: {conditions: [{type: Created, status: 'True'}, {type: Running, status: 'True'}]}", Result{Status: InProgress, Message: "PyTorchJob has not finished"}},
		"PyTorch, succeeded":     {pyTorch + plain + "status: {conditions: [{type: Running, status: 'False'}, {type: Succeeded, status: 'True'}]}", Result{Status: Current, Finished: true}},
		"PyTorch, failed":        {pyTorch + plain + "status: {conditions: [{type: Running, status: 'False'}, {type: Failed, status: 'True', message: out of memory}]}", Result{Status: Failed, Message: "out of memory", Finished: true}},
		"train job, complete":    {trainJob + plain + "status: {conditions: [{type: Complete, status: 'True'}]}", Result{Status: Current, Finished: true}},
		"resource, ready":        {model + plain + "status: {observedGeneration: 2, conditions: [{type: Ready, status: 'True', message: loaded}]}", Result{Status: Current}},
		"resource, not ready":    {model + plain + "status: {observedGeneration: 2, conditions: [{type: Ready, status: 'False', reason: Loading, message: ' loading '}]}", Result{Status: InProgress, Message: "loading"}},
		"resource, old status":   {model + plain + "status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}", Result{Status: InProgress, Message: "Model generation is 2, but latest observed generation is 1"}},
		"resource, stalled":      {model + plain + "status: {observedGeneration: 2, conditions: [{type: Stalled, status: 'True', message: no such model}]}", Result{Status: Failed, Message: "no such model"}},
		"resource, no status":    {model + plain, Result{Status: Current}},
		"resource, Failed alone": {model + plain + "status: {observedGeneration: 2, conditions: [{type: Failed, status: 'True'}]}", Result{Status: Current}},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &unstructured.Unstructured{}
			data, err := yaml.YAMLToJSON([]byte(tc.obj))
			if err == nil {
				err = obj.UnmarshalJSON(data)
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, Of(obj)); diff != "" {
				t.Errorf("health (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfWhatCannotBeJudged(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Thing", "status": map[string]any{"conditions": "none"}}}
	if got := Of(obj); got.Status != Unknown || got.Message == "" {
		t.Errorf("%+v, want Unknown and why", got)
	}
}

func TestRunsToCompletion(t *testing.T) {
	for gk, want := range map[schema.GroupKind]bool{
		{Group: "batch", Kind: "Job"}:                     true,
		{Group: "jobset.x-k8s.io", Kind: "JobSet"}:        true,
		{Group: "trainer.kubeflow.org", Kind: "TrainJob"}: true,
		{Group: "kubeflow.org", Kind: "PyTorchJob"}:       true,
		{Group: "kubeflow.org", Kind: "MPIJob"}:           true,
		{Group: "batch", Kind: "CronJob"}:                 false,
		{Group: "apps", Kind: "Deployment"}:               false,
		{Group: "example.com", Kind: "Job"}:               false,
	} {
		if got := RunsToCompletion(gk); got != want {
			t.Errorf("RunsToCompletion(%s) = %t, want %t", gk, got, want)
		}
	}
}
