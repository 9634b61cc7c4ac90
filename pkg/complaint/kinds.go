// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package complaint

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// podTemplateHash is the label that a Deployment puts on pods, and the suffix
// of the ReplicaSet that made them.
const podTemplateHash = "pod-template-hash"

var podKind = schema.GroupKind{Kind: "Pod"}

// workloads are the kinds whose pods are found by their selector and told
// from others by their owner.
var workloads = map[schema.GroupKind]schema.GroupVersionResource{
	{Group: "apps", Kind: "Deployment"}:  {Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Kind: "StatefulSet"}: {Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "apps", Kind: "DaemonSet"}:   {Group: "apps", Version: "v1", Resource: "daemonsets"},
	{Group: "apps", Kind: "ReplicaSet"}:  replicaSetResource,
	{Group: "batch", Kind: "Job"}:        {Group: "batch", Version: "v1", Resource: "jobs"},
}

// podLabels are the labels by which operators mark the pods of an object with
// its name.
var podLabels = map[schema.GroupKind]string{
	{Group: "jobset.x-k8s.io", Kind: "JobSet"}:                   "jobset.sigs.k8s.io/jobset-name",
	{Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet"}: "leaderworkerset.sigs.k8s.io/name",
	{Group: "trainer.kubeflow.org", Kind: "TrainJob"}:            "jobset.sigs.k8s.io/jobset-name",
	{Group: "kubeflow.org", Kind: "PyTorchJob"}:                  "training.kubeflow.org/job-name",
	{Group: "kubeflow.org", Kind: "TFJob"}:                       "training.kubeflow.org/job-name",
	{Group: "kubeflow.org", Kind: "MPIJob"}:                      "training.kubeflow.org/job-name",
	{Group: "kubeflow.org", Kind: "XGBoostJob"}:                  "training.kubeflow.org/job-name",
	{Group: "kubeflow.org", Kind: "PaddleJob"}:                   "training.kubeflow.org/job-name",
	{Group: "kubeflow.org", Kind: "JAXJob"}:                      "training.kubeflow.org/job-name",
	{Group: "kubeflow.org", Kind: "Notebook"}:                    "notebook-name",
	{Group: "ray.io", Kind: "RayCluster"}:                        "ray.io/cluster",
	{Group: "ray.io", Kind: "RayJob"}:                            "ray.io/originated-from-cr-name",
	{Group: "serving.kserve.io", Kind: "InferenceService"}:       "serving.kserve.io/inferenceservice",
	{Group: "serving.knative.dev", Kind: "Service"}:              "serving.knative.dev/service",
	{Group: "batch.volcano.sh", Kind: "Job"}:                     "volcano.sh/job-name",
	{Group: "argoproj.io", Kind: "Workflow"}:                     "workflows.argoproj.io/workflow",
	{Group: "sparkoperator.k8s.io", Kind: "SparkApplication"}:    "sparkoperator.k8s.io/app-name",
}

// workload is what all kinds of workloads have.
type workload struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector *metav1.LabelSelector `json:"selector"`
	} `json:"spec"`
}
