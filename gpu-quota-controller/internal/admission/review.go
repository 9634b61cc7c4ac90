// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const reviewKind = "AdmissionReview"

// review is an AdmissionReview about a pod, with what is read of it: the rest
// would cost the most time.
type review struct {
	metav1.TypeMeta
	Request *request `json:"request"`
}

type request struct {
	UID         types.UID                   `json:"uid"`
	Kind        metav1.GroupVersionKind     `json:"kind"`
	Resource    metav1.GroupVersionResource `json:"resource"`
	SubResource string                      `json:"subResource"`
	Namespace   string                      `json:"namespace"`
	Operation   admissionv1.Operation       `json:"operation"`
	Object      *pod                        `json:"object"`
	OldObject   *pod                        `json:"oldObject"`
	DryRun      *bool                       `json:"dryRun"`
}

type pod struct {
	podMeta `json:"metadata"`
	Spec    corev1.PodSpec `json:"spec"`
}

type podMeta struct {
	Name            string                  `json:"name"`
	Namespace       string                  `json:"namespace"`
	UID             types.UID               `json:"uid"`
	Annotations     map[string]string       `json:"annotations"`
	OwnerReferences []metav1.OwnerReference `json:"ownerReferences"`
}

// controller is who made the pod, nil if nobody says so.
func (p *pod) controller() *metav1.OwnerReference {
	for i := range p.OwnerReferences {
		if ref := &p.OwnerReferences[i]; ref.Controller != nil && *ref.Controller {
			return ref
		}
	}
	return nil
}

func (r *request) dryRun() bool { return r.DryRun != nil && *r.DryRun }

// read takes a review from a request. Its errors are for whoever sent it.
func read(w http.ResponseWriter, r *http.Request) (*review, error) {
	if r.Method != http.MethodPost {
		return nil, fmt.Errorf("%s is not how reviews are sent", r.Method)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, errors.New("a review is sent as application/json")
	}
	// Who sends byte by byte holds a connection, and no more than that.
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(answerWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the review: %w", err)
	}
	got := &review{}
	if err := json.Unmarshal(body, got); err != nil {
		return nil, errors.New("the body is no review of a pod in JSON")
	}
	switch {
	case got.Kind != reviewKind || got.APIVersion != admissionv1.SchemeGroupVersion.String():
		return nil, fmt.Errorf("the body is no %s of %s", reviewKind, admissionv1.SchemeGroupVersion)
	case got.Request == nil:
		return nil, errors.New("the review has no request")
	case got.Request.UID == "":
		return nil, errors.New("the request of the review has no uid")
	}
	return got, nil
}

// check refuses what the configuration does not ask for.
func (r *request) check() error {
	switch {
	case !r.aboutPods():
		return errors.New("this webhook reviews pods of v1 and nothing else")
	case !r.creates() && !r.resizes():
		return errors.New("this webhook reviews the creation of pods and UPDATE of pods/resize, and nothing else")
	case r.Object == nil || r.Object.UID == "" || r.Object.Name == "":
		return errors.New("the pod has no name or no uid")
	case r.Namespace == "" || r.Object.Namespace != "" && r.Object.Namespace != r.Namespace:
		return errors.New("the namespace of the pod is not that of the request")
	case r.creates() && r.OldObject != nil:
		return errors.New("a pod that is created has no older state")
	case r.resizes() && (r.OldObject == nil || r.OldObject.UID != r.Object.UID):
		return errors.New("a resize is about one pod, before and after")
	}
	return nil
}

func (r *request) aboutPods() bool {
	return r.Kind == metav1.GroupVersionKind{Version: "v1", Kind: "Pod"} && r.Resource == metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
}

func (r *request) creates() bool { return r.Operation == admissionv1.Create && r.SubResource == "" }

func (r *request) resizes() bool {
	return r.Operation == admissionv1.Update && r.SubResource == "resize"
}
