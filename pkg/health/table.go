// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import "time"

// settle is how long a failure that controllers are known to recover from has
// to stand.
const settle = 30 * time.Second

// table of the kinds that kstatus does not know well enough. docs/health.md
// lists it for users; a test holds the two together.
var table = []rule{
	// Kubernetes.
	{
		// kstatus fails a pod that is not scheduled within 15 s. With GPUs
		// that is usual: a node is being added, or a job ends soon.
		kinds:   []string{"Pod"},
		ends:    at("spec.restartPolicy").is("Never", "OnFailure"),
		done:    []test{at("status.phase").is("Succeeded")},
		waits:   []test{listed{at("spec.schedulingGates"), "name", []string{admissionGate}}},
		failed:  []test{at("status.phase").is("Failed")},
		current: []test{isTrue("Ready")},
		why:     []test{isFalse("PodScheduled")},
		message: at("status.message"),
		source:  "core/v1 PodPhase, PodConditionType",
	},
	{
		kinds: []string{"Deployment"}, group: "apps",
		// During a rollout a pod may be refused that fits once an old one
		// is gone.
		failed:  []test{isTrue("ReplicaFailure").saying("exceeded quota", "GPUQuota")},
		confirm: settle,
		others:  true,
		source:  "apps/v1 DeploymentReplicaFailure",
	},
	{
		// kstatus is content with a job that has started: what depends on a
		// training run depends on its result.
		group: "batch", kinds: []string{"Job"},
		ends:     always{},
		done:     []test{isTrue("Complete")},
		suspend:  at("spec.suspend"),
		failed:   []test{isTrue("Failed")},
		progress: &enough{amount{path: at("status.succeeded")}, amount{path: at("spec.completions"), otherwise: 1}},
		source:   "batch/v1 JobConditionType",
	},
	// Sets of jobs and pods.
	{
		group: "jobset.x-k8s.io", kinds: []string{"JobSet"},
		ends:    always{},
		done:    []test{at("status.terminalState").is("Completed"), isTrue("Completed")},
		suspend: at("spec.suspend"),
		failed:  []test{isTrue("Failed"), at("status.terminalState").is("Failed")},
		source:  "jobset.x-k8s.io/v1alpha2 JobSetConditionType, status.terminalState",
	},
	{
		group: "leaderworkerset.x-k8s.io", kinds: []string{"LeaderWorkerSet"},
		inProgress: []test{isTrue("UpdateInProgress")},
		current: []test{all{
			enough{amount{path: at("status.readyReplicas")}, amount{path: at("spec.replicas"), otherwise: 1}},
			enough{amount{path: at("status.updatedReplicas")}, amount{path: at("spec.replicas"), otherwise: 1}},
			isTrue("Available"),
		}},
		source: "leaderworkerset.x-k8s.io/v1 LeaderWorkerSetConditionType; it has no condition for failure",
	},
	{
		group: "workload.codeflare.dev", kinds: []string{"AppWrapper"},
		ends:    always{},
		done:    []test{at("status.phase").is("Succeeded")},
		suspend: at("spec.suspend"),
		failed:  []test{at("status.phase").is("Failed")},
		current: []test{all{at("status.phase").is("Running"), isTrue("PodsReady")}},
		source:  "workload.codeflare.dev/v1beta2 AppWrapperPhase",
	},
	// Ray.
	{
		// Provisioned stays True once it was, and a failure to make pods is
		// taken back when they can be made after all.
		group: "ray.io", kinds: []string{"RayCluster"},
		suspend:    at("spec.suspend"),
		inProgress: []test{isTrue("RayClusterSuspending")},
		failed:     []test{isTrue("ReplicaFailure"), at("status.state").is("failed")},
		confirm:    settle,
		current: []test{all{
			isTrue("HeadPodReady"), isTrue("RayClusterProvisioned"),
			enough{amount{path: at("status.readyWorkerReplicas")}, amount{path: at("status.desiredWorkerReplicas")}},
		}},
		source: "ray.io/v1 RayClusterConditionType",
	},
	{
		// jobStatus is that of the last attempt; only the state of the
		// deployment tells whether there will be another.
		group: "ray.io", kinds: []string{"RayJob"},
		ends:       always{},
		done:       []test{all{at("status.jobDeploymentStatus").is("Complete"), at("status.jobStatus").is("SUCCEEDED")}},
		suspend:    at("spec.suspend"),
		inProgress: []test{at("status.jobDeploymentStatus").is("Retrying", "Suspending")},
		failed: []test{
			at("status.jobDeploymentStatus").is("Failed", "ValidationFailed"),
			all{at("status.jobDeploymentStatus").is("Complete"), at("status.jobStatus").is("FAILED", "STOPPED")},
		},
		message: at("status.message"),
		source:  "ray.io/v1 JobDeploymentStatus, JobStatus",
	},
	{
		group: "ray.io", kinds: []string{"RayService"},
		suspend:    at("spec.suspend"),
		inProgress: []test{isTrue("UpgradeInProgress"), isTrue("RollbackInProgress"), isTrue("Suspending")},
		failed:     []test{isFalse("Ready", "ValidationFailed", "InitializingTimeout")},
		current:    []test{isTrue("Ready")},
		source:     "ray.io/v1 RayServiceConditionType",
	},
	// Kubeflow.
	{
		group: "kubeflow.org", kinds: []string{"PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob"},
		ends:    always{},
		done:    []test{isTrue("Succeeded")},
		suspend: at("spec.runPolicy.suspend"),
		failed:  []test{isTrue("Failed")},
		source:  "kubeflow.org/v1 and, for MPIJob, v2beta1 JobConditionType",
	},
	{
		group: "trainer.kubeflow.org", kinds: []string{"TrainJob"},
		ends:    always{},
		done:    []test{isTrue("Complete")},
		suspend: at("spec.suspend"),
		failed:  []test{isTrue("Failed")},
		source:  "trainer.kubeflow.org/v1alpha1 conditions of a TrainJob",
	},
	{
		group: "kubeflow.org", kinds: []string{"Notebook"},
		idle:    []test{present{path{"metadata", "annotations", "kubeflow-resource-stopped"}}},
		current: []test{enough{amount{path: at("status.readyReplicas")}, amount{otherwise: 1}}},
		source:  "kubeflow.org/v1 NotebookStatus",
	},
	{
		// A driver that could not be submitted is submitted again, if the
		// restart policy says so; otherwise FAILED follows.
		group: "sparkoperator.k8s.io", kinds: []string{"SparkApplication"},
		ends: always{},
		done: []test{at("status.applicationState.state").is("COMPLETED")},
		failed: []test{
			at("status.applicationState.state").is("FAILED"),
			all{at("status.applicationState.state").is("SUBMISSION_FAILED"), not{at("spec.restartPolicy.type").is("Always", "OnFailure")}},
		},
		current: []test{
			all{
				at("status.applicationState.state").is("RUNNING"), at("spec.dynamicAllocation.enabled").is("true"),
				enough{executors("RUNNING"), amount{otherwise: 1}},
				enough{executors("RUNNING", "COMPLETED"), amount{path: at("spec.dynamicAllocation.minExecutors")}},
			},
			all{
				at("status.applicationState.state").is("RUNNING"), at("spec.dynamicAllocation.enabled").is("", "false"),
				enough{executors("RUNNING"), amount{otherwise: 1}},
				enough{executors("RUNNING", "COMPLETED"), amount{path: at("spec.executor.instances"), otherwise: 1}},
			},
		},
		message: at("status.applicationState.errorMessage"),
		source:  "sparkoperator.k8s.io/v1beta2 ApplicationStateType, ExecutorState",
	},
	// Model servers.
	{
		group: "serving.kserve.io", kinds: []string{"InferenceService"},
		idle:    []test{isTrue("Stopped")},
		failed:  []test{at("status.modelStatus.transitionStatus").is("BlockedByFailedLoad", "InvalidSpec")},
		current: []test{all{isTrue("Ready"), at("status.modelStatus.transitionStatus").is("UpToDate", "")}},
		message: at("status.modelStatus.lastFailureInfo.message"),
		source:  "serving.kserve.io/v1beta1 TransitionStatus",
	},
	{
		// Ready=False has dozens of reasons, and most of them pass: gateways,
		// routes and pods that are not ready yet, errors that are retried.
		group: "serving.kserve.io", kinds: []string{"LLMInferenceService"},
		idle:    []test{isFalse("Ready", "Stopped")},
		failed:  []test{isFalse("PresetsCombined").except("", "Stopped")},
		confirm: settle,
		current: []test{isTrue("Ready")},
		source:  "serving.kserve.io/v1alpha2 conditions of an LLMInferenceService",
	},
	{
		group: "apps.nvidia.com", kinds: []string{"NIMService"},
		failed:  []test{isTrue("Failed"), at("status.state").is("Failed")},
		current: []test{all{isTrue("Ready"), at("status.state").is("Ready")}},
		source:  "apps.nvidia.com/v1alpha1 NIMServiceStatus",
	},
	{
		group: "nvidia.com", kinds: []string{"DynamoGraphDeployment"},
		failed:  []test{at("status.state").is("failed")},
		current: []test{all{isTrue("Ready"), at("status.state").is("successful")}},
		source:  "nvidia.com/v1beta1 DGDState",
	},
	{
		group: "kaito.sh", kinds: []string{"Workspace"},
		failed:  []test{at("status.state").is("Failed")},
		current: []test{isTrue("WorkspaceSucceeded")},
		source:  "kaito.sh/v1beta1 ConditionType",
	},
	{
		group: "serving.knative.dev", kinds: []string{"Service"},
		failed:  []test{isFalse("Ready")},
		current: []test{isTrue("Ready")},
		source:  "serving.knative.dev/v1 ServiceConditionReady",
	},
	// Volcano.
	{
		// The pods of a job are made when its PodGroup leaves the queue.
		group: "batch.volcano.sh", kinds: []string{"Job"},
		ends: always{},
		done: []test{at("status.state.phase").is("Completed")},
		waits: []test{all{
			at("status.state.phase").is("Pending"),
			at("status.pending").is(""), at("status.running").is(""), at("status.unknown").is(""),
		}},
		failed:  []test{at("status.state.phase").is("Failed", "Aborted", "Terminated")},
		message: at("status.state.message"),
		source:  "batch.volcano.sh/v1alpha1 JobPhase",
	},
	{
		group: "scheduling.volcano.sh", kinds: []string{"PodGroup"},
		waits:   []test{at("status.phase").is("Pending")},
		current: []test{at("status.phase").is("Running", "Completed")},
		source:  "scheduling.volcano.sh/v1beta1 PodGroupPhase",
	},
	// Argo.
	{
		group: "argoproj.io", kinds: []string{"Workflow"},
		ends:    always{},
		done:    []test{at("status.phase").is("Succeeded")},
		suspend: at("spec.suspend"),
		failed:  []test{at("status.phase").is("Failed", "Error")},
		message: at("status.message"),
		source:  "argoproj.io/v1alpha1 WorkflowPhase",
	},
	{
		group: "argoproj.io", kinds: []string{"Rollout"},
		failed:  []test{at("status.phase").is("Degraded")},
		current: []test{at("status.phase").is("Healthy")},
		message: at("status.message"),
		source:  "argoproj.io/v1alpha1 RolloutPhase",
	},
	// Kueue. A queue or check whose parts are not there yet gets well when
	// they are: they may be applied in any order.
	{
		group: "kueue.x-k8s.io", kinds: []string{"Workload"},
		failed: []test{
			isTrue("Finished", "Failed", "AdmissionChecksRejected"),
			isTrue("Evicted", "DeactivatedDueTo*"),
		},
		idle:    []test{at("spec.active").is("false")},
		waits:   []test{isFalse("QuotaReserved"), all{isTrue("QuotaReserved"), not{isTrue("Admitted")}}},
		current: []test{isTrue("Finished"), all{isTrue("Admitted"), not{isFalse("PodsReady")}}},
		source:  "kueue.x-k8s.io/v1beta1 conditions of a Workload",
	},
	{
		group: "kueue.x-k8s.io", kinds: []string{"ClusterQueue"},
		idle:    []test{isFalse("Active", "Stopped")},
		failed:  []test{isFalse("Active").except("Stopped")},
		confirm: settle,
		current: []test{isTrue("Active")},
		source:  "kueue.x-k8s.io/v1beta1 ClusterQueueActive",
	},
	{
		group: "kueue.x-k8s.io", kinds: []string{"LocalQueue"},
		idle:    []test{isFalse("Active", "Stopped")},
		current: []test{isTrue("Active")},
		source:  "kueue.x-k8s.io/v1beta1 LocalQueueActive",
	},
	{
		group: "kueue.x-k8s.io", kinds: []string{"AdmissionCheck"},
		current: []test{isTrue("Active")},
		source:  "kueue.x-k8s.io/v1beta1 AdmissionCheckActive",
	},
	{
		group: "kueue.x-k8s.io", kinds: []string{"ResourceFlavor"},
		current: []test{always{}},
		source:  "kueue.x-k8s.io/v1beta1 ResourceFlavor has nothing to report",
	},
}

func executors(states ...string) amount {
	return amount{path: at("status.executorState"), values: states}
}
