// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// selects tells whether a selector selects pods of a Deployment, the leader's
// among them.
func selects(t *testing.T, selector *metav1.LabelSelector, d *appsv1.Deployment) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	all := labels.Merge(d.Spec.Template.Labels, labels.Set{"weir.dev/leader": "true"})
	return s.Matches(all)
}

// TestSelectors checks that Deployments, Services and disruption budgets select
// the pods of one Deployment and no others.
func TestSelectors(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, in *installation) {
		check := func(what, want string, selector *metav1.LabelSelector) {
			t.Helper()
			var got []string
			for name, d := range in.deployments {
				if selects(t, selector, d) {
					got = append(got, name)
				}
			}
			if diff := cmp.Diff([]string{want}, got); diff != "" {
				t.Errorf("%s selects the pods of (-want +got):\n%s", what, diff)
			}
		}
		for name, d := range in.deployments {
			check("Deployment "+name, name, d.Spec.Selector)
			for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
				if spread.MatchLabelKeys == nil {
					check("the spread of "+name, name, spread.LabelSelector)
				} else if !slices.Equal(spread.MatchLabelKeys, []string{appName}) {
					t.Errorf("the spread of %s counts pods by %v", name, spread.MatchLabelKeys)
				}
			}
		}
		for name, s := range in.services {
			want := name
			if name == "gpu-quota-webhook" {
				want = "gpu-quota-controller"
			}
			check("Service "+name, want, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		}
		for name, b := range in.budgets {
			check("PodDisruptionBudget "+name, name, b.Spec.Selector)
		}
	})
}

// TestPorts checks that every port that is named somewhere is a port of the
// container, and that each probe has one.
func TestPorts(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, in *installation) {
		numbers := map[string]int32{"http-prom": 8080, "healthz": 9440, "http": 9090, "webhook": 9443}
		for name, d := range in.deployments {
			c := d.Spec.Template.Spec.Containers[0]
			for _, port := range c.Ports {
				if numbers[port.Name] != port.ContainerPort {
					t.Errorf("port %s of %s is %d, want %d", port.Name, name, port.ContainerPort, numbers[port.Name])
				}
			}
			for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
				if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != "healthz" {
					t.Errorf("a probe of %s is not GET %s on healthz: %v", name, path, probe)
				}
			}
			checkTimes(t, d)
		}
		for name, s := range in.services {
			for _, d := range in.deployments {
				for _, port := range s.Spec.Ports {
					if selects(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}, d) && number(d, port.TargetPort) == 0 {
						t.Errorf("Service %s leads to port %s, which %s does not have", name, port.TargetPort.String(), d.Name)
					}
				}
			}
		}
	})
}

// checkTimes checks that there is time for the farewell before a pod is killed,
// and that no volume can fill the disk of the node.
func checkTimes(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	const manager = 30 // seconds that controller-runtime gives to what is under way
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil ||
		*pod.TerminationGracePeriodSeconds < c.Lifecycle.PreStop.Sleep.Seconds+manager {
		t.Errorf("%s is killed before its manager gives up", d.Name)
	}
	if d.Name == "helm-controller" && *pod.TerminationGracePeriodSeconds < 600+5 {
		t.Errorf("%s is killed before --graceful-shutdown-timeout", d.Name)
	}
	// The kubelet evicts no pod of the system's priorities.
	if critical := strings.HasPrefix(pod.PriorityClassName, "system-"); critical != (len(pod.Volumes) == 0) {
		t.Errorf("%s has priority %s and %d volumes", d.Name, pod.PriorityClassName, len(pod.Volumes))
	}
	for _, volume := range pod.Volumes {
		if volume.EmptyDir == nil || volume.EmptyDir.SizeLimit.IsZero() {
			t.Errorf("volume %s of %s has no limit", volume.Name, d.Name)
		}
	}
	if c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s has no memory limit", d.Name)
	}
}

// number of a port of a Deployment's pods, by number or name, 0 if there is none.
func number(d *appsv1.Deployment, port intstr.IntOrString) int32 {
	for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
		if p.Name == port.StrVal || p.ContainerPort == port.IntVal {
			return p.ContainerPort
		}
	}
	return 0
}
