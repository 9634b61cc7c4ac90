// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/health"
)

// newNotingStore returns a store and what it tells of changes: the data before
// and after, "-" for none.
func newNotingStore() (s *store[string], noted *[]string) {
	noted = &[]string{}
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	digest := func(obj *unstructured.Unstructured) string {
		value, _, _ := unstructured.NestedString(obj.Object, "data")
		return obj.GetName() + "=" + value
	}
	return newStore(digest, func(before, after *string) { *noted = append(*noted, text(before)+" > "+text(after)) }), noted
}

func item(name, data string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": name, "namespace": "ns"}, "data": data}}
}

func TestStoreTellsOfDifferencesOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*store[string]) error
		want []string
		kept map[string]string
	}{
		"same":             {func(s *store[string]) error { return s.Update(item("a", "1")) }, nil, map[string]string{"a": "a=1", "b": "b=1"}},
		"changed":          {func(s *store[string]) error { return s.Update(item("a", "2")) }, []string{"a=1 > a=2"}, map[string]string{"a": "a=2", "b": "b=1"}},
		"added":            {func(s *store[string]) error { return s.Add(item("c", "1")) }, []string{"- > c=1"}, map[string]string{"a": "a=1", "b": "b=1", "c": "c=1"}},
		"deleted":          {func(s *store[string]) error { return s.Delete(item("a", "other")) }, []string{"a=1 > -"}, map[string]string{"b": "b=1"}},
		"deleted unknown":  {func(s *store[string]) error { return s.Delete(item("c", "1")) }, nil, map[string]string{"a": "a=1", "b": "b=1"}},
		"something else":   {func(s *store[string]) error { return s.Update("bookmark") }, nil, map[string]string{"a": "a=1", "b": "b=1"}},
		"replaced by less": {func(s *store[string]) error { return s.Replace([]any{item("b", "1")}, "") }, []string{"a=1 > -"}, map[string]string{"b": "b=1"}},
		"replaced, change": {func(s *store[string]) error { return s.Replace([]any{item("a", "2"), item("b", "1")}, "") }, []string{"a=1 > a=2"}, map[string]string{"a": "a=2", "b": "b=1"}},
		"resync":           {func(s *store[string]) error { return s.Resync() }, nil, map[string]string{"a": "a=1", "b": "b=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, noted := newNotingStore()
			if err := s.Replace([]any{item("a", "1"), item("b", "1")}, ""); err != nil {
				t.Fatal(err)
			}
			*noted = nil
			if err := tc.do(s); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, *noted); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			kept := map[string]string{}
			for _, name := range []string{"a", "b", "c"} {
				if value := s.get(types.NamespacedName{Namespace: "ns", Name: name}); value != nil {
					kept[name] = *value
				}
			}
			if diff := cmp.Diff(tc.kept, kept); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStoreIsFilledByTheFirstList(t *testing.T) {
	s, _ := newNotingStore()
	filled := func() bool {
		select {
		case <-s.filled:
			return true
		default:
			return false
		}
	}
	if err := s.Add(item("a", "1")); err != nil || filled() {
		t.Errorf("Add: %v; filled before the first list: %t", err, filled())
	}
	for range 2 {
		if err := s.Replace(nil, ""); err != nil || !filled() {
			t.Errorf("Replace: %v; filled: %t", err, filled())
		}
	}
}

func TestScaleTargetOf(t *testing.T) {
	for name, tc := range map[string]struct {
		ref  string
		want scaleTarget
	}{
		"autoscaler":       {`{apiVersion: apps/v1, kind: StatefulSet, name: db}`, scaleTarget{schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, types.NamespacedName{Namespace: "ns", Name: "db"}}},
		"custom resource":  {`{apiVersion: serving.kserve.io/v1beta1, kind: Model, name: m}`, scaleTarget{schema.GroupKind{Group: "serving.kserve.io", Kind: "Model"}, types.NamespacedName{Namespace: "ns", Name: "m"}}},
		"KEDA, name only":  {`{name: web}`, scaleTarget{schema.GroupKind{Group: "apps", Kind: "Deployment"}, types.NamespacedName{Namespace: "ns", Name: "web"}}},
		"KEDA, no version": {`{kind: StatefulSet, name: web}`, scaleTarget{schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, types.NamespacedName{Namespace: "ns", Name: "web"}}},
		"KEDA, container":  {`{name: web, envSourceContainerName: main}`, scaleTarget{schema.GroupKind{Group: "apps", Kind: "Deployment"}, types.NamespacedName{Namespace: "ns", Name: "web"}}},
	} {
		t.Run(name, func(t *testing.T) {
			obj := decode(t, "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: x, namespace: ns}, spec: {scaleTargetRef: "+tc.ref+"}}")
			if got := scaleTargetOf(obj); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestScaledCountsAutoscalers(t *testing.T) {
	s := &scaled{minima: map[scaleTarget]map[int64]int{}}
	web := scaleTarget{schema.GroupKind{Group: "apps", Kind: "Deployment"}, types.NamespacedName{Namespace: "ns", Name: "web"}}
	one, three := scaling{web, 1}, scaling{web, 3}
	other := scaling{scaleTarget{web.kind, types.NamespacedName{Namespace: "other", Name: "web"}}, 1}
	for i, step := range []struct {
		before, after *scaling
		want          bool
		least         int64
	}{
		{nil, &one, true, 1}, {nil, &one, true, 1}, {&one, nil, true, 1}, {&one, &other, false, 0}, {&other, &one, true, 1},
		{&one, &three, true, 3}, {nil, &one, true, 3}, {&three, nil, true, 1}, {&one, nil, false, 0},
	} {
		s.changed(step.before, step.after)
		if got := s.targets(web.kind, web.key); got != step.want {
			t.Errorf("step %d: scaled = %t, want %t", i, got, step.want)
		}
		if least, _ := s.least(web.kind, web.key); least != step.least {
			t.Errorf("step %d: at least %d replicas, want %d", i, least, step.least)
		}
	}
	if len(s.minima) > 0 {
		t.Errorf("left behind: %v", s.minima)
	}
}

func TestScaling(t *testing.T) {
	for name, tc := range map[string]struct {
		manifest string
		least    int64
		ok       bool
	}{
		"autoscaler":         {`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {minReplicas: 4, scaleTargetRef: {kind: Deployment, name: web}}}`, 4, true},
		"its default":        {`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {scaleTargetRef: {kind: Deployment, name: web}}}`, 1, true},
		"an older version":   {`{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, spec: {minReplicas: 2, scaleTargetRef: {kind: Deployment, name: web}}}`, 2, true},
		"KEDA":               {`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, spec: {minReplicaCount: 5, scaleTargetRef: {name: web}}}`, 5, true},
		"KEDA's default":     {`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, spec: {scaleTargetRef: {name: web}}}`, 0, true},
		"nonsense":           {`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, spec: {minReplicaCount: -5, scaleTargetRef: {name: web}}}`, 0, true},
		"something else":     {`{apiVersion: apps/v1, kind: Deployment, spec: {minReplicas: 4}}`, 0, false},
		"a kind of the name": {`{apiVersion: example.com/v1, kind: ScaledObject, spec: {minReplicaCount: 5}}`, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			gk, key, least, ok := Scaling(decode(t, tc.manifest))
			if least != tc.least || ok != tc.ok || ok && (gk.String() != "Deployment.apps" || key.Name != "web") {
				t.Errorf("%s %s, at least %d, %t; want %d, %t", gk, key, least, ok, tc.least, tc.ok)
			}
		})
	}
}

func TestRecord(t *testing.T) {
	r := recorder{labels: Labels{Name: "x/name", Namespace: "x/namespace"}, managers: testManagers, leave: []Mark{{"x/reconcile", "disabled"}}, merge: []Mark{{"x/ssa", "Merge"}}, checks: func(types.NamespacedName) *health.Checks { return nil }, kinds: gpu.BuiltinKinds}
	obj := decode(t, `
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  namespace: ns
  uid: u
  deletionTimestamp: "2026-01-01T00:00:00Z"
  labels: {x/name: owner, x/namespace: theirs}
  annotations: {x/reconcile: Disabled}
status: {availableReplicas: 3}`)
	got := r.record(obj)
	want := Record{
		Namespace: "ns", Name: "a", UID: "u", Owner: types.NamespacedName{Namespace: "theirs", Name: "owner"},
		Owned: Fingerprint(obj, testManagers, nil), Health: health.Of(obj), Available: 3, Left: true, Deleting: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestHasMark(t *testing.T) {
	for name, tc := range map[string]struct {
		metadata string
		want     bool
	}{
		"none":       {"{}", false},
		"label":      {"{labels: {k: disabled}}", true},
		"annotation": {"{annotations: {k: DISABLED}}", true},
		"second":     {"{annotations: {other: 'YES'}}", true},
		"enabled":    {"{annotations: {k: enabled}}", false},
		"other key":  {"{annotations: {x: disabled}}", false},
		"no key":     {"{annotations: {'': disabled}}", false},
	} {
		t.Run(name, func(t *testing.T) {
			obj := decode(t, "{apiVersion: v1, kind: ConfigMap, metadata: "+tc.metadata+"}")
			if got := HasMark(obj, Mark{"k", "disabled"}, Mark{"other", "yes"}, Mark{"", "disabled"}); got != tc.want {
				t.Errorf("HasMark = %t, want %t", got, tc.want)
			}
		})
	}
}
