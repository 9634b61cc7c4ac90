// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// podOf reads a pod from annotations and spec.
func podOf(t testing.TB, text string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(text), &pod); err != nil {
		t.Fatalf("%s\n%s", err, text)
	}
	return &pod
}

func TestPodShape(t *testing.T) {
	gpus := func(n int64) Shape { return Shape{Resources: Amounts{"nvidia.com/gpu": Whole(n)}} }
	for name, tc := range map[string]struct {
		pod  string
		want Shape
	}{
		"nothing":              {`{spec: {containers: [{name: a, resources: {limits: {cpu: 4, memory: 8Gi, hugepages-2Mi: 4Mi}}}]}}`, Shape{}},
		"containers add up":    {`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}, {name: b, resources: {limits: {nvidia.com/gpu: 1}}}]}}`, gpus(3)},
		"requests count":       {`{spec: {containers: [{name: a, resources: {requests: {nvidia.com/gpu: 2}, limits: {nvidia.com/gpu: 2}}}]}}`, gpus(2)},
		"requests come first":  {`{spec: {containers: [{name: a, resources: {requests: {nvidia.com/gpu: 2}, limits: {nvidia.com/gpu: 3}}}]}}`, gpus(2)},
		"limits of a template": {`{spec: {containers: [{name: a, resources: {requests: {cpu: 1}, limits: {nvidia.com/gpu: 3}}}]}}`, gpus(3)},
		"an init container alone": {
			`{spec: {initContainers: [{name: i, resources: {limits: {nvidia.com/gpu: 8}}}], containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}}`, gpus(8),
		},
		"init containers run one by one": {
			`{spec: {initContainers: [{name: i, resources: {limits: {nvidia.com/gpu: 3}}}, {name: j, resources: {limits: {nvidia.com/gpu: 4}}}], containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}}`, gpus(4),
		},
		"sidecars run beside": {
			`{spec: {initContainers: [{name: s, restartPolicy: Always, resources: {limits: {nvidia.com/gpu: 1}}}], containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}}`, gpus(3),
		},
		"an init container beside the sidecars before it": {
			`{spec: {initContainers: [{name: s, restartPolicy: Always, resources: {limits: {nvidia.com/gpu: 1}}}, {name: i, resources: {limits: {nvidia.com/gpu: 4}}},
				{name: s2, restartPolicy: Always, resources: {limits: {nvidia.com/gpu: 1}}}], containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}}`, gpus(5),
		},
		"an init container before the sidecars": {
			`{spec: {initContainers: [{name: i, resources: {limits: {nvidia.com/gpu: 3}}}, {name: s, restartPolicy: Always, resources: {limits: {nvidia.com/gpu: 2}}}], containers: [{name: a}]}}`, gpus(3),
		},
		"overhead":                    {`{spec: {overhead: {cpu: 1, nvidia.com/gpu: 1}, containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}}`, gpus(3)},
		"pod-level resources are not": {`{spec: {resources: {limits: {cpu: 4}}, containers: [{name: a}]}}`, Shape{}},
		"thousandths":                 {`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2000m}}}, {name: b, resources: {limits: {nvidia.com/gpu: "1.0"}}}]}}`, gpus(3)},
		"binary and decimal units":    {`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1Ki}}}, {name: b, resources: {limits: {nvidia.com/gpu: 1k}}}]}}`, gpus(2024)},
		"zero":                        {`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 0}}}]}}`, Shape{}},
		"shares do not count": {
			`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1, nvidia.com/gpumem: 3000, nvidia.com/gpucores: 30, hygon.com/dcumem: 100, iluvatar.ai/MR-V100.vMem: 4}}}]}}`, gpus(1),
		},
		"several resources, also of others": {
			`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/mig-1g.5gb: 3, rdma/hca: 1, example.com/fpga: 2}}}]}}`,
			Shape{Resources: Amounts{"nvidia.com/mig-1g.5gb": Whole(3), "rdma/hca": Whole(1), "example.com/fpga": Whole(2)}},
		},
		"a device class by name":     {`{spec: {containers: [{name: a, resources: {limits: {deviceclass.resource.kubernetes.io/gpu: 2}}}]}}`, Shape{Resources: Amounts{"deviceclass.resource.kubernetes.io/gpu": Whole(2)}}},
		"resources of Kubernetes":    {`{spec: {containers: [{name: a, resources: {limits: {node.kubernetes.io/x: 2, requests.nvidia.com/gpu: 1}}}]}}`, Shape{}},
		"claims":                     {`{spec: {resourceClaims: [{name: a}, {name: b}], containers: [{name: a}]}}`, Shape{Claims: 2}},
		"a fraction":                 {`{metadata: {annotations: {gpu-fraction: "0.3"}}, spec: {containers: [{name: a}]}}`, Shape{Resources: Amounts{"gpu-fraction": fraction(3, 10)}}},
		"a fraction without a digit": {`{metadata: {annotations: {gpu-fraction: ".25"}}, spec: {containers: [{name: a}]}}`, Shape{Resources: Amounts{"gpu-fraction": fraction(1, 4)}}},
		"fractions of several":       {`{metadata: {annotations: {gpu-fraction: "0.5", gpu-fraction-num-devices: "4"}}, spec: {containers: [{name: a}]}}`, Shape{Resources: Amounts{"gpu-fraction": Whole(2)}}},
		"memory":                     {`{metadata: {annotations: {gpu-memory: "4000"}}, spec: {containers: [{name: a}]}}`, Shape{Resources: Amounts{"gpu-memory": Whole(1)}}},
		"another annotation":         {`{metadata: {annotations: {gpu-fraction-num-devices: "4"}}, spec: {containers: [{name: a}]}}`, Shape{}},
		"without resources no pins":  {`{spec: {nodeSelector: {a: b}, containers: [{name: a}]}}`, Shape{}},
		"a node selector": {
			`{spec: {nodeSelector: {gpu: h100}, containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1}}}]}}`,
			Shape{Resources: Amounts{"nvidia.com/gpu": Whole(1)}, Pins: []map[string][]string{{"gpu": {"h100"}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := podOf(t, tc.pod)
			got, err := PodShape(pod.Annotations, &pod.Spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("PodShape (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodShapeRefuses(t *testing.T) {
	one := Amounts{"nvidia.com/gpu": Whole(1)}
	for name, tc := range map[string]struct {
		pod, want string
		rest      Amounts
	}{
		"a part": {
			`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1}}}, {name: b, resources: {limits: {nvidia.com/gpu: 500m}}}]}}`,
			`container "b": nvidia.com/gpu: 500m is not a whole number`, one,
		},
		"less than none": {
			`{spec: {initContainers: [{name: i, resources: {requests: {amd.com/gpu: -1}}}], containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1}}}]}}`,
			`init container "i": amd.com/gpu: the quantity is negative`, one,
		},
		"beyond reason":        {`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 9223372036854775807}}}]}}`, `container "a": nvidia.com/gpu: the quantity is more than 1048576`, nil},
		"beyond numbers":       {`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1000E}}}]}}`, `the quantity is more than`, nil},
		"overhead":             {`{spec: {overhead: {nvidia.com/gpu: 1m}, containers: [{name: a}]}}`, `overhead: nvidia.com/gpu: 1m is not a whole number`, nil},
		"the order is stable":  {`{spec: {containers: [{name: a, resources: {limits: {b/x: -1, a/x: -1, c/x: -1}}}]}}`, "a\": a/x: the quantity is negative; devices are counted from 0\ncontainer \"a\": b/x", nil},
		"a fraction":           {`{metadata: {annotations: {gpu-fraction: half}}, spec: {containers: [{name: a}]}}`, `annotation gpu-fraction: "half" is not a share`, Amounts{"gpu-fraction": Whole(1)}},
		"a giant exponent":     {`{metadata: {annotations: {gpu-fraction: "1e1000000000"}}, spec: {containers: [{name: a}]}}`, `annotation gpu-fraction`, Amounts{"gpu-fraction": Whole(1)}},
		"an empty fraction":    {`{metadata: {annotations: {gpu-fraction: ""}}, spec: {containers: [{name: a}]}}`, `annotation gpu-fraction`, Amounts{"gpu-fraction": Whole(1)}},
		"a negative fraction":  {`{metadata: {annotations: {gpu-fraction: "-0.5"}}, spec: {containers: [{name: a}]}}`, `annotation gpu-fraction`, Amounts{"gpu-fraction": Whole(1)}},
		"devices of fractions": {`{metadata: {annotations: {gpu-fraction: "0.5", gpu-fraction-num-devices: "-4"}}, spec: {containers: [{name: a}]}}`, `annotation gpu-fraction-num-devices: "-4" is not a number`, Amounts{"gpu-fraction": fraction(1, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := podOf(t, tc.pod)
			got, err := PodShape(pod.Annotations, &pod.Spec)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got the error %v, want one with %q", err, tc.want)
			}
			if diff := cmp.Diff(tc.rest, got.Resources); diff != "" {
				t.Errorf("the rest (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPins(t *testing.T) {
	type pin = map[string][]string
	required := func(terms string) string {
		return `{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: ` + terms + `}}}}`
	}
	many := strings.TrimSuffix(strings.Repeat(`{matchExpressions: [{key: a, operator: In, values: [x]}]},`, 17), ",")
	for name, tc := range map[string]struct {
		spec string
		want []pin
	}{
		"none":                       {`{}`, nil},
		"selector":                   {`{nodeSelector: {a: x, b: w}}`, []pin{{"a": {"x"}, "b": {"w"}}}},
		"one of two values":          {required(`[{matchExpressions: [{key: a, operator: In, values: [w, x, w]}]}]`), []pin{{"a": {"w", "x"}}}},
		"one of two terms":           {required(`[{matchExpressions: [{key: a, operator: In, values: [x]}]}, {matchExpressions: [{key: b, operator: In, values: [w]}]}]`), []pin{{"a": {"x"}}, {"b": {"w"}}}},
		"a term that says nothing":   {required(`[{matchExpressions: [{key: a, operator: In, values: [x]}]}, {matchExpressions: [{key: a, operator: Exists}]}]`), nil},
		"exists":                     {required(`[{matchExpressions: [{key: a, operator: Exists}]}]`), nil},
		"greater":                    {required(`[{matchExpressions: [{key: a, operator: Gt, values: ["3"]}]}]`), nil},
		"not in, of what is open":    {required(`[{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}]`), nil},
		"not in, of what is known":   {required(`[{matchExpressions: [{key: a, operator: NotIn, values: [x]}, {key: a, operator: In, values: [w, x]}]}]`), []pin{{"a": {"w"}}}},
		"both of two requirements":   {required(`[{matchExpressions: [{key: a, operator: In, values: [w, x]}, {key: a, operator: In, values: [w, z]}]}]`), []pin{{"a": {"w"}}}},
		"a contradiction is no term": {required(`[{matchExpressions: [{key: a, operator: In, values: [x]}, {key: a, operator: In, values: [w]}]}, {matchExpressions: [{key: b, operator: In, values: [z]}]}]`), []pin{{"b": {"z"}}}},
		"only contradictions":        {required(`[{matchExpressions: [{key: a, operator: In, values: [x]}, {key: a, operator: DoesNotExist}]}]`), nil},
		"a term without anything":    {required(`[{}, {matchExpressions: [{key: b, operator: In, values: [z]}]}]`), []pin{{"b": {"z"}}}},
		"the name of a node":         {required(`[{matchFields: [{key: metadata.name, operator: In, values: [n]}]}]`), nil},
		"too many terms":             {required(`[` + many + `]`), nil},
		"selector and affinity": {
			`{nodeSelector: {a: x}, affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: b, operator: In, values: [w]}]}, {matchExpressions: [{key: a, operator: In, values: [w]}]}]}}}}`,
			[]pin{{"a": {"x"}, "b": {"w"}}},
		},
		"preferred": {`{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: In, values: [x]}]}}]}}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var spec corev1.PodSpec
			if err := yaml.UnmarshalStrict([]byte(tc.spec), &spec); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, pins(&spec)); diff != "" {
				t.Errorf("pins (-want +got):\n%s", diff)
			}
		})
	}
}
