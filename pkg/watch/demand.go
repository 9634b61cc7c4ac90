// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"encoding/json"
	"hash/maphash"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// Demand is what an object asks for in devices. It is zero for all objects that
// ask for none, which are most.
type Demand struct {
	// Estimate in JSON, so that records can be compared.
	Estimate string
	// Template is a fingerprint of the pod template, which holds within one
	// process.
	Template uint64
	// Replicas that the object has.
	Replicas int64
}

// maxDemand bounds what a record keeps of an estimate.
const maxDemand = 16 << 10

// IsZero reports whether nothing is asked for.
func (d Demand) IsZero() bool { return d.Estimate == "" }

// Decode returns the estimate.
func (d Demand) Decode() gpu.Estimate {
	var e gpu.Estimate
	if d.Estimate == "" {
		return e
	}
	if err := json.Unmarshal([]byte(d.Estimate), &e); err != nil {
		return gpu.Estimate{Unknown: "its estimate cannot be read: " + err.Error()}
	}
	return e
}

// demandOf estimates an object as it stands.
func demandOf(kinds *gpu.Kinds, obj *unstructured.Unstructured) Demand {
	e := kinds.Estimate(obj, nil, nil)
	if len(e.Groups) == 0 && e.Unknown == "" {
		return Demand{}
	}
	replicas, _, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	return Demand{Estimate: encodeEstimate(e), Template: templateOf(obj), Replicas: replicas}
}

func encodeEstimate(e gpu.Estimate) string {
	data, err := json.Marshal(e)
	if err == nil && len(data) <= maxDemand {
		return string(data)
	}
	return `{"unknown":"it has too many sorts of pods to be counted"}`
}

// templateOf fingerprints what the pods of a workload are made of.
func templateOf(obj *unstructured.Unstructured) uint64 {
	var hash maphash.Hash
	hash.SetSeed(seed)
	for _, name := range []string{"template", "leaderWorkerTemplate"} {
		template, _, _ := unstructured.NestedFieldNoCopy(obj.Object, "spec", name)
		writeValue(&hash, template, nil)
	}
	return hash.Sum64()
}

// Demand returns what an object that was read another way asks for.
func (p *Pool) Demand(obj *unstructured.Unstructured) Demand {
	return demandOf(p.recorder.kinds(), obj)
}

// ScaledDemand is what an object asks for whose replicas an autoscaler sets:
// no fewer than the given least number, nor than it has.
func (p *Pool) ScaledDemand(obj *unstructured.Unstructured, least int64, has *int64) gpu.Estimate {
	return p.recorder.kinds().Estimate(obj, &least, has)
}

// Least returns how many replicas the autoscalers of an object keep at the
// least, and whether it has any.
func (p *Pool) Least(gk schema.GroupKind, key types.NamespacedName) (least int64, scaled bool) {
	return p.scaled.least(gk, key)
}
