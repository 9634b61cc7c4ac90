// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// extended writes an overlay over one of bootstrap's and builds it.
func extended(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err == nil {
		root, err = filepath.Rel(dir, root)
	}
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "ROOT", root)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return build(t, dir)
}

// podMonitor has the fields of the operator's kind that ours sets.
type podMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port        string `json:"port"`
			HonorLabels bool   `json:"honorLabels"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// TestOperatorScrapesEveryController adds the objects for the Prometheus
// operator to every overlay: they are in its namespace, and the PodMonitor
// selects its controllers and nothing of Flux's, and leaves labels alone.
func TestOperatorScrapesEveryController(t *testing.T) {
	t.Parallel()
	texts := map[string]string{"drop-in named last": "resources: [ROOT/bootstrap/base]\ncomponents: [ROOT/hack/alerts/operator, ROOT/bootstrap/components/drop-in]\n"}
	installations := map[string]*installation{"drop-in named last": overlays()["drop-in"].build(t)}
	for name, o := range overlays() {
		texts[name] = "resources: [ROOT/bootstrap/" + o.folder + "]\ncomponents: [ROOT/hack/alerts/operator]\n"
		installations[name] = o.build(t)
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, found := installations[name], 0
			for _, object := range extended(t, text) {
				if object.GroupVersionKind().Group != "monitoring.coreos.com" {
					continue
				}
				found++
				if object.GetNamespace() != in.namespace {
					t.Errorf("%s is not in %s", identify(object), in.namespace)
				}
				if object.GetKind() == "PodMonitor" {
					checkMonitor(t, in, object)
				}
			}
			if found != 2 {
				t.Errorf("%d objects for the operator, want a PodMonitor and a PrometheusRule", found)
			}
		})
	}
}

func checkMonitor(t *testing.T, in *installation, object *unstructured.Unstructured) {
	t.Helper()
	data, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var monitor podMonitor
	if err := yaml.UnmarshalStrict(data, &monitor); err != nil {
		t.Fatal(err)
	}
	if len(monitor.Spec.Endpoints) != 1 || !monitor.Spec.Endpoints[0].HonorLabels {
		t.Fatalf("endpoints %+v: the namespace of a metric would be that of the pod", monitor.Spec.Endpoints)
	}
	for name, d := range in.deployments {
		pod := d.Spec.Template
		if !matches(&monitor.Spec.Selector, pod.Labels) {
			t.Errorf("the pods of %s have the labels %v, and the PodMonitor does not select them", name, pod.Labels)
		}
		if !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == monitor.Spec.Endpoints[0].Port }) {
			t.Errorf("the pods of %s have no port %s", name, monitor.Spec.Endpoints[0].Port)
		}
	}
	if matches(&monitor.Spec.Selector, labels.Set{"app": "notification-controller", partOf: "flux", component: "notification-controller"}) {
		t.Error("the PodMonitor selects pods of Flux's")
	}
}

// TestStorageSizeLimit holds the flag that an alert goes by to the limit of the
// volume.
func TestStorageSizeLimit(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, in *installation) {
		for name, d := range in.deployments {
			if !strings.HasPrefix(name, "source-controller") {
				continue
			}
			spec := d.Spec.Template.Spec
			i := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == "data" })
			want := "--storage-size-limit=" + spec.Volumes[i].EmptyDir.SizeLimit.AsDec().String()
			if !slices.Contains(spec.Containers[0].Args, want) {
				t.Errorf("%s has the arguments %q, want %s", name, spec.Containers[0].Args, want)
			}
		}
	})
}
