// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const volcano = `
kinds:
- group: batch.volcano.sh
  kind: Job
  podSets:
  - {each: spec.tasks, template: template, replicas: {path: replicas, default: 1}}
- group: example.com
  kind: Odd
  suspended: ['spec["a.b"].halted']
  podSets:
  - {podSpec: pod}
`

func TestBuiltinKinds(t *testing.T) {
	kinds := &Kinds{byKind: map[schema.GroupKind]*compiledKind{}}
	if err := kinds.add("kinds.yaml", builtin); err != nil {
		t.Fatal(err)
	}
	if got := len(BuiltinKinds().Table()); got != len(kinds.order) || got < 30 {
		t.Errorf("%d kinds are built in, %d in the file", got, len(kinds.order))
	}
	if !BuiltinKinds().Knows(schema.GroupKind{Group: "apps", Kind: "Deployment"}) || BuiltinKinds().Knows(schema.GroupKind{Kind: "Service"}) {
		t.Error("Knows is wrong")
	}
}

// TestKindsThatAreMeant: each kind of ML platforms that has pods is counted, or
// says why not.
func TestKindsThatAreMeant(t *testing.T) {
	for kind, known := range map[string]bool{
		"Pod": true, "ReplicationController": true, "Deployment.apps": true, "ReplicaSet.apps": true, "StatefulSet.apps": true, "DaemonSet.apps": true,
		"Job.batch": true, "CronJob.batch": true, "JobSet.jobset.x-k8s.io": true, "LeaderWorkerSet.leaderworkerset.x-k8s.io": true,
		"RayCluster.ray.io": true, "RayJob.ray.io": true, "RayService.ray.io": true,
		"PyTorchJob.kubeflow.org": true, "TFJob.kubeflow.org": true, "XGBoostJob.kubeflow.org": true, "PaddleJob.kubeflow.org": true, "JAXJob.kubeflow.org": true,
		"MPIJob.kubeflow.org": true, "InferenceService.serving.kserve.io": true,
		"TrainJob.trainer.kubeflow.org": false, "LLMInferenceService.serving.kserve.io": false, "Job.batch.volcano.sh": false, "Workflow.argoproj.io": false,
		"CronWorkflow.argoproj.io": false, "Rollout.argoproj.io": false, "SparkApplication.sparkoperator.k8s.io": false, "Notebook.kubeflow.org": false,
		"NIMService.apps.nvidia.com": false, "DynamoGraphDeployment.nvidia.com": false, "Workspace.kaito.sh": false, "InferenceSet.kaito.sh": false,
		"Service.serving.knative.dev": false, "AppWrapper.workload.codeflare.dev": false, "ScaledJob.keda.sh": false,
		"ResourceClaim.resource.k8s.io": false, "ResourceClaimTemplate.resource.k8s.io": false,
	} {
		gk := schema.ParseGroupKind(kind)
		found := BuiltinKinds().byKind[gk]
		if found == nil || (found.unknown == "") != known {
			t.Errorf("%s: got %+v, want it known: %t", kind, found, known)
		}
	}
}

func TestKindsOfUsers(t *testing.T) {
	kinds, err := BuiltinKinds().With(map[string]string{"volcano.yaml": volcano})
	if err != nil {
		t.Fatal(err)
	}
	job := parse(t, `{apiVersion: batch.volcano.sh/v1alpha1, kind: Job, spec: {tasks: [{replicas: 3, template: {spec: {containers: GPU2}}}, {template: {spec: {containers: GPU1}}}]}}`)
	if diff := cmp.Diff(Estimate{Groups: []Group{pods(2, 3, 3), pods(1, 1, 1)}}, kinds.Estimate(job, nil, nil)); diff != "" {
		t.Errorf("Estimate (-want +got):\n%s", diff)
	}
	for halted, want := range map[string]Estimate{"true": {}, "false": {Groups: []Group{pods(1, 1, 1)}}} {
		odd := parse(t, `{apiVersion: example.com/v9, kind: Odd, spec: {a.b: {halted: `+halted+`}}, pod: {containers: GPU1}}`)
		if diff := cmp.Diff(want, kinds.Estimate(odd, nil, nil)); diff != "" {
			t.Errorf("Estimate (-want +got):\n%s", diff)
		}
	}
	if got := BuiltinKinds().Estimate(job, nil, nil); got.Unknown != "it is not built in" {
		t.Errorf("the built-in kinds have changed: %v", got)
	}
	if len(kinds.Table()) != len(BuiltinKinds().Table())+1 {
		t.Error("the table has a kind twice")
	}
	if none, err := BuiltinKinds().With(nil); err != nil || len(none.Table()) != len(BuiltinKinds().Table()) {
		t.Errorf("without any: %v", err)
	}
}

func TestKindsOfUsersRefused(t *testing.T) {
	entry := func(text string) map[string]string { return map[string]string{"k.yaml": "kinds: [" + text + "]"} }
	set := func(text string) map[string]string { return entry(`{group: g, kind: K, podSets: [` + text + `]}`) }
	for name, tc := range map[string]struct {
		data map[string]string
		want string
	}{
		"not YAML":              {map[string]string{"k.yaml": "a: ["}, "k.yaml: read the kinds: "},
		"an unknown field":      {set(`{template: a, replica: {path: b}}`), `k.yaml: kinds[0]: `},
		"no kind":               {entry(`{group: g}`), "k.yaml: kinds[0] (.g): kind is empty"},
		"no pod sets":           {entry(`{group: g, kind: K}`), "k.yaml: kinds[0] (K.g): podSets is empty"},
		"unknown and pod sets":  {entry(`{group: g, kind: K, unknown: a, podSets: [{template: b}]}`), "both unknown and podSets"},
		"no template":           {set(`{each: a}`), "k.yaml: kinds[0] (K.g): podSets[0]: give either template or podSpec"},
		"two templates":         {set(`{template: a, podSpec: b}`), "podSets[0]: give either"},
		"a broken path":         {set(`{template: a..b}`), `"a..b" is not a path: write it as in spec.template`},
		"a path to nothing":     {set(`{template: a.}`), `"a." is not a path`},
		"a pattern":             {set(`{template: "a[*]"}`), `"a[*]" is not a path`},
		"an open quote":         {set(`{template: 'a["b'}`), `is not a path`},
		"a long path":           {set(`{template: ` + strings.Repeat("a", 300) + `}`), "more than 256 characters"},
		"no path of replicas":   {set(`{template: a, replicas: {default: 2}}`), "podSets[0].replicas.path: the path is missing"},
		"a test of nothing":     {set(`{template: a, unbounded: {path: b}}`), "podSets[0].unbounded: give values either in in or in notIn"},
		"a test of all":         {set(`{template: a, unbounded: {path: b, in: [c], notIn: [d]}}`), "podSets[0].unbounded: give values"},
		"a rollout of nothing":  {set(`{template: a, rollout: {}}`), "podSets[0].rollout.surge.path: the path is missing"},
		"a rollout of half":     {set(`{template: a, rollout: {surge: {path: b, default: half}, unavailable: {path: b}}}`), `podSets[0].rollout.surge.default: "half" is neither a number nor a percentage`},
		"an autoscaler of some": {set(`{each: a, template: a, scaled: true}`), "podSets[0].scaled: an autoscaler"},
		"containers of none":    {set(`{template: a, containers: [b]}`), "podSets[0].containers: they are fields of a podSpec"},
		"the same twice":        {map[string]string{"a.yaml": `kinds: [{group: g, kind: K, unknown: a}]`, "b.yaml": `kinds: [{group: g, kind: K, unknown: a}]`}, "b.yaml: kinds[0] (K.g): a.yaml: kinds[0] (K.g) is for the same kind"},
		"one of Kubernetes":     {entry(`{group: apps, kind: Deployment, unknown: a}`), "k.yaml: kinds[0] (Deployment.apps): this kind of Kubernetes is built in"},
		"a pod":                 {entry(`{kind: Pod, unknown: a}`), "k.yaml: kinds[0] (Pod): this kind of Kubernetes is built in"},
		"too many pod sets":     {set(strings.Repeat(`{template: a},`, 33)), "podSets has more than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := BuiltinKinds().With(tc.data); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got the error %v, want one with %q", err, tc.want)
			}
		})
	}
	var many strings.Builder
	many.WriteString("kinds:\n")
	for i := range maxKinds + 1 {
		many.WriteString("- {group: g, kind: K" + strings.Repeat("x", i) + ", unknown: a}\n")
	}
	if _, err := BuiltinKinds().With(map[string]string{"k.yaml": many.String()}); err == nil || !strings.Contains(err.Error(), "more than 256 kinds") {
		t.Errorf("too many kinds: %v", err)
	}
}
