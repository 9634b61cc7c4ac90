// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// kindCases are the cases of one kind in testdata/cases.yaml.
type kindCases struct {
	Kind  string
	Cases []struct {
		Name     string
		Object   map[string]any
		Want     Status
		Message  *string
		Finished bool
		FailedAt *time.Time
	}
}

func readCases(t *testing.T) []kindCases {
	t.Helper()
	data, err := os.ReadFile("testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []kindCases
	if err := yaml.UnmarshalStrict(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// object decodes a case the way objects come from the API server.
func object(t testing.TB, kind string, fields map[string]any) *unstructured.Unstructured {
	t.Helper()
	at := strings.LastIndexByte(kind, '/')
	content := map[string]any{"apiVersion": kind[:at], "kind": kind[at+1:]}
	maps.Copy(content, fields)
	data, err := yaml.Marshal(content)
	if err == nil {
		data, err = yaml.YAMLToJSON(data)
	}
	obj := &unstructured.Unstructured{}
	if err == nil {
		err = obj.UnmarshalJSON(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestOf(t *testing.T) {
	for _, of := range readCases(t) {
		for _, tc := range of.Cases {
			t.Run(of.Kind+", "+tc.Name, func(t *testing.T) {
				obj := object(t, of.Kind, tc.Object)
				got := Of(obj)
				if got.Status != tc.Want || got.Finished != tc.Finished {
					t.Errorf("%+v, want %s, finished: %t", got, tc.Want, tc.Finished)
				}
				if tc.Message != nil && got.Message != *tc.Message {
					t.Errorf("message %q, want %q", got.Message, *tc.Message)
				}
				if got.Status == Current && got.Message != "" {
					t.Errorf("Current with the message %q", got.Message)
				}
				if got.Status != Current && got.Status != Failed && got.Message == "" {
					t.Errorf("%s does not say why", got.Status)
				}
				var at int64
				if tc.FailedAt != nil {
					at = tc.FailedAt.Unix()
				}
				if got.FailedAt != at {
					t.Errorf("counts as failed from %d, want %d", got.FailedAt, at)
				}
				if got.Finished && !RunsToCompletion(obj.GroupVersionKind().GroupKind()) {
					t.Error("it has finished, and its kind does not run to completion")
				}
			})
		}
	}
}

// Every rule has cases that pass and cases that miss each of its lists.
func TestEveryRuleHasCases(t *testing.T) {
	seen := map[schema.GroupKind]map[Status]bool{}
	for _, of := range readCases(t) {
		gk := object(t, of.Kind, nil).GroupVersionKind().GroupKind()
		if seen[gk] == nil {
			seen[gk] = map[Status]bool{}
		}
		for _, tc := range of.Cases {
			seen[gk][tc.Want] = true
		}
	}
	for gk, r := range rules {
		want := map[Status]bool{
			Current:    true,
			InProgress: len(r.current) != 1 || r.current[0] != test(always{}),
			Failed:     r.failed != nil,
			Queued:     r.suspend != nil || r.waits != nil,
		}
		for status, needed := range want {
			if needed && !seen[gk][status] {
				t.Errorf("no case of %s is %s", gk, status)
			}
		}
	}
}

func TestOfWhatCannotBeJudged(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Thing", "status": map[string]any{"conditions": "none"}}}
	if got := Of(obj); got.Status != Unknown || got.Message == "" {
		t.Errorf("%+v, want Unknown and why", got)
	}
}

// A rule meets whatever a controller writes; none of it may stop us.
func TestOfObjectsOfAnyShape(t *testing.T) {
	for gk := range rules {
		for name, status := range map[string]any{
			"a text":              "ready",
			"a list":              []any{"ready"},
			"conditions, a text":  map[string]any{"conditions": "Ready"},
			"conditions of texts": map[string]any{"conditions": []any{"Ready", nil, 1.5}},
			"fields of all types": map[string]any{"phase": int64(1), "state": map[string]any{"phase": []any{}}, "readyReplicas": "2", "executorState": "x"},
		} {
			obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": gk.Group + "/v1", "kind": gk.Kind, "spec": "none", "status": status}}
			if got := Of(obj); got.Status == "" {
				t.Errorf("%s with %s has no status", gk, name)
			}
		}
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	obj := object(t, "batch/v1/Job", map[string]any{"status": map[string]any{"conditions": []any{
		map[string]any{"type": "Failed", "status": "True", "message": strings.Repeat("é", maxMessage)},
	}}})
	got := Of(obj).Message
	if len(got) > maxMessage+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "é…") {
		t.Errorf("message of %d bytes ends in %q", len(got), got[len(got)-8:])
	}
}

func TestRunsToCompletion(t *testing.T) {
	for gk, want := range map[schema.GroupKind]bool{
		{Kind: "Pod"}:                                     true,
		{Group: "batch", Kind: "Job"}:                     true,
		{Group: "jobset.x-k8s.io", Kind: "JobSet"}:        true,
		{Group: "trainer.kubeflow.org", Kind: "TrainJob"}: true,
		{Group: "kubeflow.org", Kind: "PyTorchJob"}:       true,
		{Group: "ray.io", Kind: "RayJob"}:                 true,
		{Group: "ray.io", Kind: "RayCluster"}:             false,
		{Group: "batch", Kind: "CronJob"}:                 false,
		{Group: "apps", Kind: "Deployment"}:               false,
		{Group: "example.com", Kind: "Job"}:               false,
	} {
		if got := RunsToCompletion(gk); got != want {
			t.Errorf("RunsToCompletion(%s) = %t, want %t", gk, got, want)
		}
	}
}

func TestTableNamesEveryKindOnce(t *testing.T) {
	seen := map[schema.GroupKind]bool{}
	for _, row := range Table() {
		if row.Healthy == "" || row.Source == "" {
			t.Errorf("%v: %+v, want when it is healthy, and a source", row.Kinds, row)
		}
		for _, kind := range row.Kinds {
			gk := schema.GroupKind{Group: row.Group, Kind: kind}
			if seen[gk] {
				t.Errorf("%s has two rules", gk)
			}
			seen[gk] = true
		}
	}
}
