// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Each event of each watched object passes here.
func BenchmarkEstimate(b *testing.B) {
	const processors = `{name: a, image: b, resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}}`
	const device = `{name: a, image: b, resources: {limits: {cpu: 1, nvidia.com/gpu: "8"}}}`
	deployment := func(container string) string {
		return `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3, template: {metadata: {labels: {a: b}, annotations: {c: d}}, spec: {nodeSelector: {product: H100}, containers: [` + container + `, ` + processors + `]}}}}`
	}
	for name, text := range map[string]string{
		"other kind":            `{apiVersion: v1, kind: ConfigMap, data: {a: b}}`,
		"unknown kind":          `{apiVersion: argoproj.io/v1alpha1, kind: Workflow}`,
		"deployment, none":      deployment(processors),
		"deployment, devices":   deployment(device),
		"ray cluster of groups": `{apiVersion: ray.io/v1, kind: RayCluster, spec: {workerGroupSpecs: [{replicas: 4, template: {spec: {containers: [` + device + `]}}}, {replicas: 4, template: {spec: {containers: [` + device + `]}}}]}}`,
	} {
		b.Run(name, func(b *testing.B) {
			data, err := yaml.YAMLToJSON([]byte(text))
			if err != nil {
				b.Fatal(err)
			}
			obj := &unstructured.Unstructured{}
			if err := obj.UnmarshalJSON(data); err != nil {
				b.Fatal(err)
			}
			kinds := BuiltinKinds()
			b.ReportAllocs()
			for b.Loop() {
				kinds.Estimate(obj, nil, nil)
			}
		})
	}
}

func BenchmarkPodShape(b *testing.B) {
	for name, text := range map[string]string{
		"none":    `{spec: {nodeSelector: {a: b}, containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1, memory: 1Gi}}}]}}`,
		"devices": `{spec: {nodeSelector: {a: b}, containers: [{name: a, resources: {limits: {cpu: 1, nvidia.com/gpu: 8}, requests: {cpu: 1, nvidia.com/gpu: 8}}}]}}`,
	} {
		pod := podOf(b, text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := PodShape(pod.Annotations, &pod.Spec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("charge", func(b *testing.B) {
		c := catalogue(b, models)
		shape := Shape{Resources: Amounts{"nvidia.com/gpu": Whole(8)}}
		node := map[string]string{"product": "H100", "zone": "a"}
		b.ReportAllocs()
		for b.Loop() {
			c.Charge(shape, node)
		}
	})
}
