// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"path/filepath"
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

// Object is a source.
type Object interface {
	client.Object
	conditions.Getter
	GetArtifact() *fluxmeta.Artifact
}

// Objects drives the object of one kind and name in the namespace of a test.
type Objects[T Object] struct {
	*Suite

	// Kind is the kind's name, and Name the object's.
	Kind, Name string
	// Make returns an empty object.
	Make func() T
}

// Get reads the object.
func (s *Objects[T]) Get() T {
	s.Helper()
	obj := s.Make()
	s.Must(s.Kube.Get(s.Context(), client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, obj))
	return obj
}

// Edit patches what change makes different.
func (s *Objects[T]) Edit(change func(T)) {
	s.Helper()
	obj := s.Get()
	before, _ := obj.DeepCopyObject().(T)
	change(obj)
	s.Must(s.Kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

// Ask asks for a reconcile by annotation, and returns the token.
func (s *Objects[T]) Ask() string {
	s.Helper()
	token := rand.String(8)
	s.Edit(func(obj T) { obj.SetAnnotations(map[string]string{fluxmeta.ReconcileRequestAnnotation: token}) })
	return token
}

// Request asks for a reconcile by annotation and waits until it was handled.
func (s *Objects[T]) Request() T {
	s.Helper()
	token := s.Ask()
	return s.Await("handled the request", func(obj T) bool {
		handled, _, _ := unstructured.NestedString(s.content(obj), "status", "lastHandledReconcileAt")
		reconciling := conditions.Get(obj, fluxmeta.ReconcilingCondition)
		return handled == token && (reconciling == nil || reconciling.Reason == fluxmeta.ProgressingWithRetryReason)
	})
}

// Await waits until the object is as wanted, and returns it.
func (s *Objects[T]) Await(what string, wanted func(T) bool) T {
	s.Helper()
	var obj T
	s.Poll(s.Kind+" "+what, func() bool {
		obj = s.Get()
		return wanted(obj)
	}, func() string {
		out, _ := yaml.Marshal(s.content(obj)["status"])
		return string(out)
	})
	return obj
}

// AwaitRevision waits until the object is ready with the artifact of a
// revision.
func (s *Objects[T]) AwaitRevision(revision string) T {
	s.Helper()
	return s.Await("is ready with "+revision, func(obj T) bool {
		observed, _, _ := unstructured.NestedInt64(s.content(obj), "status", "observedGeneration")
		return conditions.IsReady(obj) && observed == obj.GetGeneration() && obj.GetArtifact().HasRevision(revision)
	})
}

// AwaitFailure waits until the object is not ready, with a reason and a part of
// the message.
func (s *Objects[T]) AwaitFailure(reason, message string) T {
	s.Helper()
	return s.Await("fails with "+reason+": "+message, func(obj T) bool {
		return conditions.IsFalse(obj, fluxmeta.ReadyCondition) && conditions.GetReason(obj, fluxmeta.ReadyCondition) == reason &&
			strings.Contains(conditions.GetMessage(obj, fluxmeta.ReadyCondition), message)
	})
}

// AwaitStall is AwaitFailure of an object that is given up until it is edited.
func (s *Objects[T]) AwaitStall(reason, message string) T {
	s.Helper()
	obj := s.Await("stalls with "+reason+": "+message, func(obj T) bool {
		return conditions.IsStalled(obj) && conditions.GetReason(obj, fluxmeta.StalledCondition) == reason &&
			strings.Contains(conditions.GetMessage(obj, fluxmeta.StalledCondition), message)
	})
	s.CheckStatus(obj, status.FailedStatus)
	return obj
}

// IsGone reports whether the object does not exist.
func (s *Objects[T]) IsGone() bool {
	s.Helper()
	return apierrors.IsNotFound(s.Kube.Get(s.Context(), client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, s.Make()))
}

// File is where the artifact is on disk.
func (s *Objects[T]) File(obj T) string { return filepath.Join(s.Storage, obj.GetArtifact().Path) }

// Files returns the names of what is in the object's directory and fits a
// pattern.
func (s *Objects[T]) Files(pattern string) []string {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.Storage, strings.ToLower(s.Kind), s.Namespace, s.Name, pattern))
	s.Must(err)
	return files
}

// LoseDisk empties the storage.
func (s *Suite) LoseDisk() {
	s.Helper()
	entries, err := os.ReadDir(s.Storage)
	s.Must(err)
	for _, entry := range entries {
		s.Must(os.RemoveAll(filepath.Join(s.Storage, entry.Name())))
	}
}

// Events returns the messages of the object's events with a reason.
func (s *Objects[T]) Events(reason string) []string {
	s.Helper()
	var list corev1.EventList
	s.Must(s.Kube.List(s.Context(), &list, client.InNamespace(s.Namespace)))
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
func (s *Objects[T]) AwaitEvent(reason, message string) {
	s.Helper()
	s.Eventually("event "+reason+": "+message, func() bool {
		for _, got := range s.Events(reason) {
			if strings.Contains(got, message) {
				return true
			}
		}
		return false
	})
}

// CheckConditions compares all conditions, as "status reason message" by type.
func (s *Objects[T]) CheckConditions(obj T, want map[string]string) {
	s.Helper()
	CheckConditions(s.T, obj, want)
}

// CheckStatus checks what generic tools make of the object.
func (s *Objects[T]) CheckStatus(obj T, want status.Status) {
	s.Helper()
	got, err := status.Compute(&unstructured.Unstructured{Object: s.content(obj)})
	if err != nil || got.Status != want {
		s.Errorf("kstatus %+v, %v; want %s", got, err, want)
	}
}

// content is the object as it is in JSON.
func (s *Objects[T]) content(obj T) map[string]any {
	s.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	s.Must(err)
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
