// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package complaint

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func pod(name string, age time.Duration, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ml", UID: "u-1", CreationTimestamp: metav1.NewTime(now.Add(-age))}}
	for _, f := range change {
		f(&p)
	}
	return p
}

func isReady(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

func TestSuspects(t *testing.T) {
	done := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	failed := func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }
	going := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} }
	for name, tc := range map[string]struct {
		pods []corev1.Pod
		want []string
	}{
		"none":         {nil, nil},
		"well":         {[]corev1.Pod{pod("a", 1, isReady), pod("b", 1, done), pod("c", 1, going)}, nil},
		"newest first": {[]corev1.Pod{pod("old", time.Hour), pod("new", time.Minute), pod("mid", 2*time.Minute)}, []string{"new", "mid"}},
		"same age":     {[]corev1.Pod{pod("b", 0), pod("a", 0)}, []string{"a", "b"}},
		"failed":       {[]corev1.Pod{pod("a", 0, isReady), pod("b", time.Hour, failed)}, []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range suspects(tc.pods) {
				got = append(got, p.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("suspects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLatest(t *testing.T) {
	event := func(message string, at time.Duration, change ...func(*corev1.Event)) corev1.Event {
		e := corev1.Event{Type: corev1.EventTypeWarning, Message: message, LastTimestamp: metav1.NewTime(now.Add(at))}
		for _, f := range change {
			f(&e)
		}
		return e
	}
	series := func(at time.Duration) func(*corev1.Event) {
		return func(e *corev1.Event) {
			e.LastTimestamp, e.EventTime = metav1.Time{}, metav1.NewMicroTime(now)
			e.Series = &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(now.Add(at))}
		}
	}
	normal := func(e *corev1.Event) { e.Type = corev1.EventTypeNormal }
	for name, tc := range map[string]struct {
		events []corev1.Event
		want   string
	}{
		"none":            {nil, ""},
		"normal only":     {[]corev1.Event{event("a", 0, normal)}, ""},
		"last":            {[]corev1.Event{event("a", 0), event("b", 2), event("c", 1)}, "b"},
		"series":          {[]corev1.Event{event("a", time.Minute), event("b", 0, series(time.Hour))}, "b"},
		"echo comes last": {[]corev1.Event{event("Error: ErrImagePull", time.Hour), event("Failed to pull image", 0)}, "Failed to pull image"},
		"echo alone":      {[]corev1.Event{event("Error: ErrImagePull", 0), event("Error: ImagePullBackOff", 1)}, "Error: ImagePullBackOff"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if e := latest(tc.events); e != nil {
				got = e.Message
			}
			if got != tc.want {
				t.Errorf("latest says %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDescribeIsTheSameForEveryPod(t *testing.T) {
	long := strings.Repeat("ä", maxText)
	for name, tc := range map[string]struct{ message, want string }{
		"scheduler":      {"0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."},
		"crash":          {"Back-off restarting failed container server in pod server-7d9f-x7k2p_ml(u-1)", "Back-off restarting failed container server in pod server-7d9f"},
		"probe":          {`Readiness probe failed: Get "http://10.244.0.7:8080/healthz?token=s3cret": dial tcp 10.244.0.7:8080: connect: connection refused`, `Readiness probe failed: Get "http://server-7d9f:8080/healthz": dial tcp server-7d9f:8080: connect: connection refused`},
		"probe, port":    {"read tcp 10.0.0.1:53422->10.244.0.7:8080: reset", "read tcp 10.0.0.1->server-7d9f:8080: reset"},
		"sibling":        {`pods "server-7d9f-abcde" is forbidden: exceeded quota`, `pods "server-7d9f" is forbidden: exceeded quota`},
		"back-off":       {"restarting failed: back-off 5m0s restarting", "restarting failed: back-off restarting"},
		"container":      {"container " + strings.Repeat("ab", 32) + " died", "container … died"},
		"image digest":   {"Failed to pull image r/x@sha256:" + strings.Repeat("ab", 32), "Failed to pull image r/x@sha256:" + strings.Repeat("ab", 32)},
		"several lines":  {"a\n\tb  c", "a b c"},
		"password":       {"pull https://bob:s3cret@registry/x: EOF", "pull https://registry/x: EOF"},
		"too long":       {long, long[:maxText-4] + "…"},
		"other pod":      {"preempted by ml/other-7d9f-x7k2p", "preempted by ml/other-7d9f-x7k2p"},
		"uid on its own": {"volume of u-1 is busy", "volume of server-7d9f is busy"},
	} {
		t.Run(name, func(t *testing.T) {
			p := pod("server-7d9f-x7k2p", 0, func(p *corev1.Pod) {
				p.GenerateName = "server-7d9f-"
				p.Status.PodIPs = []corev1.PodIP{{IP: "10.244.0.7"}}
			})
			e := &corev1.Event{Reason: "Reason", Message: tc.message, InvolvedObject: corev1.ObjectReference{Namespace: "ml"}}
			got := describe(e, namesOf(&p))
			if got != "Reason: "+tc.want {
				t.Errorf("got  %q\nwant %q", got, "Reason: "+tc.want)
			}
			if !utf8.ValidString(got) {
				t.Errorf("%q is cut within a character", got)
			}
		})
	}
}

func TestNamesOf(t *testing.T) {
	controlled := func(kind string) func(*corev1.Pod) {
		yes := true
		return func(p *corev1.Pod) {
			p.GenerateName = "server-"
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "server", Controller: &yes}}
		}
	}
	for name, tc := range map[string]struct {
		pod  corev1.Pod
		want string
	}{
		"plain":       {pod("server", 0), "server"},
		"generated":   {pod("server-x7k2p", 0, controlled("ReplicaSet")), "server"},
		"StatefulSet": {pod("server-0", 0, controlled("StatefulSet")), "server-0"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := namesOf(&tc.pod).base; got != tc.want {
				t.Errorf("is called %q, want %q", got, tc.want)
			}
		})
	}
}
