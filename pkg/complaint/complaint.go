// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package complaint finds out why an object does not get well: what its pods,
// or whoever should make them, last complained of in a warning event. A
// Deployment only knows that replicas are missing; that no node has the GPUs
// is in an event of a pod.
package complaint

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/weir-gitops/weir/pkg/inventory"
)

// Bounds of what is read for one object: at most three requests to find its
// pods or its makers, and one for the events of each that is looked at.
const (
	maxPods    = 100
	maxEvents  = 100
	maxSuspect = 2
)

var (
	podResource        = corev1.SchemeGroupVersion.WithResource("pods")
	eventResource      = corev1.SchemeGroupVersion.WithResource("events")
	replicaSetResource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
)

// Of returns the last complaint about an object, such as "pod server-7d9f:
// FailedScheduling: 0/2 nodes are available". It is "" if there is none, if
// pods of the kind cannot be told, and if the user of the client may not read
// pods or events: what is asked for is an explanation, not a right.
//
// The text holds no random parts and no credentials, and is bounded.
func Of(ctx context.Context, client dynamic.Interface, ref inventory.Ref) string {
	f := finder{client: client, ref: ref}
	switch {
	case ref.Namespace == "":
		return ""
	case ref.GroupKind() == podKind:
		return f.ofPod(ctx)
	case workloads[ref.GroupKind()].Resource != "":
		return f.ofWorkload(ctx, workloads[ref.GroupKind()])
	case podLabels[ref.GroupKind()] != "":
		return f.ofPods(ctx, podLabels[ref.GroupKind()]+"="+ref.Name, func(*corev1.Pod) bool { return true })
	}
	return ""
}

// finder looks for the complaint about one object.
type finder struct {
	client dynamic.Interface
	ref    inventory.Ref
}

func (f finder) ofPod(ctx context.Context) string {
	pod, ok := get[corev1.Pod](ctx, f, podResource)
	if !ok {
		return ""
	}
	return f.said(ctx, pod.UID, "", namesOf(&pod))
}

// ofWorkload asks the pods first. If none has anything to say, there may be
// none, because a quota or an admission forbids them; then their maker knows.
func (f finder) ofWorkload(ctx context.Context, resource schema.GroupVersionResource) string {
	w, ok := get[workload](ctx, f, resource)
	if !ok {
		return ""
	}
	selector, err := metav1.LabelSelectorAsSelector(w.Spec.Selector)
	if err != nil || selector.Empty() {
		return ""
	}
	deployment := f.ref.Kind == "Deployment"
	mine := func(pod *corev1.Pod) bool {
		owner := metav1.GetControllerOf(pod)
		switch {
		case owner == nil:
			return false
		case deployment:
			return owner.Kind == "ReplicaSet" && owner.Name == w.Name+"-"+pod.Labels[podTemplateHash]
		}
		return owner.UID == w.UID
	}
	if text := f.ofPods(ctx, selector.String(), mine); text != "" {
		return text
	}
	if !deployment {
		return f.said(ctx, w.UID, "", names{base: w.Name})
	}
	return f.ofReplicaSet(ctx, selector.String(), &w)
}

// ofReplicaSet asks the newest ReplicaSet of a Deployment.
func (f finder) ofReplicaSet(ctx context.Context, selector string, deployment *workload) string {
	var newest *workload
	for _, set := range list[workload](ctx, f, replicaSetResource, metav1.ListOptions{LabelSelector: selector, Limit: maxPods}) {
		if metav1.IsControlledBy(&set, deployment) && (newest == nil || newest.CreationTimestamp.Before(&set.CreationTimestamp)) {
			newest = &set
		}
	}
	if newest == nil {
		return ""
	}
	return f.said(ctx, newest.UID, "ReplicaSet "+newest.Name, names{base: newest.Name})
}

// ofPods asks those pods of a selector that are not well.
func (f finder) ofPods(ctx context.Context, selector string, mine func(*corev1.Pod) bool) string {
	pods := list[corev1.Pod](ctx, f, podResource, metav1.ListOptions{LabelSelector: selector, Limit: maxPods})
	for _, pod := range suspects(slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return !mine(&pod) })) {
		n := namesOf(&pod)
		if text := f.said(ctx, pod.UID, "pod "+n.base, n); text != "" {
			return text
		}
	}
	return ""
}

// said returns the last warning about the object with that UID.
func (f finder) said(ctx context.Context, uid types.UID, who string, n names) string {
	events := list[corev1.Event](ctx, f, eventResource, metav1.ListOptions{
		FieldSelector: "involvedObject.uid=" + string(uid) + ",type=" + corev1.EventTypeWarning,
		Limit:         maxEvents,
	})
	event := latest(events)
	if event == nil {
		return ""
	}
	text := describe(event, n)
	if who == "" {
		return text
	}
	return who + ": " + text
}

// suspects are the pods that are not well, the newest first: those are of the
// revision that is waited for.
func suspects(pods []corev1.Pod) []corev1.Pod {
	pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool {
		return pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || ready(&pod)
	})
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods[:min(len(pods), maxSuspect)]
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// latest returns the event that was last seen, or nil. The kubelet follows up
// a failure with a bare "Error: …" that says less; that one counts only alone.
func latest(events []corev1.Event) *corev1.Event {
	var last *corev1.Event
	for i := range events {
		e := &events[i]
		switch {
		case e.Type != corev1.EventTypeWarning:
		case last == nil, echo(last) && !echo(e), echo(last) == echo(e) && seen(last).Before(seen(e)):
			last = e
		}
	}
	return last
}

// seen is when an event last happened; each API writes another field.
func seen(e *corev1.Event) time.Time {
	at := e.CreationTimestamp.Time
	for _, other := range []time.Time{e.EventTime.Time, e.FirstTimestamp.Time, e.LastTimestamp.Time} {
		if at.Before(other) {
			at = other
		}
	}
	if e.Series != nil && at.Before(e.Series.LastObservedTime.Time) {
		at = e.Series.LastObservedTime.Time
	}
	return at
}

// get reads the object itself.
func get[T any](ctx context.Context, f finder, resource schema.GroupVersionResource) (object T, ok bool) {
	live, err := f.client.Resource(resource).Namespace(f.ref.Namespace).Get(ctx, f.ref.Name, metav1.GetOptions{})
	if err != nil {
		return object, false
	}
	return object, convert(live, &object)
}

// list returns what it can; whatever fails is as if it were not there.
func list[T any](ctx context.Context, f finder, resource schema.GroupVersionResource, options metav1.ListOptions) []T {
	live, err := f.client.Resource(resource).Namespace(f.ref.Namespace).List(ctx, options)
	if err != nil {
		return nil
	}
	objects := make([]T, 0, len(live.Items))
	for i := range live.Items {
		var object T
		if convert(&live.Items[i], &object) {
			objects = append(objects, object)
		}
	}
	return objects
}

func convert(live *unstructured.Unstructured, object any) bool {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, object) == nil
}
