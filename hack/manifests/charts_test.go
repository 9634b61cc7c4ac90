// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/lint/support"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/api/meta"
)

// TestChartsLint lints each chart with the values of each environment. A
// warning is a failure.
func TestChartsLint(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		for _, r := range releases(t, environment) {
			linter := action.NewLint()
			linter.Namespace, linter.KubeVersion = r.Spec.TargetNamespace, kubernetesVersion()
			for _, message := range linter.Run([]string{r.dir}, r.values).Messages {
				if message.Severity > support.InfoSev {
					t.Errorf("%s: %s: %s", environment, r.Name, message)
				}
			}
		}
	}
}

// TestChartsAreRealSized checks that the charts have what makes real ones
// hard: many templates, sub-charts, a library, definitions, hooks and tests.
func TestChartsAreRealSized(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		for _, r := range releases(t, environment) {
			templates := 0
			eachChart(r.chart, func(c *chart.Chart) {
				for _, f := range c.Templates {
					if strings.HasSuffix(f.Name, ".yaml") {
						templates++
					}
				}
			})
			events := map[string]bool{}
			for _, hook := range r.hooks {
				for event := range strings.SplitSeq(hook.GetAnnotations()["helm.sh/hook"], ",") {
					events[event] = true
				}
			}
			got := map[string]int{
				"templates": templates, "objects": len(r.objects), "sub-charts": len(r.chart.Dependencies()),
				"definitions": len(r.chart.CRDObjects()), "hooks": len(r.hooks), "events": len(events),
			}
			for what, least := range map[string]int{"templates": 25, "objects": 25, "sub-charts": 3, "definitions": 2, "hooks": 5, "events": 4} {
				if got[what] < least {
					t.Errorf("%s: %s has %d %s, want at least %d", environment, r.Name, got[what], what, least)
				}
			}
			if !events["test"] {
				t.Errorf("%s: %s has no test", environment, r.Name)
			}
		}
	}
}

// TestChartsAreAccepted dry-runs every object and every hook of the charts, as
// the account that the HelmReleases name.
func TestChartsAreAccepted(t *testing.T) {
	t.Parallel()
	prepare(t)
	for _, environment := range environments() {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			for _, r := range releases(t, environment) {
				account := "system:serviceaccount:" + r.Namespace + ":" + r.Spec.ServiceAccountName
				installed(t, account).checkAccepted(t, slices.Concat(r.definitions, r.objects, r.hooks))
			}
		})
	}
}

// tagged is an image with a tag that says which one it is.
var tagged = regexp.MustCompile(`^ghcr\.io/acme-ml/[a-z-]+:[0-9]+\.[0-9]+\.[0-9]+$`)

// TestChartPodsAreRestricted creates, in a dry-run, a pod of every pod template
// of the charts, hooks and tests included.
func TestChartPodsAreRestricted(t *testing.T) {
	t.Parallel()
	prepare(t)
	namespace := restrictedNamespace(t)
	s := installed(t, "")
	for _, environment := range environments() {
		tried := 0
		for _, r := range releases(t, environment) {
			for _, object := range slices.Concat(r.objects, r.hooks) {
				pod := podOf(t, object, namespace)
				if pod == nil {
					continue
				}
				tried++
				if err := s.create(t.Context(), pod); err != nil {
					t.Errorf("%s: a pod of %s is not admitted: %v", environment, identify(object), err)
				}
				containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
				container, _ := containers[0].(map[string]any)
				if image := fmt.Sprint(container["image"]); len(containers) != 1 || !tagged.MatchString(image) {
					t.Errorf("%s: %s has %d containers, the first of the image %s", environment, identify(object), len(containers), image)
				}
			}
		}
		if tried < 12 {
			t.Errorf("%s: %d pod templates were tried, want at least 12", environment, tried)
		}
	}
}

// TestReleases checks what the example's README says of both releases.
func TestReleases(t *testing.T) {
	t.Parallel()
	seen := map[string][]string{}
	for _, environment := range environments() {
		all := releases(t, environment)
		var names []string
		for _, r := range all {
			names = append(names, r.Name)
			seen[r.Name] = append(seen[r.Name], string(r.Spec.Values.Raw))
			if r.GetDriftMode() != meta.DriftEnabled || !r.GetTest().Enable {
				t.Errorf("%s: %s does not correct drift, or does not run the tests", environment, r.Name)
			}
			if u := r.Spec.Upgrade; u.Remediation.Retries == 0 && (u.Remediation.RemediateLastFailure == nil || !*u.Remediation.RemediateLastFailure) {
				t.Errorf("%s: a failed upgrade of %s is not rolled back", environment, r.Name)
			}
			if got := fmt.Sprint(r.values["global"]); !strings.Contains(got, "environment:"+environment+" ") {
				t.Errorf("%s: the global values of %s are %s", environment, r.Name, got)
			}
		}
		if diff := cmp.Diff([]string{"accelerators", "serving"}, names); diff != "" {
			t.Fatalf("%s: the releases (-want +got):\n%s", environment, diff)
		}
		if after := all[1].Spec.DependsOn; len(after) != 1 || after[0].Name != "accelerators" {
			t.Errorf("%s: serving depends on %v, want accelerators", environment, after)
		}
	}
	for name, values := range seen {
		if slices.Sort(values); len(slices.Compact(values)) != len(environments()) {
			t.Errorf("two environments have the same values for %s", name)
		}
	}
}

// TestPriorityClassesExist checks that accelerators makes what the pods of
// serving ask for: the API server refuses pods of a class that is not there.
func TestPriorityClassesExist(t *testing.T) {
	t.Parallel()
	for _, environment := range environments() {
		classes, asked := map[string]bool{"": true}, map[string]bool{}
		for _, r := range releases(t, environment) {
			for _, object := range r.objects {
				if object.GetKind() == "PriorityClass" {
					classes[object.GetName()] = true
				}
				if pod := podOf(t, object, ""); pod != nil {
					class, _, _ := unstructured.NestedString(pod.Object, "spec", "priorityClassName")
					asked[class] = true
				}
			}
		}
		for class := range asked {
			if !classes[class] {
				t.Errorf("%s: pods ask for the PriorityClass %s, which there is not", environment, class)
			}
		}
		if len(asked) < 2 {
			t.Errorf("%s: no pod asks for a PriorityClass", environment)
		}
	}
}

// TestChartValuesAreChecked gives each chart values that it must refuse.
func TestChartValuesAreChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		release, values, want string
	}{
		"log level":        {"serving", "global: {logLevel: loud}", "logLevel"},
		"replicas as text": {"serving", `controller: {replicas: "two"}`, "replicas"},
		"a misspelt field": {"serving", "controller: {nodeSelectors: {}}", "nodeSelectors"},
		"an image without a tag": {
			"serving", "runtimes: {vllm: {image: docker.io/vllm/vllm-openai}}", "image",
		},
		"a sub-chart's":   {"serving", "gateway: {autoscaling: {enabled: true, minReplicas: 0}}", "minReplicas"},
		"default runtime": {"serving", "controller: {defaultRuntime: triton}", "which is not among the runtimes that are enabled"},
		"driver":          {"accelerators", "policy: {driver: {version: latest}}", "version"},
		"a pool without machines": {
			"accelerators", "pools: {general: {nodeSelector: null}}", "nodeSelector",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range releases(t, "dev") {
				if r.Name != test.release {
					continue
				}
				values := merge(t, r.values, test.values)
				if _, err := r.render(values); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("rendered with %s: %v, want an error about %s", test.values, err, test.want)
				}
			}
		})
	}
}

// prepare makes, on the cluster that the tests share, what objects of the
// charts need to be accepted: the definitions, and the PriorityClasses.
func prepare(t *testing.T) {
	t.Helper()
	s := installed(t, "")
	prepared.Lock()
	defer prepared.Unlock()
	if prepared.done {
		return
	}
	for _, environment := range environments() {
		for _, r := range releases(t, environment) {
			objects := slices.DeleteFunc(slices.Clone(r.objects), func(object *unstructured.Unstructured) bool {
				return object.GetKind() != "PriorityClass"
			})
			if err := s.applyAll(t.Context(), slices.Concat(r.definitions, objects)); err != nil {
				t.Fatal(err)
			}
		}
	}
	prepared.done = true
}

var prepared struct {
	sync.Mutex
	done bool
}

// eachChart visits a chart and all below it.
func eachChart(c *chart.Chart, visit func(*chart.Chart)) {
	visit(c)
	for _, dependency := range c.Dependencies() {
		eachChart(dependency, visit)
	}
}
