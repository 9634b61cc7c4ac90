// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/weir-gitops/weir/pkg/testkit"
)

var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }))
}

// lab is a namespace of a real API server.
type lab struct {
	*testing.T
	client    dynamic.Interface
	namespace string
}

var (
	podGVR       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	namespaceGVR = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

func newLab(t *testing.T, namespace string) *lab {
	t.Helper()
	client, err := dynamic.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{T: t, client: client, namespace: namespace}
	l.create(namespaceGVR, `{apiVersion: v1, kind: Namespace, metadata: {name: `+namespace+`}}`)
	account := schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	l.eventually(func() bool {
		_, err := client.Resource(account).Namespace(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	return l
}

func (l *lab) resource(gvr schema.GroupVersionResource) dynamic.ResourceInterface {
	if gvr == namespaceGVR || strings.HasPrefix(gvr.Resource, "validatingadmissionpolic") || gvr.Resource == "runtimeclasses" {
		return l.client.Resource(gvr)
	}
	return l.client.Resource(gvr).Namespace(l.namespace)
}

func (l *lab) create(gvr schema.GroupVersionResource, text string) *unstructured.Unstructured {
	l.Helper()
	created, err := l.resource(gvr).Create(l.Context(), parse(l.T, text), metav1.CreateOptions{})
	if err != nil {
		l.Fatal(err)
	}
	return created
}

func (l *lab) eventually(check func() bool) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-ctx.Done():
			l.Fatal("it did not come to pass within 30s")
		case <-tick.C:
		}
	}
}

// shape counts a pod as it is in the API server.
func (l *lab) shape(pod *unstructured.Unstructured) Shape {
	l.Helper()
	var typed corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(pod.Object, &typed); err != nil {
		l.Fatal(err)
	}
	shape, err := PodShape(typed.Annotations, &typed.Spec)
	if err != nil {
		l.Fatal(err)
	}
	return shape
}

// templates are pod templates with all that has a rule.
func templates() map[string]string {
	return map[string]string{
		"limits":      `{spec: {restartPolicy: Always, containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 2}}}, {name: b, image: i, resources: {limits: {nvidia.com/gpu: 1, cpu: 1}}}]}}`,
		"both":        `{spec: {containers: [{name: a, image: i, resources: {requests: {nvidia.com/gpu: 2}, limits: {nvidia.com/gpu: 2}}}]}}`,
		"init":        `{spec: {initContainers: [{name: i, image: i, resources: {limits: {nvidia.com/gpu: 4}}}], containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 1}}}]}}`,
		"sidecars":    `{spec: {initContainers: [{name: s, image: i, restartPolicy: Always, resources: {limits: {nvidia.com/gpu: 1}}}, {name: i, image: i, resources: {limits: {nvidia.com/gpu: 4}}}], containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]}}`,
		"pinned":      `{spec: {nodeSelector: {product: H100}, affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [b, a]}, {key: x, operator: Exists}]}]}}}, containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 1}}}]}}`,
		"slices":      `{spec: {containers: [{name: a, image: i, resources: {limits: {nvidia.com/mig-1g.5gb: "3", amd.com/gpu: 1}}}]}}`,
		"fraction":    `{metadata: {annotations: {gpu-fraction: "0.25", gpu-fraction-num-devices: "2"}}, spec: {containers: [{name: a, image: i}]}}`,
		"claims":      `{spec: {resourceClaims: [{name: c, resourceClaimTemplateName: t}], containers: [{name: a, image: i, resources: {claims: [{name: c}]}}]}}`,
		"pod level":   `{spec: {resources: {limits: {cpu: 2, memory: 1Gi}}, containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 1}}}]}}`,
		"thousandths": `{spec: {containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 2000m}}}]}}`,
		"nothing":     `{spec: {containers: [{name: a, image: i, resources: {limits: {cpu: 1}}}]}}`,
	}
}

// TestTemplatesCountAsTheirPods: what is said of a template, before anything
// has defaulted it, is what its pod asks for when the API server has admitted
// it.
func TestTemplatesCountAsTheirPods(t *testing.T) {
	l := newLab(t, "templates")
	for name, template := range templates() {
		t.Run(name, func(t *testing.T) {
			l := &lab{T: t, client: l.client, namespace: l.namespace}
			text := "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: x}, spec: {replicas: 2, template: " + template + "}}"
			estimate := BuiltinKinds().Estimate(parse(t, text), nil, nil)
			pod := parse(t, template)
			pod.SetAPIVersion("v1")
			pod.SetKind("Pod")
			pod.SetName(strings.ReplaceAll(name, " ", "-"))
			admitted, err := l.resource(podGVR).Create(t.Context(), pod, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := Estimate{}
			if shape := l.shape(admitted); !shape.IsZero() {
				want.Groups = []Group{{Shape: shape, Min: 2, Max: 2}}
			}
			if diff := cmp.Diff(want, estimate); diff != "" {
				t.Errorf("Estimate of the template (-of the pod +of the template):\n%s", diff)
			}
			if got := BuiltinKinds().Estimate(admitted, nil, nil); len(got.Groups) != len(want.Groups) || len(got.Groups) > 0 && !cmp.Equal(got.Groups[0].Shape, want.Groups[0].Shape) {
				t.Errorf("Estimate of the pod is %v, want the shape of %v", got, want)
			}
		})
	}
}

// TestControllersMakeTheirEstimate: the pods that Kubernetes' controllers make
// ask for what was said before.
func TestControllersMakeTheirEstimate(t *testing.T) {
	for name, tc := range map[string]struct {
		gvr    schema.GroupVersionResource
		object string
	}{
		"deployment": {
			schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: 3, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}},
				spec: {initContainers: [{name: i, image: i, resources: {limits: {nvidia.com/gpu: 4}}}], containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]}}}}`,
		},
		"job": {
			schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"},
			`{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {parallelism: 5, completions: 2, template: {spec: {restartPolicy: Never, containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]}}}}`,
		},
		"replica set": {
			schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"},
			`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: x}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "made-by-a-"+strings.ReplaceAll(name, " ", "-"))
			c := catalogue(t, `[]`)
			before := BuiltinKinds().Estimate(parse(t, tc.object), nil, nil)
			want, most, bounded := before.Amounts(c)
			live := l.create(tc.gvr, tc.object)
			if after := BuiltinKinds().Estimate(live, nil, nil); !cmp.Equal(before, after) {
				t.Errorf("defaulting changes the estimate:\n%s", cmp.Diff(before, after))
			}
			var got Amounts
			l.eventually(func() bool {
				pods, err := l.resource(podGVR).List(t.Context(), metav1.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				got = nil
				for i := range pods.Items {
					got = got.Add(c.Charge(l.shape(&pods.Items[i]), nil))
				}
				return got.Covers(want)
			})
			if !got.Equal(want) || !most.Equal(want) || !bounded {
				t.Errorf("the pods ask for %v, the estimate was %v to %v", got, want, most)
			}
		})
	}
}

// TestRefusedByTheServerToo: what PodShape calls an error never becomes a pod.
func TestRefusedByTheServerToo(t *testing.T) {
	l := newLab(t, "refused")
	for name, quantity := range map[string]string{"part": "500m", "negative": "-1", "rounded": "1.5"} {
		pod := parse(t, `{apiVersion: v1, kind: Pod, metadata: {name: `+name+`}, spec: {containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: "`+quantity+`"}}}]}}`)
		if _, err := l.resource(podGVR).Create(t.Context(), pod, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
		if got := BuiltinKinds().Estimate(pod, nil, nil); got.Unknown == "" {
			t.Errorf("%s: got %v, want a reason", name, got)
		}
	}
}

// TestOverheadOfARuntimeClass: what a class adds is in the pod when it is
// admitted, and counts.
func TestOverheadOfARuntimeClass(t *testing.T) {
	l := newLab(t, "overhead")
	l.create(schema.GroupVersionResource{Group: "node.k8s.io", Version: "v1", Resource: "runtimeclasses"},
		`{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: sandbox}, handler: h, overhead: {podFixed: {cpu: 100m, nvidia.com/gpu: "1"}}}`)
	var pod *unstructured.Unstructured
	l.eventually(func() bool {
		// The admission has a cache of the classes.
		created, err := l.resource(podGVR).Create(t.Context(), parse(t,
			`{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {runtimeClassName: sandbox, containers: [{name: a, image: i, resources: {limits: {nvidia.com/gpu: 2}}}]}}`), metav1.CreateOptions{})
		pod = created
		return err == nil
	})
	if diff := cmp.Diff(Shape{Resources: Amounts{"nvidia.com/gpu": Whole(3)}}, l.shape(pod)); diff != "" {
		t.Errorf("PodShape (-want +got):\n%s", diff)
	}
}

// TestDefaultsOfALimitRange: they are in the pod, not in the template.
func TestDefaultsOfALimitRange(t *testing.T) {
	l := newLab(t, "limit-range")
	l.create(schema.GroupVersionResource{Version: "v1", Resource: "limitranges"},
		`{apiVersion: v1, kind: LimitRange, metadata: {name: x}, spec: {limits: [{type: Container, default: {nvidia.com/gpu: "2"}}]}}`)
	text := `{apiVersion: v1, kind: Pod, metadata: {generateName: x-}, spec: {containers: [{name: a, image: i}]}}`
	if got := BuiltinKinds().Estimate(parse(t, text), nil, nil); !got.IsZero() {
		t.Errorf("Estimate is %v, want none", got)
	}
	l.eventually(func() bool {
		// The admission has a cache of the ranges.
		return cmp.Equal(l.shape(l.create(podGVR, text)), Shape{Resources: Amounts{"nvidia.com/gpu": Whole(2)}})
	})
}

// TestServerAgreesWithAsks has the API server evaluate the expression, in the
// place where it is made for.
func TestServerAgreesWithAsks(t *testing.T) {
	l := newLab(t, "asks")
	policies := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	bindings := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
	policy := parse(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: asks}, spec: {failurePolicy: Fail,
		matchConstraints: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: asks}}, resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]},
		validations: [{expression: "false", message: it asks}]}}`)
	conditions := []any{map[string]any{"name": "asks", "expression": Expression("example.com/fpga")}}
	if err := unstructured.SetNestedSlice(policy.Object, conditions, "spec", "matchConditions"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.resource(policies).Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.create(bindings, `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: asks}, spec: {policyName: asks, validationActions: [Deny]}}`)
	asks := func(text string) bool {
		pod := parse(t, text)
		pod.SetAPIVersion("v1")
		pod.SetKind("Pod")
		pod.SetGenerateName("x-")
		_, err := l.resource(podGVR).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && !strings.Contains(err.Error(), "it asks") {
			t.Fatal(err)
		}
		return err != nil
	}
	l.eventually(func() bool { return asks(templates()["limits"]) })
	all := templates()
	all["extra"] = `{spec: {containers: [{name: a, image: i, resources: {limits: {example.com/fpga: 1}}}]}}`
	all["other"] = `{spec: {containers: [{name: a, image: i, resources: {limits: {example.com/other: 1}}}]}}`
	all["annotated"] = `{metadata: {annotations: {a: b}}, spec: {initContainers: [{name: i, image: i}], containers: [{name: a, image: i}]}}`
	all["memory"] = `{metadata: {annotations: {gpu-memory: "1"}}, spec: {containers: [{name: a, image: i}]}}`
	for name, text := range all {
		if got, want := asks(text), Asks(podOf(t, text), "example.com/fpga"); got != want {
			t.Errorf("%s: the API server says %t, Asks says %t", name, got, want)
		}
	}
}
