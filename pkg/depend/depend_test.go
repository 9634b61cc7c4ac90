// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package depend

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	obj := &unstructured.Unstructured{}
	if err == nil {
		err = obj.UnmarshalJSON(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestJudge(t *testing.T) {
	const (
		source  = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: x, namespace: ns, generation: 2}\n"
		quota   = "apiVersion: quota.weir.dev/v1alpha1\nkind: GPUQuota\nmetadata: {name: x, generation: 2}\n"
		job     = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: x, namespace: ns, generation: 2}\n"
		deploy  = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, namespace: ns, generation: 2}\nspec: {replicas: 1}\n"
		widget  = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: x, namespace: ns, generation: 2}\n"
		serving = "replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]"
	)
	for name, tc := range map[string]struct {
		obj   string
		state State
		why   string
	}{
		"source, new":             {source, Waiting, "it has not been reconciled yet"},
		"source, ready":           {source + "status: {observedGeneration: 2, conditions: [{type: Ready, status: 'True'}]}", Ready, ""},
		"source, not ready":       {source + "status: {observedGeneration: 2, conditions: [{type: Ready, status: 'False', reason: GitOperationFailed}]}", Waiting, "GitOperationFailed"},
		"source, old generation":  {source + "status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}", Waiting, "its present spec has not been reconciled yet"},
		"source, being deleted":   {"apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: x, deletionTimestamp: '2026-01-01T00:00:00Z'}\nstatus: {conditions: [{type: Ready, status: 'True'}]}", Waiting, "it is being deleted"},
		"generation of condition": {quota + "status: {conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}", Waiting, "its present spec has not been reconciled yet"},
		"no generation at all":    {quota + "status: {conditions: [{type: Ready, status: 'True'}]}", Ready, ""},
		"other conditions":        {quota + "status: {conditions: [{type: Admitted, status: 'True'}]}", Waiting, "it has not been reconciled yet"},
		"without a status":        {"apiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Alert\nmetadata: {name: x}", Ready, ""},

		"job, running":      {job + "status: {active: 1}", Waiting, "Job has completed 0 of 1 pods"},
		"job, suspended":    {job + "spec: {suspend: true}", Waiting, "it is suspended"},
		"job, queued":       {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: x, namespace: ns, labels: {kueue.x-k8s.io/queue-name: q}}\nspec: {suspend: true}", Waiting, "waiting in queue q"},
		"job, succeeded":    {job + "status: {conditions: [{type: Complete, status: 'True'}]}", Ready, ""},
		"job, failed":       {job + "status: {conditions: [{type: Failed, status: 'True', message: too often}]}", Failed, "too often"},
		"job, ending":       {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: x, deletionTimestamp: '2026-01-01T00:00:00Z'}", Waiting, "it is being deleted"},
		"job, done, ending": {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: x, deletionTimestamp: '2026-01-01T00:00:00Z'}\nstatus: {conditions: [{type: Complete, status: 'True'}]}", Ready, ""},

		"deployment, available":      {deploy + "status: {observedGeneration: 2, " + serving + "}", Ready, ""},
		"deployment, old generation": {deploy + "status: {observedGeneration: 1, " + serving + "}", Waiting, "Deployment generation is 2, but latest observed generation is 1"},
		"deployment, ending":         {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, deletionTimestamp: '2026-01-01T00:00:00Z'}", Waiting, "it is being deleted"},
		"config map":                 {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}", Ready, ""},
		"resource, not ready":        {widget + "status: {observedGeneration: 2, conditions: [{type: Ready, status: 'False', message: loading}]}", Waiting, "loading"},
		"resource, stalled":          {widget + "status: {observedGeneration: 2, conditions: [{type: Stalled, status: 'True', message: no such model}]}", Failed, "no such model"},
	} {
		t.Run(name, func(t *testing.T) {
			state, why := Judge(parse(t, tc.obj))
			if state != tc.state || why != tc.why {
				t.Errorf("%s, %q; want %s, %q", state, why, tc.state, tc.why)
			}
		})
	}
}

func TestContent(t *testing.T) {
	const rest = `
metadata:
  name: x
  labels: {a: b}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: hidden, note: shown}
  managedFields: [{manager: m}]
`
	seen := map[string]any{"name": "x", "labels": map[string]any{"a": "b"}, "annotations": map[string]any{"note": "shown"}}
	for name, tc := range map[string]struct {
		obj  string
		want map[string]any
	}{
		"Secret":    {"apiVersion: v1\nkind: Secret\ntype: Opaque\ndata: {k: hidden}\nstringData: {k: hidden}" + rest, map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": seen}},
		"ConfigMap": {"apiVersion: v1\nkind: ConfigMap\ndata: {k: hidden}\nbinaryData: {k: hidden}\nimmutable: true" + rest, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": seen}},
		"other group": {"apiVersion: example.com/v1\nkind: Secret\ndata: {k: v}" + rest, map[string]any{
			"apiVersion": "example.com/v1", "kind": "Secret", "data": map[string]any{"k": "v"},
			"metadata": map[string]any{"name": "x", "labels": map[string]any{"a": "b"}, "annotations": map[string]any{"note": "shown", lastApplied: "hidden"}},
		}},
		"no metadata": {"apiVersion: v1\nkind: Secret\ndata: {k: hidden}", map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{}}},
	} {
		t.Run(name, func(t *testing.T) {
			obj := parse(t, tc.obj)
			before := obj.DeepCopy()
			if diff := cmp.Diff(tc.want, Content(obj)); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, obj); diff != "" {
				t.Errorf("the object was changed:\n%s", diff)
			}
		})
	}
}

func TestCycle(t *testing.T) {
	for name, tc := range map[string]struct {
		graph map[string][]string
		want  []string
	}{
		"alone":           {nil, nil},
		"itself":          {map[string][]string{"a": {"a"}}, []string{"a", "a"}},
		"pair":            {map[string][]string{"a": {"b"}, "b": {"a"}}, []string{"a", "b", "a"}},
		"three":           {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"a"}}, []string{"a", "b", "c", "a"}},
		"chain":           {map[string][]string{"a": {"b"}, "b": {"c"}}, nil},
		"shortest":        {map[string][]string{"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, []string{"a", "d", "a"}},
		"only leads to":   {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"b"}}, nil},
		"diamond":         {map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}, nil},
		"beyond another":  {map[string][]string{"a": {"b"}, "b": {"b", "c"}, "c": {"b", "a"}}, []string{"a", "b", "c", "a"}},
		"missing element": {map[string][]string{"a": {"x", "b"}, "b": {"a"}}, []string{"a", "b", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := map[string]int{}
			got := Cycle("a", func(at string) []string {
				asked[at]++
				return tc.graph[at]
			})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("cycle (-want +got):\n%s", diff)
			}
			for at, times := range asked {
				if times > 1 {
					t.Errorf("%s was asked %d times", at, times)
				}
			}
		})
	}
}
