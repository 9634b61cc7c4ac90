// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	apimeta "github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// recorded is what TestRecord looks at of a snapshot.
type recorded struct {
	Digest, Status, Revision string
	Total                    int64
}

func TestRecord(t *testing.T) {
	now := time.Now()
	success := func(digest, revision string, total int64) recorded {
		return recorded{digest, kustomizev1.ReconciliationSucceededReason, revision, total}
	}
	unhealthy := reconcile.Fail(kustomizev1.HealthCheckFailedReason, errors.New("ill"))
	for name, tc := range map[string]struct {
		run  run
		err  error
		rev  string // of the artifact, if it is another one
		want []recorded
	}{
		"nothing built":               {err: reconcile.Fail(kustomizev1.BuildFailedReason, errors.New("x")), want: []recorded{success("one", "main@sha1:1", 1)}},
		"unchanged":                   {run: run{digest: "one"}, want: []recorded{success("one", "main@sha1:1", 1)}},
		"unchanged, only looked":      {run: run{digest: "one", recorded: true, notable: true}, want: []recorded{success("one", "main@sha1:1", 1)}},
		"unchanged, asked":            {run: run{digest: "one", notable: true}, want: []recorded{success("one", "main@sha1:1", 2)}},
		"other objects":               {run: run{digest: "two"}, want: []recorded{success("two", "main@sha1:1", 1), success("one", "main@sha1:1", 1)}},
		"same objects, next revision": {run: run{digest: "one"}, rev: "main@sha1:2", want: []recorded{success("one", "main@sha1:2", 2)}},
		"not healthy in time": {
			run: run{digest: "one"}, err: unhealthy,
			want: []recorded{{"one", kustomizev1.HealthCheckFailedReason, "main@sha1:1", 1}, success("one", "main@sha1:1", 1)},
		},
		"fell ill": {
			run: run{digest: "one", recorded: true}, err: unhealthy,
			want: []recorded{{"one", kustomizev1.HealthCheckFailedReason, "main@sha1:1", 1}, success("one", "main@sha1:1", 1)},
		},
		"refused": {
			run: run{digest: "two"}, err: reconcile.Fail(kustomizev1.ReconciliationFailedReason, errors.New("no")),
			want: []recorded{{"two", kustomizev1.ReconciliationFailedReason, "main@sha1:1", 1}, success("one", "main@sha1:1", 1)},
		},
		"waits": {
			run: run{digest: "two"}, err: reconcile.Progress(1, kustomizev1.ProgressingReason, errors.New("waits")),
			want: []recorded{success("one", "main@sha1:1", 1)},
		},
		"waits for a dependency": {
			run: run{digest: "one", recorded: true}, err: reconcile.Wait(1, kustomizev1.DependencyNotReadyReason, errors.New("waits")),
			want: []recorded{success("one", "main@sha1:1", 1)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(now)
			s.obj.Status.History = apimeta.History{}.Record("one", kustomizev1.ReconciliationSucceededReason, now, time.Second, snapshotMetadata(s.artifact))
			if tc.rev != "" {
				s.artifact.Revision = tc.rev
			}
			s.memory.run = tc.run
			s.memory.run.began = now.Add(-time.Minute)
			_, _ = reconcile.Finish(s.obj, tc.err, reconcile.Success{Reason: kustomizev1.ReconciliationSucceededReason}, reconcile.Policy{
				SetObservedGeneration: func(int64) {},
			})
			s.record()
			var got []recorded
			for _, snapshot := range s.obj.Status.History {
				got = append(got, recorded{snapshot.Digest, snapshot.LastReconciledStatus, snapshot.Metadata["revision"], snapshot.TotalReconciliations})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			s.record()
			if again := s.obj.Status.History.Latest().TotalReconciliations; again != got[0].Total {
				t.Errorf("recorded %d times, and then once more", got[0].Total)
			}
		})
	}
}

// A reconciliation takes from its begin to its end, whatever comes between.
func TestRecordedDuration(t *testing.T) {
	s := held(time.Now())
	s.memory.run = run{digest: "one", notable: true, began: s.now.Add(-time.Hour)}
	s.record()
	if took := s.obj.Status.History.Latest().LastReconciledDuration.Duration; took < time.Hour || took > time.Hour+time.Minute || took%time.Millisecond != 0 {
		t.Errorf("took %s, want an hour in whole milliseconds", took)
	}
}

func TestSnapshotDigest(t *testing.T) {
	object := func(kind, value string) map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": "a", "namespace": "ns"},
			"data": map[string]any{"key": value},
		}
	}
	plain := func(*kustomizev1.Kustomization) {}
	fromSecret := func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "Secret", Name: "s"}}}
	}
	fromConfigMap := func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "ConfigMap", Name: "s"}}}
	}
	encrypted := func(k *kustomizev1.Kustomization) { k.Spec.Decryption = &kustomizev1.Decryption{Provider: "sops"} }
	next := func(k *kustomizev1.Kustomization) { encrypted(k); k.Generation = 2 }
	digest := func(change func(*kustomizev1.Kustomization), artifact string, object map[string]any) string {
		obj := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		change(obj)
		desired, err := apply.Prepare([]*unstructured.Unstructured{{Object: object}}, types.NamespacedName{}, Labels, Keys)
		if err != nil {
			t.Fatal(err)
		}
		return snapshotDigest(obj, artifact, desired)
	}
	for name, tc := range map[string]struct {
		one, two string
		same     bool
	}{
		"same":                           {digest(plain, "x", object("ConfigMap", "1")), digest(plain, "y", object("ConfigMap", "1")), true},
		"other value":                    {digest(plain, "x", object("ConfigMap", "1")), digest(plain, "x", object("ConfigMap", "2")), false},
		"other kind":                     {digest(plain, "x", object("ConfigMap", "1")), digest(plain, "x", object("Secret", "1")), false},
		"value of a Secret":              {digest(plain, "x", object("Secret", "MQ==")), digest(plain, "x", object("Secret", "Mg==")), true},
		"variables of a ConfigMap":       {digest(fromConfigMap, "x", object("ConfigMap", "1")), digest(fromConfigMap, "x", object("ConfigMap", "2")), false},
		"variables of a Secret":          {digest(fromSecret, "x", object("ConfigMap", "1")), digest(fromSecret, "x", object("ConfigMap", "2")), true},
		"encrypted":                      {digest(encrypted, "x", object("ConfigMap", "1")), digest(encrypted, "x", object("ConfigMap", "2")), true},
		"encrypted, source has changed":  {digest(encrypted, "x", object("ConfigMap", "1")), digest(encrypted, "y", object("ConfigMap", "1")), false},
		"encrypted, spec has changed":    {digest(encrypted, "x", object("ConfigMap", "1")), digest(next, "x", object("ConfigMap", "1")), false},
		"without objects, as it must be": {snapshotDigest(&kustomizev1.Kustomization{}, "", nil), snapshotDigest(&kustomizev1.Kustomization{}, "x", nil), true},
	} {
		t.Run(name, func(t *testing.T) {
			if same := tc.one == tc.two; same != tc.same {
				t.Errorf("same digest: %t, want %t", same, tc.same)
			}
			if len(tc.one) != len("sha256:")+64 {
				t.Errorf("digest %q", tc.one)
			}
		})
	}
}
