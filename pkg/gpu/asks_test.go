// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gitops/weir/pkg/cel"
)

// extra are resources that only a class names.
func extra() []string { return []string{"example.com/fpga", "nvidia.com/gpu", `odd.com/it's "odd" \`} }

func TestAsks(t *testing.T) {
	for name, tc := range map[string]struct {
		pod  string
		want bool
	}{
		"nothing":               {`{spec: {containers: [{name: a}]}}`, false},
		"processors":            {`{spec: {containers: [{name: a, resources: {limits: {cpu: 1}, requests: {memory: 1Gi}}}]}}`, false},
		"no containers":         {`{spec: {containers: []}}`, false},
		"a limit":               {`{spec: {containers: [{name: a}, {name: b, resources: {limits: {nvidia.com/gpu: 1}}}]}}`, true},
		"a request":             {`{spec: {containers: [{name: a, resources: {requests: {amd.com/gpu: 1}}}]}}`, true},
		"an init container":     {`{spec: {initContainers: [{name: a, resources: {limits: {habana.ai/gaudi: 1}}}], containers: [{name: a}]}}`, true},
		"overhead":              {`{spec: {overhead: {nvidia.com/gpu: 1}, containers: [{name: a}]}}`, true},
		"claims":                {`{spec: {resourceClaims: [{name: c}], containers: [{name: a}]}}`, true},
		"no claims":             {`{spec: {resourceClaims: [], containers: [{name: a}]}}`, false},
		"a fraction":            {`{metadata: {annotations: {gpu-fraction: "0.5"}}, spec: {containers: [{name: a}]}}`, true},
		"memory":                {`{metadata: {annotations: {gpu-memory: "4"}}, spec: {containers: [{name: a}]}}`, true},
		"another annotation":    {`{metadata: {annotations: {gpu-other: "4"}}, spec: {containers: [{name: a}]}}`, false},
		"a share alone":         {`{spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpumem: 100}}}]}}`, true},
		"a chip among others":   {`{spec: {containers: [{name: a, resources: {limits: {google.com/tpu: 4}}}]}}`, true},
		"another of the domain": {`{spec: {containers: [{name: a, resources: {limits: {google.com/other: 4}}}]}}`, false},
		"a device class":        {`{spec: {containers: [{name: a, resources: {limits: {deviceclass.resource.kubernetes.io/x: 1}}}]}}`, true},
		"a domain that ends so": {`{spec: {containers: [{name: a, resources: {limits: {my-nvidia.com/gpu: 1}}}]}}`, false},
		"what a class names":    {`{spec: {containers: [{name: a, resources: {limits: {example.com/fpga: 1}}}]}}`, true},
		"what no class names":   {`{spec: {containers: [{name: a, resources: {limits: {example.com/other: 1}}}]}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := podOf(t, tc.pod)
			if got := Asks(pod, extra()...); got != tc.want {
				t.Errorf("Asks = %t, want %t", got, tc.want)
			}
			if got := evaluate(t, expression(t), pod); got != tc.want {
				t.Errorf("the expression is %t, want %t", got, tc.want)
			}
		})
	}
}

func TestExpressionIsStable(t *testing.T) {
	if a, b := Expression("b.com/x", "a.com/x"), Expression("a.com/x", "b.com/x", "a.com/x", "nvidia.com/gpu"); a != b {
		t.Errorf("the order of names matters:\n%s\n%s", a, b)
	}
	if Expression() == Expression("a.com/x") {
		t.Error("names make no difference")
	}
}

func expression(t testing.TB) *cel.Program {
	t.Helper()
	program, err := cel.Compile("matchConditions", Expression(extra()...), "object")
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func evaluate(t testing.TB, program *cel.Program, pod *corev1.Pod) bool {
	t.Helper()
	data, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	got, err := program.Eval(t.Context(), map[string]any{"object": content})
	if err != nil {
		t.Fatalf("%v, of %s", err, data)
	}
	return got
}

// randomPod returns a pod with some of what matters and some of what does not.
func randomPod(seed uint64) *corev1.Pod {
	random := rand.New(rand.NewPCG(seed, 1))
	names := []string{
		"cpu", "memory", "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "nvidia.com/gpumem", "amd.com/gpu", "google.com/tpu", "google.com/x",
		"example.com/fpga", "example.com/x", "rdma/hca", "nvidia.com", "xnvidia.com/gpu", "deviceclass.resource.kubernetes.io/gpu", "requests.nvidia.com/gpu",
	}
	list := func() corev1.ResourceList {
		list := corev1.ResourceList{}
		for range max(random.IntN(6)-3, 0) {
			list[corev1.ResourceName(names[random.IntN(len(names))])] = *resource.NewQuantity(int64(random.IntN(3)), resource.DecimalSI)
		}
		return list
	}
	containers := func(n int) []corev1.Container {
		var all []corev1.Container
		for i := range n {
			all = append(all, corev1.Container{Name: strconv.Itoa(i), Resources: corev1.ResourceRequirements{Limits: list(), Requests: list()}})
		}
		return all
	}
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: containers(1 + random.IntN(2)), InitContainers: containers(random.IntN(2))}}
	switch random.IntN(12) {
	case 0:
		pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "a"}}
	case 1:
		pod.Annotations = map[string]string{FractionResource: "0.5"}
	case 2:
		pod.Annotations = map[string]string{fractionDevices: "2"}
	case 3:
		pod.Spec.Overhead = list()
	}
	return pod
}

// TestExpressionAgreesWithAsks: what the API server sends and what is counted
// is the same.
func TestExpressionAgreesWithAsks(t *testing.T) {
	program, asking := expression(t), 0
	const n = 2000
	for seed := range uint64(n) {
		pod := randomPod(seed)
		asks := agree(t, program, pod)
		if asks {
			asking++
		}
	}
	if asking < n/10 || asking > n*9/10 {
		t.Errorf("%d of %d pods ask for something, which says little", asking, n)
	}
}

func agree(t testing.TB, program *cel.Program, pod *corev1.Pod) bool {
	t.Helper()
	asks := Asks(pod, extra()...)
	if got := evaluate(t, program, pod); got != asks {
		data, _ := json.Marshal(pod)
		t.Errorf("Asks = %t, the expression is %t, of %s", asks, got, data)
	}
	// What is charged is asked for.
	shape, _ := PodShape(pod.Annotations, &pod.Spec)
	for name := range shape.Resources {
		known := ofVendor(name) || name == FractionResource || name == MemoryResource || strings.HasPrefix(name, "example.com/fpga")
		if known && !asks {
			t.Errorf("%s is counted and not asked for", name)
		}
	}
	return asks
}

func FuzzExpressionAgreesWithAsks(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, "nvidia.com/gpu", "gpu-fraction")
	}
	program := expression(f)
	f.Fuzz(func(t *testing.T, seed uint64, name, annotation string) {
		if !json.Valid([]byte(strconv.Quote(name))) || len(name) > 100 || len(annotation) > 100 {
			// No such text can be in an object.
			return
		}
		pod := randomPod(seed)
		pod.Spec.Containers[0].Resources.Limits[corev1.ResourceName(name)] = resource.MustParse("1")
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[annotation] = "x"
		agree(t, program, pod)
	})
}
