// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package holdings knows which pods hold devices, and up to which resource
// version of the API server it knows that.
//
// It keeps of all pods of a cluster only those that ask for devices, and of
// these only what is counted. Whoever relies on what it says compares the
// resource version: a watch that is behind is behind as a whole.
package holdings

import (
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// Pod is one pod that asks for devices. It does not change.
type Pod struct {
	UID             types.UID
	Namespace, Name string
	// Node that the pod is bound to, or "".
	Node string
	// Controller is the object that made the pod; nil without one.
	Controller *Owner
	// Shape is what the pod asks for, shared by all pods that ask for the same.
	Shape *gpu.Shape
	// Phase is whether it still holds that.
	Phase Phase

	shape *sharedShape
	// number of the pod in the order in which pods were first seen.
	number int64
}

// Phase is what counts of the phase of a pod.
type Phase uint8

// The phases.
const (
	// Holding: the pod holds what it asks for, or waits for it. A pod that is
	// being deleted holds it until it is gone.
	Holding Phase = iota
	// Succeeded and Failed: the containers have ended for good.
	Succeeded
	Failed
)

// Owner is an object that made a pod, or that made such an object.
type Owner struct {
	APIVersion, Kind, Namespace, Name string
	UID                               types.UID
}

// Key is group/Kind/namespace/name, by which grants know objects.
func (o Owner) Key() string {
	return o.GroupKind().Group + "/" + o.Kind + "/" + o.Namespace + "/" + o.Name
}

// GroupKind of the object.
func (o Owner) GroupKind() schema.GroupKind {
	return schema.FromAPIVersionAndKind(o.APIVersion, o.Kind).GroupKind()
}

// OwnerOf makes an Owner of a reference in an object of a namespace, or nil of
// nil.
func OwnerOf(namespace string, ref *metav1.OwnerReference) *Owner {
	if ref == nil {
		return nil
	}
	return &Owner{APIVersion: intern(ref.APIVersion), Kind: intern(ref.Kind), Namespace: intern(namespace), Name: intern(ref.Name), UID: types.UID(intern(string(ref.UID)))}
}

// intern returns the one copy of a string.
func intern(s string) string { return unique.Make(s).Value() }

// newPod takes from a pod what is kept, or returns nil if it asks for no
// device. Which extended resources are devices is for the classes to say.
func newPod(pod *corev1.Pod) *Pod {
	// The API server has admitted the pod, so its quantities are whole. Of one
	// whose annotations are not, a whole device counts.
	shape, _ := gpu.PodShape(pod.Annotations, &pod.Spec)
	if shape.IsZero() {
		return nil
	}
	p := &Pod{
		UID: pod.UID, Namespace: intern(pod.Namespace), Name: pod.Name, Node: intern(pod.Spec.NodeName),
		Controller: OwnerOf(pod.Namespace, metav1.GetControllerOfNoCopy(pod)),
		Shape:      &shape,
	}
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		p.Phase = Succeeded
	case corev1.PodFailed:
		p.Phase = Failed
	default:
	}
	return p
}
