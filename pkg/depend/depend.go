// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package depend judges whether the objects are ready that others depend on,
// and finds dependencies that go round in a circle.
package depend

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/health"
)

// State of an object that others depend on.
type State string

const (
	// Ready objects let their dependents go on.
	Ready State = "Ready"
	// Waiting objects are on their way.
	Waiting State = "Waiting"
	// Failed objects do not become ready by themselves.
	Failed State = "Failed"
)

// Judge tells the state of a live object of any kind, and why it is not ready.
//
//   - What Flux and Weir reconcile is ready by its Ready condition, for the
//     present generation.
//   - What runs to completion is ready when it has succeeded, and not because
//     it is suspended.
//   - Everything else is ready when it is healthy, for the present generation.
func Judge(obj *unstructured.Unstructured) (State, string) {
	if reconciled(obj.GroupVersionKind().Group) {
		return byReady(obj)
	}
	result := health.Of(obj)
	switch {
	case obj.GetDeletionTimestamp() != nil && !result.Finished:
		return Waiting, beingDeleted
	case result.Status == health.Failed && result.FailedAt == 0:
		return Failed, cmp.Or(result.Message, "it has failed")
	case result.Status != health.Current:
		return Waiting, cmp.Or(result.Message, "its status is "+string(result.Status))
	case result.Ends && !result.Finished:
		return Waiting, "it is suspended"
	}
	return Ready, ""
}

// reconciled reports whether a group holds kinds with a Ready condition that
// means what Flux means by it.
func reconciled(group string) bool {
	return strings.HasSuffix(group, ".toolkit.fluxcd.io") || strings.HasSuffix(group, ".weir.dev")
}

// byReady goes by the Ready condition. Kinds of those groups that nobody
// reconciles, such as Alert, have no status at all.
func byReady(obj *unstructured.Unstructured) (State, string) {
	if obj.GetDeletionTimestamp() != nil {
		return Waiting, beingDeleted
	}
	status, found, _ := unstructured.NestedMap(obj.Object, "status")
	if !found && static[obj.GetKind()] {
		return Ready, ""
	}
	condition := readyCondition(status)
	if condition == nil {
		return Waiting, "it has not been reconciled yet"
	}
	observed, ok, _ := unstructured.NestedInt64(status, "observedGeneration")
	if !ok {
		observed, ok, _ = unstructured.NestedInt64(condition, "observedGeneration")
	}
	reason, _, _ := unstructured.NestedString(condition, "reason")
	switch {
	case condition["status"] != "True":
		return Waiting, cmp.Or(reason, "its Ready condition is not True")
	case ok && observed != obj.GetGeneration():
		return Waiting, "its present spec has not been reconciled yet"
	}
	return Ready, ""
}

const beingDeleted = "it is being deleted"

// static are the kinds of Flux that have no status.
var static = map[string]bool{"Alert": true, "Provider": true}

func readyCondition(status map[string]any) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(status, "conditions")
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok && condition["type"] == fluxmeta.ReadyCondition {
			return condition
		}
	}
	return nil
}

// lastApplied is where kubectl keeps a copy of the object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Content is what an expression may see of an object: all of it but for
// managedFields, and of Secrets and ConfigMaps no more than apiVersion, kind
// and metadata, less kubectl's copy of the object. The object is not changed.
func Content(obj *unstructured.Unstructured) map[string]any {
	content := maps.Clone(obj.Object)
	metadata, ok := content["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
	}
	metadata = maps.Clone(metadata)
	delete(metadata, "managedFields")
	content["metadata"] = metadata
	if gk := obj.GroupVersionKind().GroupKind(); gk.Group != "" || gk.Kind != "Secret" && gk.Kind != "ConfigMap" {
		return content
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		annotations = maps.Clone(annotations)
		delete(annotations, lastApplied)
		metadata["annotations"] = annotations
	}
	return map[string]any{"apiVersion": content["apiVersion"], "kind": content["kind"], "metadata": metadata}
}

// Cycle returns a shortest way from start back to it along what each depends
// on, with start at both ends, or nil if there is none. Next is called once
// for each that can be reached.
func Cycle[K comparable](start K, next func(K) []K) []K {
	from := map[K]K{}
	for queue := []K{start}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, to := range next(at) {
			if to == start {
				return wayBack(start, at, from)
			}
			if _, seen := from[to]; !seen {
				from[to] = at
				queue = append(queue, to)
			}
		}
	}
	return nil
}

// wayBack is the way from start to the last one before it comes back.
func wayBack[K comparable](start, last K, from map[K]K) []K {
	way := []K{start}
	for at := last; at != start; at = from[at] {
		way = append(way, at)
	}
	way = append(way, start)
	slices.Reverse(way)
	return way
}

// Describe spells out a cycle.
func Describe[K fmt.Stringer](cycle []K) string {
	names := make([]string, len(cycle))
	for i, one := range cycle {
		names[i] = one.String()
	}
	return strings.Join(names, " -> ")
}
