// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package holdings

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metadatafake "k8s.io/client-go/metadata/fake"
	"sigs.k8s.io/yaml"
)

// Who made a pod is what the pod says. One that names the UID of a workload in
// another namespace must not get to what is kept for that one's owner.
func TestWalkStaysInTheNamespace(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	replicaSet := &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "theirs", Name: "web-1", UID: "rs", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "deploy", Controller: new(true)},
		}},
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"ReplicaSet", "Deployment"} {
		mapper.Add(appsv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	w := NewWalker(metadatafake.NewSimpleMetadataClient(scheme, replicaSet), nil, mapper)
	for namespace, want := range map[string]string{"theirs": "deploy", "mine": "rs"} {
		for range 2 { // read, then remembered
			chain, err := w.Walk(t.Context(), &Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Namespace: "theirs", Name: "web-1", UID: "rs"})
			if err != nil || len(chain) != 2 {
				t.Fatalf("%+v, %v", chain, err)
			}
			chain, err = w.Walk(t.Context(), &Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Namespace: namespace, Name: "web-1", UID: "rs"})
			if err != nil || string(SlotOwner(chain).UID) != want {
				t.Errorf("from namespace %s: %+v, %v; want slots of %s", namespace, chain, err, want)
			}
		}
	}
}

func TestWish(t *testing.T) {
	for name, tc := range map[string]struct {
		object    string
		succeeded int64
		want      int64
	}{
		"a Deployment":                   {"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3}}", 0, 3},
		"a Deployment, default":          {"{apiVersion: apps/v1, kind: Deployment, spec: {}}", 0, 1},
		"a ReplicaSet":                   {"{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 0}}", 0, 0},
		"a StatefulSet":                  {"{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 2}}", 0, 2},
		"a Job":                          {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4, completions: 6}}", 0, 4},
		"a Job at its last pods":         {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4, completions: 6}, status: {succeeded: 5}}", 0, 1},
		"a Job whose status is behind":   {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 1, completions: 1}}", 1, 0},
		"a Job without an end":           {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4}}", 3, 4},
		"a Job that is suspended":        {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4, suspend: true}}", 0, 0},
		"a Job that is complete":         {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4}, status: {conditions: [{type: Complete, status: 'True'}]}}", 0, 0},
		"a Job that is about to fail":    {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4}, status: {conditions: [{type: FailureTarget, status: 'True'}]}}", 0, 0},
		"a Job that is not complete yet": {"{apiVersion: batch/v1, kind: Job, spec: {parallelism: 4}, status: {conditions: [{type: Complete, status: 'False'}]}}", 0, 4},
		"anything else":                  {"{apiVersion: ray.io/v1, kind: RayCluster, spec: {replicas: 3}}", 0, -1},
	} {
		t.Run(name, func(t *testing.T) {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(tc.object), object); err != nil {
				t.Fatal(err)
			}
			if got := wish(object).Most(tc.succeeded); got != tc.want {
				t.Errorf("it may have %d pods, want %d", got, tc.want)
			}
		})
	}
	if got := (Wish{}).Most(0); got != 0 {
		t.Errorf("an object that is gone may have %d pods", got)
	}
}

func TestSlotOwner(t *testing.T) {
	replicaSet, deployment := Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", UID: "rs"}, Owner{APIVersion: "apps/v1", Kind: "Deployment", UID: "deploy"}
	job, set := Owner{APIVersion: "batch/v1", Kind: "Job", UID: "job"}, Owner{APIVersion: "jobset.x-k8s.io/v1alpha2", Kind: "JobSet", UID: "set"}
	for name, tc := range map[string]struct {
		chain []Owner
		want  string
	}{
		"none":                         {nil, ""},
		"a ReplicaSet":                 {[]Owner{replicaSet}, "rs"},
		"a Deployment":                 {[]Owner{replicaSet, deployment}, "deploy"},
		"a Job of a JobSet":            {[]Owner{job, set}, "job"},
		"a ReplicaSet of another kind": {[]Owner{replicaSet, {APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", UID: "r"}}, "rs"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := SlotOwner(tc.chain); string(got.UID) != tc.want {
				t.Errorf("slots are of %q, want %q", got.UID, tc.want)
			}
		})
	}
	if got := (Owner{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "a"}).Key(); got != "/Pod/ns/a" {
		t.Errorf("key %s", got)
	}
	if got := deployment.Key(); got != "apps/Deployment//" {
		t.Errorf("key %s", got)
	}
}
