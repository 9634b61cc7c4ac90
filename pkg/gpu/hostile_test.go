// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestEstimateOfWhatIsWrong: an object that is not as it should be is never
// counted as less than it may be without a word.
func TestEstimateOfWhatIsWrong(t *testing.T) {
	deployment := func(spec string) string { return `{apiVersion: apps/v1, kind: Deployment, spec: ` + spec + `}` }
	pod := func(spec string) string { return `{apiVersion: v1, kind: Pod, spec: ` + spec + `}` }
	for name, tc := range map[string]struct{ object, want string }{
		"replicas that are text":      {deployment(`{replicas: many, template: {spec: {containers: GPU1}}}`), "spec.replicas: it is not a whole number of pods"},
		"replicas that are a part":    {deployment(`{replicas: 1.5, template: {spec: {containers: GPU1}}}`), "spec.replicas: it is not a whole number of pods"},
		"replicas beyond numbers":     {deployment(`{replicas: 1.0e300, template: {spec: {containers: GPU1}}}`), "spec.replicas: it is not a whole number of pods"},
		"a spec that is a list":       {deployment(`[1]`), "spec: it is not an object"},
		"a template that is a number": {deployment(`{template: 5}`), "spec.template: it is not an object"},
		"metadata that is a number":   {deployment(`{template: {metadata: 5, spec: {containers: GPU1}}}`), "metadata: it is not an object"},
		"annotations that are a list": {deployment(`{template: {metadata: {annotations: [a]}, spec: {containers: GPU1}}}`), "metadata.annotations: it is not an object"},
		"an annotation of a number":   {deployment(`{template: {metadata: {annotations: {gpu-fraction: 0.5}}, spec: {containers: GPU1}}}`), "metadata.annotations: gpu-fraction is not a string"},
		"a surge that is a word":      {deployment(`{strategy: {rollingUpdate: {maxSurge: lots}}, template: {spec: {containers: GPU1}}}`), `spec.strategy.rollingUpdate.maxSurge: "lots" is neither a number nor a percentage`},
		"a surge of too many percent": {deployment(`{strategy: {rollingUpdate: {maxSurge: 99999999%}}, template: {spec: {containers: GPU1}}}`), `"99999999%" is not a percentage`},
		"containers that are a map":   {pod(`{containers: {a: b}}`), "containers: it is not a list"},
		"a container of text":         {pod(`{containers: [a]}`), "containers[0]: it is not an object"},
		"resources that are a list":   {pod(`{containers: [{resources: [a]}]}`), "containers[0]: resources: it is not an object"},
		"limits that are text":        {pod(`{containers: [{resources: {limits: all}}]}`), "containers[0]: limits: it is not an object"},
		"a quantity of a list":        {pod(`{containers: [{resources: {limits: {nvidia.com/gpu: [1]}}}]}`), "containers[0]: resources.limits: nvidia.com/gpu is not a number of devices"},
		"a quantity that is a bomb":   {pod(`{containers: [{resources: {limits: {nvidia.com/gpu: "1e2147483647"}}}]}`), "nvidia.com/gpu is not a number of devices"},
		"a long quantity":             {pod(`{containers: [{resources: {limits: {nvidia.com/gpu: "` + strings.Repeat("9", 30) + `"}}}]}`), "nvidia.com/gpu is not a number of devices"},
		"a part of a GPU":             {pod(`{containers: [{name: a, resources: {limits: {nvidia.com/gpu: 0.5}}}]}`), `container "a": nvidia.com/gpu: 500m is not a whole number`},
		"a selector that is a list":   {pod(`{nodeSelector: [a], containers: GPU1}`), "the node selector or the node affinity is not as it should be"},
		"an affinity that is text":    {pod(`{affinity: a, containers: GPU1}`), "affinity: it is not an object"},
		"claims that are a map":       {pod(`{resourceClaims: {a: b}, containers: GPU1}`), "resourceClaims: it is not a list"},
		"overhead that is text":       {pod(`{overhead: a, containers: GPU1}`), "overhead: it is not an object"},
		"jobs that are a number":      {`{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, spec: {replicatedJobs: 7}}`, "spec.replicatedJobs: it is neither a list nor an object"},
		"a job that is a number":      {`{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, spec: {replicatedJobs: [7]}}`, "spec.replicatedJobs[0]: it is not an object"},
		"a job with a wrong number":   {`{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, spec: {replicatedJobs: [{replicas: a, template: {spec: {template: {spec: {containers: GPU1}}}}}]}}`, "spec.replicatedJobs[0]: replicas: it is not a whole number of pods"},
		"groups without end":          {`{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, spec: {replicatedJobs: [` + strings.Repeat(`{template: {spec: {template: {spec: {containers: GPU1}}}}},`, 300) + `]}}`, "it has more than 256 groups of pods"},
	} {
		t.Run(name, func(t *testing.T) {
			got := BuiltinKinds().Estimate(parse(t, tc.object), nil, nil)
			if !strings.Contains(got.Unknown, tc.want) {
				t.Errorf("Unknown is %q, want %q in it", got.Unknown, tc.want)
			}
		})
	}
}

// TestEstimateOfTooMuch: numbers stay within their range.
func TestEstimateOfTooMuch(t *testing.T) {
	const most = 1<<31 - 1
	for name, tc := range map[string]struct {
		object string
		want   Group
	}{
		"replicas": {`{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 9223372036854775807, template: {spec: {containers: GPU1}}}}`, pods(1, most, most)},
		"the surge of all": {
			`{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 9223372036854775807, strategy: {rollingUpdate: {maxSurge: 999999%, maxUnavailable: 1}}, template: {spec: {containers: GPU1}}}}`,
			surging(pods(1, most, most), 21474814995164, false),
		},
		"hosts of workers": {
			`{apiVersion: ray.io/v1, kind: RayCluster, spec: {workerGroupSpecs: [{replicas: 9223372036854775807, numOfHosts: 9223372036854775807, template: {spec: {containers: GPU1}}}]}}`,
			pods(1, most*most, most*most),
		},
		"negative hosts": {
			`{apiVersion: ray.io/v1, kind: RayCluster, spec: {headGroupSpec: {template: {spec: {containers: GPU1}}}, workerGroupSpecs: [{replicas: 2, numOfHosts: -3, template: {spec: {containers: GPU1}}}]}}`,
			pods(1, 1, 1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := BuiltinKinds().Estimate(parse(t, tc.object), nil, nil)
			if diff := cmp.Diff(Estimate{Groups: []Group{tc.want}}, got); diff != "" {
				t.Errorf("Estimate (-want +got):\n%s", diff)
			}
		})
	}
	if got := times(1<<40, 1<<40); got != 1<<63-1 {
		t.Errorf("times = %d", got)
	}
}

func TestEstimateOfDeepNesting(*testing.T) {
	var deep any = map[string]any{}
	for range 100_000 {
		deep = map[string]any{"spec": deep, "template": deep}
	}
	for _, kind := range BuiltinKinds().Table() {
		obj := map[string]any{"apiVersion": kind.Group + "/v1", "kind": kind.Kind}
		maps.Copy(obj, deep.(map[string]any))
		BuiltinKinds().Estimate(&unstructured.Unstructured{Object: obj}, nil, nil)
	}
}

// FuzzEstimate has objects of all kinds, with anything in them.
func FuzzEstimate(f *testing.F) {
	for _, seed := range []string{
		`{"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": 1}}}]}}}}`,
		`{"spec": {"replicas": -1e99, "template": {"spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "1e99"}}}]}}}}`,
		`{"spec": {"workerGroupSpecs": [{"replicas": 1e10, "numOfHosts": "a", "template": {"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": 1}]}]}}}}}}]}}`,
		`{"spec": {"pytorchReplicaSpecs": {"Worker": {"template": {"metadata": {"annotations": {"gpu-fraction": "0.1"}}, "spec": {}}}}}}`,
		`{"spec": [], "status": {"conditions": [[], {"type": 5}]}, "metadata": 5}`,
		`{"spec": {"predictor": {"model": {"resources": 5}}}}`,
	} {
		f.Add(seed)
	}
	c := catalogue(f, models)
	f.Fuzz(func(t *testing.T, text string) {
		var content map[string]any
		if json.Unmarshal([]byte(text), &content) != nil || content == nil {
			return
		}
		start := time.Now()
		for _, kind := range BuiltinKinds().Table() {
			content["apiVersion"], content["kind"] = kind.Group+"/v1", kind.Kind
			if kind.Group == "" {
				content["apiVersion"] = "v1"
			}
			check(t, BuiltinKinds().Estimate(&unstructured.Unstructured{Object: content}, nil, nil), c)
			check(t, BuiltinKinds().Estimate(&unstructured.Unstructured{Object: content}, new(int64(-5)), new(int64(1<<62))), c)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// check says what is true of every estimate.
func check(t *testing.T, e Estimate, c *Catalogue) {
	t.Helper()
	for _, g := range e.Groups {
		if g.Min < 0 || g.Max < -1 || g.Max >= 0 && g.Max < g.Min || g.Surge < 0 || g.Shape.IsZero() {
			t.Errorf("the group %+v cannot be", g)
		}
	}
	minimum, maximum, _ := e.Amounts(c)
	if !maximum.Covers(minimum) {
		t.Errorf("at least %v and at most %v", minimum, maximum)
	}
	data, err := json.Marshal([]any{e, minimum, maximum})
	if err != nil {
		t.Fatal(err)
	}
	var again []json.RawMessage
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	var amounts Amounts
	if err := json.Unmarshal(again[1], &amounts); err != nil {
		t.Errorf("%s: %v", again[1], err)
	}
}

// FuzzPodShape has pods with anything in them, also of what the API server
// would not admit.
func FuzzPodShape(f *testing.F) {
	for _, seed := range []string{
		`{"metadata": {"annotations": {"gpu-fraction": "0.5", "gpu-fraction-num-devices": "3"}}, "spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]}}`,
		`{"spec": {"initContainers": [{"restartPolicy": "Always", "resources": {"limits": {"a/b": "-1"}}}], "overhead": {"x/y": "0.1"}}}`,
		`{"spec": {"nodeSelector": {"product": "H100"}, "containers": [{"resources": {"requests": {"nvidia.com/gpu": "99999999999999999999"}}}]}}`,
	} {
		f.Add(seed)
	}
	c := catalogue(f, models)
	f.Fuzz(func(t *testing.T, text string) {
		var pod corev1.Pod
		if strings.ContainsAny(text, "eE") && strings.Count(text, "0") > 20 || json.Unmarshal([]byte(text), &pod) != nil {
			return
		}
		shape, err := PodShape(pod.Annotations, &pod.Spec)
		again, errAgain := PodShape(pod.Annotations, &pod.Spec)
		if diff := cmp.Diff(shape, again); diff != "" || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Errorf("it is not the same twice: %v, %v\n%s", err, errAgain, diff)
		}
		if !c.Charge(shape, nil).Covers(c.Charge(shape, map[string]string{"product": "H100"})) && len(shape.Pins) == 0 {
			t.Errorf("more is charged at a node than before, of %v", shape)
		}
		if slices.Contains(c.Unknown(shape), "nvidia.com/gpu") {
			t.Error("the resource of a class is not known")
		}
	})
}

// FuzzKindsOfUsers has any text in the ConfigMap.
func FuzzKindsOfUsers(f *testing.F) {
	f.Add(volcano)
	f.Add(string(builtin))
	f.Add(`kinds: [{group: g, kind: K, podSets: [{template: 'a["b"].c', replicas: {path: $.x, plus: 9223372036854775807}}]}]`)
	f.Fuzz(func(t *testing.T, text string) {
		kinds, err := BuiltinKinds().With(map[string]string{"k": text})
		if err != nil {
			return
		}
		for _, kind := range kinds.Table() {
			obj := map[string]any{"apiVersion": kind.Group + "/v1", "kind": kind.Kind, "x": int64(5), "spec": map[string]any{}}
			check(t, kinds.Estimate(&unstructured.Unstructured{Object: obj}, nil, nil), catalogue(t, models))
		}
	})
}
