// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// minimum is the least time that Flux, and so Weir, waits for health.
const minimum = 30 * time.Second

// unschedulable is the server with more GPUs than any node has.
var unschedulable = strings.Replace(server, `nvidia.com/gpu: "1"`, `nvidia.com/gpu: "99"`, 1)

func waitingFor(timeout time.Duration) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Wait = true
		k.Spec.Timeout = &metav1.Duration{Duration: timeout}
	}
}

// awaitWait waits until the status tells of a wait for health.
func (s *suite) awaitWait(name string) *kustomizev1.Wait {
	s.Helper()
	obj := s.await(name, "waits for health", func(k *kustomizev1.Kustomization) bool {
		return k.Status.Weir != nil && k.Status.Weir.Wait != nil
	})
	return obj.Status.Weir.Wait
}

// The second half runs beside other tests, when the time may already be over:
// what counts is what the status tells.
func TestRestartDoesNotExtendTheWait(t *testing.T) {
	s := newSuite(t)
	s.push(map[string]string{"server.yaml": unschedulable})
	s.create("app", waitingFor(minimum))
	wait := s.awaitWait("app")
	s.eventually("a part of the time is over", func() bool { return time.Since(wait.Since.Time) > 8*time.Second })
	controller.stop(t)
	controller = startShared()
	t.Parallel()

	s.awaitFailure("app", "HealthCheckFailed")
	obj := s.get("app")
	took := conditions.Get(obj, fluxmeta.ReadyCondition).LastTransitionTime.Sub(wait.Since.Time)
	if took < minimum-time.Second || took > minimum+5*time.Second {
		t.Errorf("gave up %s after the wait began, want %s", took, minimum)
	}
	if weir := obj.Status.Weir; weir != nil && weir.Wait != nil {
		t.Errorf("status.weir is %+v, want the wait gone", weir)
	}
}

func TestQuickHealthLeavesNoTraceOfAWait(t *testing.T) {
	s := newSuite(t)
	var seen []kustomizev1.WeirStatus
	stop := s.watch("app", func(k *kustomizev1.Kustomization) {
		if k.Status.Weir != nil && k.Status.Weir.Wait != nil {
			seen = append(seen, *k.Status.Weir)
		}
	})
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", waitingFor(time.Hour))
	s.awaitReady("app", revision)
	stop()
	if len(seen) > 0 {
		t.Errorf("the status had %+v", seen)
	}
}

func TestNewerEndsTheWait(t *testing.T) {
	for name, tc := range map[string]struct {
		newer func(*suite)
		by    string
		ready bool
	}{
		"revision": {func(s *suite) { s.push(map[string]string{"server.yaml": server}) }, "GitRepository/$NS/repo", true},
		"spec": {func(s *suite) {
			s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Wait = false })
		}, "Kustomization/$NS/app", true},
		"request": {func(s *suite) {
			s.edit("app", func(k *kustomizev1.Kustomization) {
				k.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
			})
		}, "Kustomization/$NS/app", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			revision := s.push(map[string]string{"server.yaml": unschedulable})
			s.create("app", waitingFor(time.Hour))
			first := s.awaitWait("app")
			// Since has whole seconds.
			s.eventually("a second is over", func() bool { return time.Since(first.Since.Time) > 2*time.Second })
			start := time.Now()
			tc.newer(s)
			if tc.ready {
				s.await("app", "is ready", func(k *kustomizev1.Kustomization) bool {
					return conditions.IsReady(k) && k.Status.ObservedGeneration == k.Generation
				})
			} else {
				s.await("app", "waits anew", func(k *kustomizev1.Kustomization) bool {
					return k.Status.LastHandledReconcileAt == "now" && k.Status.Weir != nil && k.Status.Weir.Wait != nil &&
						k.Status.Weir.Wait.Since.After(first.Since.Time)
				})
			}
			if took := time.Since(start); took > deadline/2 {
				t.Errorf("took %s, and should not wait for anything old", took)
			}
			if weir := s.get("app").Status.Weir; tc.ready && weir != nil && weir.Wait != nil {
				t.Errorf("status.weir is %+v, want the wait gone", weir)
			}
			if got := snapshots(s.get("app").Status.History); !slices.Contains(got, "HealthCheckCanceled "+revision+" ") {
				t.Errorf("history %q, want the canceled revision in it", got)
			}
			by := strings.ReplaceAll(tc.by, "$NS", s.ns)
			s.eventually("an event tells why", func() bool {
				return slices.Contains(s.events("app"), "Health checks canceled due to new reconciliation triggered by "+by)
			})
		})
	}
}

// A tenant gets to know what its own account may read, and the failure itself
// in any case.
func TestComplaintsAreReadAsTheTenant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		resources []string // that the tenant may read, besides its Deployments
		told      bool
	}{
		"may read both":   {[]string{"pods", "events", "replicasets"}, true},
		"may not read it": {[]string{"pods"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.must(kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
			s.grant("tenant",
				rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"*"}},
				rbacv1.PolicyRule{APIGroups: []string{"", "apps"}, Resources: tc.resources, Verbs: []string{"get", "list"}})
			s.push(map[string]string{"server.yaml": server + crashing})
			s.create("app", waitingFor(minimum), func(k *kustomizev1.Kustomization) { k.Spec.ServiceAccountName = "tenant" })
			s.complain("server", "Back-off restarting failed container server in pod $POD_$NS($UID)")
			message := s.awaitFailure("app", "HealthCheckFailed")
			if !strings.Contains(message, "Deployment/"+s.ns+"/server status: 'InProgress'") {
				t.Errorf("message %q, want the Deployment and its state", message)
			}
			if told := strings.Contains(message, "BackOff: Back-off restarting failed container server in pod server-"); told != tc.told {
				t.Errorf("message %q; tells of the pod: %t, want %t", message, told, tc.told)
			}
		})
	}
}

// crashing keeps the pods of the server from being ready: no node of that name
// exists, and so nothing but the test writes events about them.
const crashing = "      schedulerName: nobody\n"

// complain waits for a pod of a Deployment and reports a warning about it, as
// the kubelet would.
func (s *suite) complain(app, message string) {
	s.Helper()
	var pods corev1.PodList
	s.eventually("there is a pod", func() bool {
		s.must(kube.List(s.Context(), &pods, client.InNamespace(s.ns), client.MatchingLabels{"app": app}))
		return len(pods.Items) > 1
	})
	for i := range pods.Items {
		pod := &pods.Items[i]
		text := strings.NewReplacer("$POD", pod.Name, "$NS", s.ns, "$UID", string(pod.UID)).Replace(message)
		s.must(kube.Create(s.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: s.ns, GenerateName: "complaint-"},
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: s.ns, Name: pod.Name, UID: pod.UID},
			Type:           corev1.EventTypeWarning, Reason: "BackOff", Message: text,
			FirstTimestamp: metav1.Now(), LastTimestamp: metav1.Now(), Count: 1,
		}))
	}
}

// grant gives a service account rights in its namespace.
func (s *suite) grant(account string, rules ...rbacv1.PolicyRule) {
	s.Helper()
	s.must(kube.Create(s.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: account}, Rules: rules}))
	s.must(kube.Create(s.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.ns, Name: account}},
	}))
}

// watch calls seen for every state of a Kustomization until it is stopped.
func (s *suite) watch(name string, seen func(*kustomizev1.Kustomization)) (stop func()) {
	s.Helper()
	watcher, err := kube.Watch(s.Context(), &kustomizev1.KustomizationList{}, client.InNamespace(s.ns))
	s.must(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			if k, ok := event.Object.(*kustomizev1.Kustomization); ok && k.Name == name {
				seen(k)
			}
		}
	}()
	return func() { watcher.Stop(); <-done }
}

// Health is told to nobody who could not look for themselves, however often
// the Kustomization is looked at.
func TestHealthChecksOfOthersStayForbidden(t *testing.T) {
	s, other := newSuite(t), newSuite(t)
	target := newObject("v1/ConfigMap")
	target.SetNamespace(other.ns)
	target.SetName("theirs")
	s.must(kube.Create(t.Context(), target))
	s.must(kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
	s.allow("tenant")
	s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.ServiceAccountName = "tenant"
		k.Spec.RetryInterval = &metav1.Duration{Duration: time.Second}
		k.Spec.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "v1", Kind: "ConfigMap", Namespace: other.ns, Name: "theirs"}}
	})
	if message := s.awaitFailure("app", "HealthCheckFailed"); !strings.Contains(message, "Forbidden") {
		t.Errorf("message %q, want that the tenant may not", message)
	}
	// The second correction begins when the reconcile of the first has ended.
	for _, value := range []string{"once", "twice"} {
		s.patch("kubectl-edit", "v1/ConfigMap", "a", "data: {key: "+value+"}")
		s.eventually("the change by hand is put back", func() bool { return field(s.live("v1/ConfigMap", "a"), "data", "key") == "one" })
	}
	if obj := s.get("app"); conditions.IsReady(obj) {
		t.Errorf("it has become ready: %+v", obj.Status.Conditions)
	}
}
