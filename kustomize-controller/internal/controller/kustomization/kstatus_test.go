// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// Tools that wait for objects, such as kubectl wait and Flux's health checks,
// compute what Kustomizations are from their status. It must be right in every
// phase.
func TestStatusConformsToKstatus(t *testing.T) {
	cause := errors.New("cause")
	finish := func(err error) func(*kustomizev1.Kustomization) {
		return func(obj *kustomizev1.Kustomization) {
			_, _ = reconcile.Finish(obj, err, reconcile.Success{Reason: kustomizev1.ReconciliationSucceededReason, Message: "applied"}, reconcile.Policy{
				RetryAfter:            time.Minute,
				SetObservedGeneration: func(generation int64) { obj.Status.ObservedGeneration = generation },
			})
		}
	}
	edit := func(obj *kustomizev1.Kustomization) { obj.Generation++ }
	suspend := func(obj *kustomizev1.Kustomization) { obj.Spec.Suspend, obj.Generation = true, obj.Generation+1 }
	ready, failed := finish(nil), finish(reconcile.Fail(kustomizev1.BuildFailedReason, cause))
	waiting := finish(reconcile.Wait(time.Second, kustomizev1.DependencyNotReadyReason, cause))
	stalled := finish(reconcile.Stalled(kustomizev1.UnsupportedFieldReason, cause))
	progressing := finish(reconcile.Progress(time.Second, kustomizev1.ProgressingReason, cause))

	for name, tc := range map[string]struct {
		phases []func(*kustomizev1.Kustomization)
		want   status.Status
	}{
		"new":                       {nil, status.InProgressStatus},
		"progressing":               {[]func(*kustomizev1.Kustomization){progressing}, status.InProgressStatus},
		"ready":                     {[]func(*kustomizev1.Kustomization){ready}, status.CurrentStatus},
		"ready, edited":             {[]func(*kustomizev1.Kustomization){ready, edit}, status.InProgressStatus},
		"ready, new revision":       {[]func(*kustomizev1.Kustomization){ready, progressing}, status.InProgressStatus},
		"ready, edited, at work":    {[]func(*kustomizev1.Kustomization){ready, edit, progressing}, status.InProgressStatus},
		"ready, edited and ready":   {[]func(*kustomizev1.Kustomization){ready, edit, progressing, ready}, status.CurrentStatus},
		"failed, is tried again":    {[]func(*kustomizev1.Kustomization){failed}, status.InProgressStatus},
		"ready, then failed":        {[]func(*kustomizev1.Kustomization){ready, failed}, status.InProgressStatus},
		"failed, then ready":        {[]func(*kustomizev1.Kustomization){failed, ready}, status.CurrentStatus},
		"waiting":                   {[]func(*kustomizev1.Kustomization){waiting}, status.InProgressStatus},
		"stalled":                   {[]func(*kustomizev1.Kustomization){stalled}, status.FailedStatus},
		"stalled, edited":           {[]func(*kustomizev1.Kustomization){stalled, edit}, status.InProgressStatus},
		"stalled, edited and ready": {[]func(*kustomizev1.Kustomization){stalled, edit, ready}, status.CurrentStatus},
		// A suspended object is left as it is: the edit that suspends it is
		// a generation that nobody has dealt with.
		"new and suspended":   {[]func(*kustomizev1.Kustomization){suspend}, status.InProgressStatus},
		"ready and suspended": {[]func(*kustomizev1.Kustomization){ready, suspend}, status.InProgressStatus},
		"resumed":             {[]func(*kustomizev1.Kustomization){ready, suspend, edit, ready}, status.CurrentStatus},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &kustomizev1.Kustomization{
				TypeMeta:   metav1.TypeMeta{APIVersion: kustomizev1.GroupVersion.String(), Kind: kustomizev1.KustomizationKind},
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", Generation: 1},
				Status:     kustomizev1.KustomizationStatus{ObservedGeneration: -1}, // the CRD's default
			}
			for _, phase := range tc.phases {
				phase(obj)
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
			if err != nil {
				t.Fatal(err)
			}
			got, err := status.Compute(&unstructured.Unstructured{Object: content})
			if err != nil || got.Status != tc.want {
				t.Errorf("kstatus says %+v, %v, want %s; conditions %+v", got, err, tc.want, obj.Status.Conditions)
			}
			for _, c := range obj.Status.Conditions {
				if c.Type != kustomizev1.ReadyCondition && c.Status != metav1.ConditionTrue {
					t.Errorf("condition %s is %s, and should be there while True only", c.Type, c.Status)
				}
				if c.ObservedGeneration < 1 {
					t.Errorf("condition %s has no observed generation", c.Type)
				}
			}
		})
	}
}
