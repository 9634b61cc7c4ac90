// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package holdings

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func pod(name, version string, gpus int64, change ...func(*corev1.Pod)) *item {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), ResourceVersion: version}}
	if gpus > 0 {
		p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"nvidia.com/gpu": *resource.NewQuantity(gpus, resource.DecimalSI)},
		}}}
	}
	for _, f := range change {
		f(p)
	}
	return newItem(p)
}

func phase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func on(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

// recorded is a Store and what it told.
func recorded() (store, *[]string) {
	s := store{NewStore()}
	told := &[]string{}
	s.Listen(func(e Event) {
		switch {
		case e.Reset:
			*told = append(*told, "reset")
		case e.All:
			*told = append(*told, "all")
		case e.Ended != nil:
			*told = append(*told, "ended "+e.Ended.Name)
		case e.Began != nil:
			*told = append(*told, "began "+e.Began.Name)
		default:
			*told = append(*told, "changed "+e.Namespace)
		}
	})
	return s, told
}

func TestStoreTells(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(store) []error
		want []string
	}{
		"a pod without devices": {func(s store) []error { return []error{s.Add(pod("a", "5", 0)), s.Delete(pod("a", "6", 0))} }, nil},
		"a pod runs": {
			func(s store) []error {
				return []error{s.Add(pod("a", "5", 1)), s.Update(pod("a", "6", 1, on("n"))), s.Update(pod("a", "7", 1, on("n"), phase(corev1.PodRunning)))}
			},
			[]string{"began a", "changed ns"},
		},
		"a pod succeeds and is deleted": {
			func(s store) []error {
				return []error{s.Add(pod("a", "5", 1)), s.Update(pod("a", "6", 1, phase(corev1.PodSucceeded))), s.Delete(pod("a", "7", 1, phase(corev1.PodSucceeded)))}
			},
			[]string{"began a", "ended a", "changed ns"},
		},
		"a pod is deleted": {
			func(s store) []error { return []error{s.Add(pod("a", "5", 1)), s.Delete(pod("a", "6", 1))} },
			[]string{"began a", "ended a"},
		},
		"a terminating pod holds": {
			func(s store) []error {
				now := metav1.Now()
				return []error{s.Add(pod("a", "5", 1)), s.Update(pod("a", "6", 1, func(p *corev1.Pod) { p.DeletionTimestamp = &now }))}
			},
			[]string{"began a"},
		},
		"a list after a gap": {
			func(s store) []error {
				return []error{s.Add(pod("a", "5", 1)), s.Replace([]any{pod("b", "7", 1), pod("c", "8", 0)}, "9")}
			},
			[]string{"began a", "began b", "ended a", "all"},
		},
		"a list of an earlier time": {
			func(s store) []error {
				return []error{s.Add(pod("a", "5", 1)), s.Replace([]any{pod("a", "3", 1)}, "4")}
			},
			[]string{"began a", "reset", "all"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, told := recorded()
			for _, err := range tc.do(s) {
				if err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(tc.want, *told, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVersionIsThatOfTheLastEvent(t *testing.T) {
	s, _ := recorded()
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return s.Replace([]any{pod("a", "3", 1)}, "10") }, "10"},
		{func() error { return s.Add(pod("b", "11", 0)) }, "11"},
		{func() error { return s.Update(pod("a", "12", 1)) }, "12"},
		{func() error { return s.Bookmark("20") }, "20"},
		{func() error { return s.Delete(pod("a", "21", 1)) }, "21"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := s.Version(); got != step.want {
			t.Errorf("version %s, want %s", got, step.want)
		}
	}
	if s.Lists() != 1 || s.Size() != 0 || !s.Gone("uid-a") || s.Gone("uid-b") {
		t.Errorf("%d lists, %d pods, gone: %t, %t", s.Lists(), s.Size(), s.Gone("uid-a"), s.Gone("uid-b"))
	}
}

func TestShapesAreShared(t *testing.T) {
	s, _ := recorded()
	for i := range 3 {
		if err := s.Add(pod(fmt.Sprint(i), "1", 4)); err != nil {
			t.Fatal(err)
		}
	}
	if s.Pod("uid-0").Shape != s.Pod("uid-2").Shape || len(s.shapes) != 1 {
		t.Errorf("%d shapes for three equal pods", len(s.shapes))
	}
	for i := range 3 {
		if err := s.Update(pod(fmt.Sprint(i), "2", 4, on("n"))); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(pod(fmt.Sprint(i), "3", 4)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.shapes) != 0 {
		t.Errorf("%d shapes are left", len(s.shapes))
	}
}

func TestGoneIsBounded(t *testing.T) {
	s := NewStore()
	for i := range ringSize + 10 {
		s.bury(types.UID(fmt.Sprint(i)))
	}
	if len(s.gone) != ringSize || s.Gone("9") || !s.Gone("10") || !s.Gone(types.UID(fmt.Sprint(ringSize+9))) {
		t.Errorf("%d are remembered, and not the last", len(s.gone))
	}
}

func TestSnapshot(t *testing.T) {
	s, _ := recorded()
	if err := s.Replace([]any{pod("a", "1", 1), pod("b", "2", 1, func(p *corev1.Pod) { p.Namespace = "other" })}, "7"); err != nil {
		t.Fatal(err)
	}
	got := s.Snapshot(func(ns string) bool { return ns == "other" })
	if len(got.Pods) != 1 || got.Pods[0].Name != "b" || got.Version != "7" || got.Lists != 1 {
		t.Errorf("snapshot %+v", got)
	}
	mark := s.Mark()
	for _, err := range []error{s.Add(pod("c", "8", 1)), s.Update(pod("a", "9", 1, phase(corev1.PodFailed))), s.Delete(pod("a", "10", 1)), s.Delete(pod("c", "11", 1)), s.Add(pod("d", "12", 1))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got = s.SnapshotSince(mark, func(ns string) bool { return ns == "ns" })
	if len(got.Ended) != 2 || got.Ended[0].Name != "a" || got.Ended[0].Phase != Failed || got.Ended[1].Name != "c" || !mark.Began(got.Pods[0]) || got.Mark.Began(got.Pods[0]) {
		t.Errorf("snapshot %+v", got)
	}
	if ns := s.Namespaces(); !slices.Equal(ns, []string{"ns", "other"}) {
		t.Errorf("namespaces %v", ns)
	}
}
