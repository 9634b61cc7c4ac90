// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// parse reads an object. In it, GPU2 stands for a list of one container that
// asks for two GPUs.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	for _, n := range []string{"1", "2", "4", "8"} {
		text = strings.ReplaceAll(text, "GPU"+n, `[{name: main, resources: {limits: {cpu: 500m, nvidia.com/gpu: `+n+`}}}]`)
	}
	var content map[string]any
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s\n%s", err, text)
	}
	// As in objects of the API server, whole numbers are not floats.
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatalf("%s\n%s", err, text)
	}
	return &unstructured.Unstructured{Object: content}
}

// pods is a group of pods, each with some nvidia.com/gpu.
func pods(gpus, minimum, maximum int64) Group {
	return Group{Shape: Shape{Resources: Amounts{"nvidia.com/gpu": Whole(gpus)}}, Min: minimum, Max: maximum}
}

func surging(g Group, surge int64, stuck bool) Group {
	g.Surge, g.Stuck = surge, stuck
	return g
}

type estimateCase struct {
	object       string
	hpaMin, live *int64
	want         Estimate
}

func testEstimates(t *testing.T, cases map[string]estimateCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := BuiltinKinds().Estimate(parse(t, tc.object), tc.hpaMin, tc.live)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Estimate (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEstimateOfPods(t *testing.T) {
	testEstimates(t, map[string]estimateCase{
		"pod":                    {object: `{apiVersion: v1, kind: Pod, spec: {containers: GPU2}}`, want: Estimate{Groups: []Group{pods(2, 1, 1)}}},
		"pod that succeeded":     {object: `{apiVersion: v1, kind: Pod, spec: {containers: GPU2}, status: {phase: Succeeded}}`},
		"pod that failed":        {object: `{apiVersion: v1, kind: Pod, spec: {containers: GPU2}, status: {phase: Failed}}`},
		"pod that runs":          {object: `{apiVersion: v1, kind: Pod, spec: {containers: GPU2}, status: {phase: Running}}`, want: Estimate{Groups: []Group{pods(2, 1, 1)}}},
		"config map":             {object: `{apiVersion: v1, kind: ConfigMap, data: {a: b}}`},
		"replica set":            {object: `{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 3, template: {spec: {containers: GPU1}}}}`, want: Estimate{Groups: []Group{pods(1, 3, 3)}}},
		"stateful set":           {object: `{apiVersion: apps/v1, kind: StatefulSet, spec: {template: {spec: {containers: GPU4}}}}`, want: Estimate{Groups: []Group{pods(4, 1, 1)}}},
		"replication controller": {object: `{apiVersion: v1, kind: ReplicationController, spec: {replicas: 2, template: {spec: {containers: GPU1}}}}`, want: Estimate{Groups: []Group{pods(1, 2, 2)}}},
		"stateful set with an autoscaler": {
			object: `{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 7, template: {spec: {containers: GPU4}}}}`, hpaMin: new(int64(2)), live: new(int64(0)),
			want: Estimate{Groups: []Group{pods(4, 2, -1)}},
		},
		"daemon set": {
			object: `{apiVersion: apps/v1, kind: DaemonSet, spec: {template: {spec: {containers: GPU1}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 0, -1)}, Unknown: "it has a pod on each node that matches"},
		},
		"daemon set without GPUs": {object: `{apiVersion: apps/v1, kind: DaemonSet, spec: {template: {spec: {containers: [{name: a}]}}}}`},
	})
}

func TestEstimateOfDeployments(t *testing.T) {
	testEstimates(t, map[string]estimateCase{
		"deployment, one replica, would be stuck": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: GPU8}}}}`,
			want:   Estimate{Groups: []Group{surging(pods(8, 1, 1), 1, true)}},
		},
		"deployment, four replicas, gives one up": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 4, template: {spec: {containers: GPU2}}}}`,
			want:   Estimate{Groups: []Group{surging(pods(2, 4, 4), 1, false)}},
		},
		"deployment, percentages are rounded up and down": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 5, strategy: {rollingUpdate: {maxSurge: 30%, maxUnavailable: 19%}}, template: {spec: {containers: GPU1}}}}`,
			want:   Estimate{Groups: []Group{surging(pods(1, 5, 5), 2, true)}},
		},
		"deployment, numbers": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 5, strategy: {rollingUpdate: {maxSurge: 3, maxUnavailable: 1}}, template: {spec: {containers: GPU1}}}}`,
			want:   Estimate{Groups: []Group{surging(pods(1, 5, 5), 3, false)}},
		},
		"deployment without surge": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}, template: {spec: {containers: GPU1}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 1, 1)}},
		},
		"deployment, neither surge nor unavailable": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {rollingUpdate: {maxSurge: 0%, maxUnavailable: 0}}, template: {spec: {containers: GPU1}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 1, 1)}},
		},
		"deployment that recreates": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3, strategy: {type: Recreate}, template: {spec: {containers: GPU1}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 3, 3)}},
		},
		"deployment of zero":       {object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0, template: {spec: {containers: GPU1}}}}`},
		"deployment of minus five": {object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: -5, template: {spec: {containers: GPU1}}}}`},
		"deployment without GPUs":  {object: `{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: 1}}}]}}}}`},
		"deployment, an autoscaler keeps more": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, template: {spec: {containers: GPU1}}}}`, hpaMin: new(int64(4)),
			want: Estimate{Groups: []Group{surging(pods(1, 4, -1), 1, false)}},
		},
		"deployment, an autoscaler has made more": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, template: {spec: {containers: GPU1}}}}`, hpaMin: new(int64(4)), live: new(int64(9)),
			want: Estimate{Groups: []Group{surging(pods(1, 9, -1), 3, false)}},
		},
		"deployment, live replicas without an autoscaler": {
			object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 2, strategy: {type: Recreate}, template: {spec: {containers: GPU1}}}}`, live: new(int64(9)),
			want: Estimate{Groups: []Group{pods(1, 2, 2)}},
		},
	})
}

func TestEstimateOfJobs(t *testing.T) {
	testEstimates(t, map[string]estimateCase{
		"job": {
			object: `{apiVersion: batch/v1, kind: Job, spec: {parallelism: 8, completions: 3, template: {spec: {containers: GPU1}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 3, 3)}},
		},
		"job without completions": {object: `{apiVersion: batch/v1, kind: Job, spec: {parallelism: 8, template: {spec: {containers: GPU1}}}}`, want: Estimate{Groups: []Group{pods(1, 8, 8)}}},
		"job that is suspended":   {object: `{apiVersion: batch/v1, kind: Job, spec: {suspend: true, template: {spec: {containers: GPU1}}}}`},
		"job that is complete":    {object: `{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {containers: GPU1}}}, status: {conditions: [{type: Complete, status: "True"}]}}`},
		"job that is not complete": {
			object: `{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {containers: GPU1}}}, status: {conditions: [{type: Complete, status: "False"}]}}`,
			want:   Estimate{Groups: []Group{pods(1, 1, 1)}},
		},
		"cron job that allows many": {
			object: `{apiVersion: batch/v1, kind: CronJob, spec: {jobTemplate: {spec: {parallelism: 2, template: {spec: {containers: GPU1}}}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 2, -1)}},
		},
		"cron job, one at a time": {
			object: `{apiVersion: batch/v1, kind: CronJob, spec: {concurrencyPolicy: Forbid, jobTemplate: {spec: {template: {spec: {containers: GPU1}}}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 1, 1)}},
		},
		"cron job, autoscalers do not set its pods": {
			object: `{apiVersion: batch/v1, kind: CronJob, spec: {concurrencyPolicy: Replace, jobTemplate: {spec: {template: {spec: {containers: GPU1}}}}}}`, hpaMin: new(int64(5)),
			want: Estimate{Groups: []Group{pods(1, 1, 1)}},
		},
		"cron job that is suspended": {object: `{apiVersion: batch/v1, kind: CronJob, spec: {suspend: true, jobTemplate: {spec: {template: {spec: {containers: GPU1}}}}}}`},
	})
}

func TestEstimateOfSets(t *testing.T) {
	testEstimates(t, map[string]estimateCase{
		"job set": {
			object: `{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, spec: {replicatedJobs: [
				{name: driver, template: {spec: {template: {spec: {containers: [{name: a}]}}}}},
				{name: workers, replicas: 4, template: {spec: {parallelism: 8, completions: 2, template: {spec: {containers: GPU8}}}}}]}}`,
			want: Estimate{Groups: []Group{pods(8, 8, 8)}},
		},
		"leader and workers": {
			object: `{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, spec: {replicas: 3, leaderWorkerTemplate: {size: 4,
				leaderTemplate: {spec: {containers: GPU1}}, workerTemplate: {spec: {containers: GPU8}}}}}`,
			want: Estimate{Groups: []Group{pods(1, 3, 3), pods(8, 9, 9)}},
		},
		"workers only, surge by groups": {
			object: `{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, spec: {replicas: 3, rolloutStrategy: {rollingUpdateConfiguration: {maxSurge: 2, maxUnavailable: 0}},
				leaderWorkerTemplate: {size: 4, workerTemplate: {spec: {containers: GPU8}}}}}`,
			want: Estimate{Groups: []Group{surging(pods(8, 3, 3), 2, true), surging(pods(8, 9, 9), 6, true)}},
		},
		"groups with an autoscaler": {
			object: `{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, spec: {leaderWorkerTemplate: {size: 3, workerTemplate: {spec: {containers: GPU1}}}}}`, hpaMin: new(int64(2)),
			want: Estimate{Groups: []Group{pods(1, 2, -1), pods(1, 4, -1)}},
		},
		"groups of one": {
			object: `{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, spec: {leaderWorkerTemplate: {workerTemplate: {spec: {containers: GPU8}}}}}`,
			want:   Estimate{Groups: []Group{pods(8, 1, 1)}},
		},
	})
}

func TestEstimateOfRay(t *testing.T) {
	testEstimates(t, map[string]estimateCase{
		"ray cluster": {
			object: `{apiVersion: ray.io/v1, kind: RayCluster, spec: {headGroupSpec: {template: {spec: {containers: GPU1}}}, workerGroupSpecs: [
				{replicas: 2, minReplicas: 3, maxReplicas: 9, numOfHosts: 4, template: {spec: {containers: GPU8}}},
				{replicas: 2, suspend: true, template: {spec: {containers: GPU8}}},
				{replicas: 5, maxReplicas: 1, template: {spec: {containers: GPU2}}}]}}`,
			want: Estimate{Groups: []Group{pods(1, 1, 1), pods(8, 12, 12), pods(2, 1, 1)}},
		},
		"ray cluster that scales itself": {
			object: `{apiVersion: ray.io/v1, kind: RayCluster, spec: {enableInTreeAutoscaling: true, headGroupSpec: {template: {spec: {containers: [{name: a}]}}}, workerGroupSpecs: [
				{replicas: 0, maxReplicas: 9, numOfHosts: 2, template: {spec: {containers: GPU8}}}, {replicas: 1, maxReplicas: 2147483647, template: {spec: {containers: GPU4}}}]}}`,
			want: Estimate{Groups: []Group{pods(8, 0, 18), pods(4, 1, -1)}},
		},
		"ray cluster that is suspended": {object: `{apiVersion: ray.io/v1, kind: RayCluster, spec: {suspend: true, headGroupSpec: {template: {spec: {containers: GPU1}}}}}`},
		"ray job": {
			object: `{apiVersion: ray.io/v1, kind: RayJob, spec: {rayClusterSpec: {headGroupSpec: {template: {spec: {containers: GPU1}}}, workerGroupSpecs: [
				{replicas: 2, template: {spec: {containers: GPU8}}}]}, submitterPodTemplate: {spec: {containers: GPU2}}}}`,
			want: Estimate{Groups: []Group{pods(1, 1, 1), pods(8, 2, 2), pods(2, 1, 1)}},
		},
		"ray job on a cluster that is there": {
			object: `{apiVersion: ray.io/v1, kind: RayJob, spec: {clusterSelector: {ray.io/cluster: shared}, rayClusterSpec: {headGroupSpec: {template: {spec: {containers: GPU1}}}}}}`,
		},
		"ray service has two clusters during an upgrade": {
			object: `{apiVersion: ray.io/v1, kind: RayService, spec: {rayClusterConfig: {headGroupSpec: {template: {spec: {containers: GPU1}}}, workerGroupSpecs: [
				{replicas: 2, numOfHosts: 2, template: {spec: {containers: GPU8}}}]}}}`,
			want: Estimate{Groups: []Group{surging(pods(1, 1, 1), 1, true), surging(pods(8, 4, 4), 4, true)}},
		},
		"ray service that is not upgraded": {
			object: `{apiVersion: ray.io/v1, kind: RayService, spec: {upgradeStrategy: {type: None}, rayClusterConfig: {headGroupSpec: {template: {spec: {containers: GPU1}}}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 1, 1)}},
		},
	})
}

func TestEstimateOfKubeflow(t *testing.T) {
	testEstimates(t, map[string]estimateCase{
		"pytorch job": {
			object: `{apiVersion: kubeflow.org/v1, kind: PyTorchJob, spec: {pytorchReplicaSpecs: {Worker: {replicas: 3, template: {spec: {containers: GPU8}}}, Master: {template: {spec: {containers: GPU1}}}}}}`,
			want:   Estimate{Groups: []Group{pods(1, 1, 1), pods(8, 3, 3)}},
		},
		"elastic pytorch job": {
			object: `{apiVersion: kubeflow.org/v1, kind: PyTorchJob, spec: {elasticPolicy: {minReplicas: 1, maxReplicas: 6}, pytorchReplicaSpecs: {Worker: {replicas: 3, template: {spec: {containers: GPU8}}}}}}`,
			want:   Estimate{Groups: []Group{pods(8, 3, 6)}},
		},
		"pytorch job that is suspended": {object: `{apiVersion: kubeflow.org/v1, kind: PyTorchJob, spec: {runPolicy: {suspend: true}, pytorchReplicaSpecs: {Worker: {template: {spec: {containers: GPU8}}}}}}`},
		"tf job":                        {object: `{apiVersion: kubeflow.org/v1, kind: TFJob, spec: {tfReplicaSpecs: {PS: {template: {spec: {containers: [{name: a}]}}}, Worker: {replicas: 2, template: {spec: {containers: GPU1}}}}}}`, want: Estimate{Groups: []Group{pods(1, 2, 2)}}},
		"xgboost job":                   {object: `{apiVersion: kubeflow.org/v1, kind: XGBoostJob, spec: {xgbReplicaSpecs: {Worker: {replicas: 2, template: {spec: {containers: GPU1}}}}}}`, want: Estimate{Groups: []Group{pods(1, 2, 2)}}},
		"paddle job":                    {object: `{apiVersion: kubeflow.org/v1, kind: PaddleJob, spec: {paddleReplicaSpecs: {Worker: {replicas: 2, template: {spec: {containers: GPU1}}}}}}`, want: Estimate{Groups: []Group{pods(1, 2, 2)}}},
		"jax job":                       {object: `{apiVersion: kubeflow.org/v1, kind: JAXJob, spec: {jaxReplicaSpecs: {Worker: {replicas: 2, template: {spec: {containers: GPU1}}}}}}`, want: Estimate{Groups: []Group{pods(1, 2, 2)}}},
		"mpi job v2beta1":               {object: `{apiVersion: kubeflow.org/v2beta1, kind: MPIJob, spec: {mpiReplicaSpecs: {Launcher: {template: {spec: {containers: [{name: a}]}}}, Worker: {replicas: 2, template: {spec: {containers: GPU1}}}}}}`, want: Estimate{Groups: []Group{pods(1, 2, 2)}}},
		"mpi job v1":                    {object: `{apiVersion: kubeflow.org/v1, kind: MPIJob, spec: {mpiReplicaSpecs: {Worker: {replicas: 2, template: {spec: {containers: GPU1}}}}}}`, want: Estimate{Groups: []Group{pods(1, 2, 2)}}},
		"train job":                     {object: `{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, spec: {}}`, want: Estimate{Unknown: "its pods come from the training runtime that it refers to"}},
	})
}

func TestEstimateOfKServe(t *testing.T) {
	testEstimates(t, map[string]estimateCase{
		"inference service with a model": {
			object: `{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {minReplicas: 2, maxReplicas: 5, model: {resources: {limits: {nvidia.com/gpu: "1"}}}}}}`,
			want:   Estimate{Groups: []Group{surging(pods(1, 2, 5), 2, true)}},
		},
		"inference service with containers and a transformer": {
			object: `{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {containers: GPU2}, transformer: {minReplicas: 0, containers: GPU1}}}`,
			want:   Estimate{Groups: []Group{surging(pods(2, 1, -1), 1, true), pods(1, 0, -1)}},
		},
		"inference service that may inherit": {
			object: `{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {sklearn: {resources: {limits: {cpu: 1}}}}}}`,
			want:   Estimate{Unknown: "the model's container may have devices from a ServingRuntime"},
		},
		"inference service on several nodes": {
			object: `{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, spec: {predictor: {model: {resources: {limits: {nvidia.com/gpu: "1"}}}, workerSpec: {pipelineParallelSize: 2}}}}`,
			want:   Estimate{Unknown: "the devices of its workers follow from the parallelism and the ServingRuntime"},
		},
		"inference service that is stopped": {
			object: `{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, metadata: {annotations: {serving.kserve.io/stop: "true"}}, spec: {predictor: {containers: GPU2}}}`,
		},
	})
}
