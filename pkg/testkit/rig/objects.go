// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"maps"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// Object is of a kind that has conditions.
type Object interface {
	client.Object
	conditions.Getter
}

// Objects drives the object of one kind and name in the namespace of a test.
type Objects[T Object] struct {
	// In is the test.
	In *Suite
	// Kind is the kind's name, and Name the object's.
	Kind, Name string
	// Make returns an empty object.
	Make func() T
}

// Get reads the object.
func (s Objects[T]) Get() T {
	s.In.Helper()
	obj := s.Make()
	s.In.Must(s.In.Kube.Get(s.In.Context(), client.ObjectKey{Namespace: s.In.Namespace, Name: s.Name}, obj))
	return obj
}

// Edit patches what change makes different.
func (s Objects[T]) Edit(change func(T)) {
	s.In.Helper()
	obj := s.Get()
	before, _ := obj.DeepCopyObject().(T)
	change(obj)
	s.In.Must(s.In.Kube.Patch(s.In.Context(), obj, client.MergeFrom(before)))
}

// Ask asks for a reconcile by annotation, and returns the token.
func (s Objects[T]) Ask() string {
	s.In.Helper()
	token := rand.String(8)
	s.Edit(func(obj T) {
		annotations := maps.Clone(obj.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[fluxmeta.ReconcileRequestAnnotation] = token
		obj.SetAnnotations(annotations)
	})
	return token
}

// Request asks for a reconcile by annotation and waits until it was handled.
func (s Objects[T]) Request() T {
	s.In.Helper()
	token := s.Ask()
	return s.Await("handled the request", func(obj T) bool {
		handled, _, _ := unstructured.NestedString(s.content(obj), "status", "lastHandledReconcileAt")
		reconciling := conditions.Get(obj, fluxmeta.ReconcilingCondition)
		return handled == token && (reconciling == nil || reconciling.Reason == fluxmeta.ProgressingWithRetryReason)
	})
}

// Await waits until the object is as wanted, and returns it.
func (s Objects[T]) Await(what string, wanted func(T) bool) T {
	s.In.Helper()
	var obj T
	s.In.Poll(s.Kind+" "+what, func() bool {
		obj = s.Get()
		return wanted(obj)
	}, func() string {
		out, _ := yaml.Marshal(s.content(obj)["status"])
		return string(out)
	})
	return obj
}

// IsCurrent reports whether the object is ready at what its spec says now.
func (s Objects[T]) IsCurrent(obj T) bool {
	s.In.Helper()
	observed, _, _ := unstructured.NestedInt64(s.content(obj), "status", "observedGeneration")
	return conditions.IsReady(obj) && observed == obj.GetGeneration()
}

// AwaitFailure waits until the object is not ready, with a reason and a part of
// the message.
func (s Objects[T]) AwaitFailure(reason, message string) T {
	s.In.Helper()
	return s.Await("fails with "+reason+": "+message, func(obj T) bool {
		return conditions.IsFalse(obj, fluxmeta.ReadyCondition) && conditions.GetReason(obj, fluxmeta.ReadyCondition) == reason &&
			strings.Contains(conditions.GetMessage(obj, fluxmeta.ReadyCondition), message)
	})
}

// AwaitStall is AwaitFailure of an object that is given up until it is edited.
func (s Objects[T]) AwaitStall(reason, message string) T {
	s.In.Helper()
	obj := s.Await("stalls with "+reason+": "+message, func(obj T) bool {
		return conditions.IsStalled(obj) && conditions.GetReason(obj, fluxmeta.StalledCondition) == reason &&
			strings.Contains(conditions.GetMessage(obj, fluxmeta.StalledCondition), message)
	})
	s.CheckStatus(obj, status.FailedStatus)
	return obj
}

// IsGone reports whether the object does not exist.
func (s Objects[T]) IsGone() bool {
	s.In.Helper()
	return apierrors.IsNotFound(s.In.Kube.Get(s.In.Context(), client.ObjectKey{Namespace: s.In.Namespace, Name: s.Name}, s.Make()))
}

// Events returns the messages of the object's events with a reason.
func (s Objects[T]) Events(reason string) []string {
	s.In.Helper()
	var list corev1.EventList
	s.In.Must(s.In.Kube.List(s.In.Context(), &list, client.InNamespace(s.In.Namespace)))
	var messages []string
	for i := range list.Items {
		e := &list.Items[i]
		if e.Reason == reason && e.InvolvedObject.Kind == s.Kind && e.InvolvedObject.Name == s.Name {
			messages = append(messages, e.Message)
		}
	}
	return messages
}

// AwaitEvent waits for an event with a reason and a part of the message.
func (s Objects[T]) AwaitEvent(reason, message string) {
	s.In.Helper()
	s.In.Eventually("event "+reason+": "+message, func() bool {
		for _, got := range s.Events(reason) {
			if strings.Contains(got, message) {
				return true
			}
		}
		return false
	})
}

// CheckConditions compares all conditions, as "status reason message" by type.
func (s Objects[T]) CheckConditions(obj T, want map[string]string) {
	s.In.Helper()
	CheckConditions(s.In.T, obj, want)
}

// CheckStatus checks what generic tools make of the object.
func (s Objects[T]) CheckStatus(obj T, want status.Status) {
	s.In.Helper()
	got, err := status.Compute(&unstructured.Unstructured{Object: s.content(obj)})
	if err != nil || got.Status != want {
		s.In.Errorf("kstatus %+v, %v; want %s", got, err, want)
	}
}

// content is the object as it is in JSON.
func (s Objects[T]) content(obj T) map[string]any {
	s.In.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	s.In.Must(err)
	return content
}

// CheckConditions compares all conditions of an object, as "status reason
// message" by type.
func CheckConditions(t *testing.T, obj Object, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, c := range obj.GetConditions() {
		got[c.Type] = string(c.Status) + " " + c.Reason + " " + c.Message
		if c.ObservedGeneration != obj.GetGeneration() {
			t.Errorf("condition %s is of generation %d, the object of %d", c.Type, c.ObservedGeneration, obj.GetGeneration())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
