// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
	"sigs.k8s.io/yaml"
)

// described returns an object of the given YAML whose managedFields claim what
// the second YAML says.
func described(t testing.TB, body, claims string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(body))
	if err == nil {
		err = utiljson.Unmarshal(data, &obj.Object)
	}
	if err != nil {
		t.Fatal(err)
	}
	if claims == "" {
		return obj
	}
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(claims), &fields); err != nil {
		t.Fatal(err)
	}
	entry := map[string]any{"manager": "m", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}
	if err := unstructured.SetNestedSlice(obj.Object, []any{entry}, "metadata", "managedFields"); err != nil {
		t.Fatal(err)
	}
	return obj
}

const (
	containerClaims = `{f:spec: {f:template: {f:spec: {f:containers: {'k:{"name":"server"}': {.: {}, f:image: {}}}}}}}`
	portClaims      = `{f:spec: {f:ports: {'k:{"port":80,"protocol":"TCP"}': {.: {}, f:port: {}}}}}`
	setClaims       = `{f:metadata: {f:finalizers: {'v:"a"': {}}}}`
)

func containers(items string) string {
	return "{spec: {template: {spec: {containers: " + items + "}}}}"
}

func TestPaths(t *testing.T) {
	const in = "spec.template.spec.containers"
	for name, tc := range map[string]struct {
		live, outcome, claims string
		want                  []string
	}{
		"same":                     {live: "{spec: {a: 1, b: [x, {y: z}]}}", outcome: "{spec: {a: 1, b: [x, {y: z}]}}"},
		"changed":                  {live: "{spec: {replicas: 2}}", outcome: "{spec: {replicas: 3}}", want: []string{"spec.replicas"}},
		"integer and float":        {live: "{spec: {a: 1}}", outcome: "{spec: {a: 1.0}}"},
		"number and text":          {live: "{spec: {a: 1}}", outcome: "{spec: {a: '1'}}", want: []string{"spec.a"}},
		"null is not there":        {live: "{spec: {a: null}}", outcome: "{spec: {}}"},
		"map and text":             {live: "{spec: {a: {b: c}}}", outcome: "{spec: {a: b}}", want: []string{"spec.a"}},
		"added and removed":        {live: "{spec: {a: 1}}", outcome: "{spec: {b: 1}}", want: []string{"spec.a", "spec.b"}},
		"added as a whole":         {live: "{spec: {x: {}}}", outcome: "{spec: {x: {a: {z: 1}}}}", want: []string{"spec.x.a"}},
		"open near the root":       {live: "{}", outcome: "{data: {key: v}, spec: {a: {b: 1}}}", want: []string{"data.key", "spec.a.b"}},
		"empty and nothing":        {live: "{spec: {emptyDir: {}}}", outcome: "{spec: {}}", want: []string{"spec.emptyDir"}},
		"server's account":         {live: "{kind: A, metadata: {resourceVersion: '1', generation: 1, uid: a}, status: {x: 1}}", outcome: "{kind: A, metadata: {resourceVersion: '2', generation: 2, uid: b}, status: {x: 2}}"},
		"labels and annotations":   {live: "{metadata: {labels: {}}}", outcome: "{metadata: {labels: {app: a}, annotations: {example.com/x: y}}}", want: []string{`metadata.annotations["example.com/x"]`, "metadata.labels.app"}},
		"empty labels and none":    {live: "{metadata: {labels: {}}}", outcome: "{metadata: {annotations: {}}}"},
		"owner":                    {live: "{metadata: {ownerReferences: [{uid: a}]}}", outcome: "{metadata: {ownerReferences: [{uid: b}]}}", want: []string{"metadata.ownerReferences[0].uid"}},
		"name in quotes":           {live: "{spec: {limits: {nvidia.com/gpu: 1}}}", outcome: "{spec: {limits: {nvidia.com/gpu: 2}}}", want: []string{`spec.limits["nvidia.com/gpu"]`}},
		"name that is hostile":     {live: "{data: {\"a\\n\\\"]\": x}}", outcome: "{data: {}}", want: []string{`data["a\n\"]"]`}},
		"item by key":              {live: containers("[{name: side, image: a}, {name: server, image: a}]"), outcome: containers("[{name: side, image: a}, {name: server, image: b}]"), claims: containerClaims, want: []string{in + "[name=server].image"}},
		"item added in front":      {live: containers("[{name: server}]"), outcome: containers("[{name: a}, {name: server}]"), claims: containerClaims, want: []string{in + "[name=a]"}},
		"item removed":             {live: containers("[{name: a}, {name: server}]"), outcome: containers("[{name: server}]"), claims: containerClaims, want: []string{in + "[name=a]"}},
		"items in another order":   {live: containers("[{name: a}, {name: b}]"), outcome: containers("[{name: b}, {name: a}]"), claims: containerClaims, want: []string{in}},
		"items without a key":      {live: containers("[{name: a}, {image: b}]"), outcome: containers("[{name: a}, {image: c}]"), claims: containerClaims, want: []string{in + "[1].image"}},
		"items of one name":        {live: containers("[{name: a}, {name: a, image: b}]"), outcome: containers("[{name: a}, {name: a, image: c}]"), claims: containerClaims, want: []string{in + "[1].image"}},
		"items without claims":     {live: containers("[{name: a, image: b}]"), outcome: containers("[{name: a, image: c}]"), want: []string{in + "[0].image"}},
		"two keys":                 {live: "{spec: {ports: [{port: 80, protocol: TCP, targetPort: 1}]}}", outcome: "{spec: {ports: [{port: 80, protocol: TCP, targetPort: 2}]}}", claims: portClaims, want: []string{"spec.ports[port=80,protocol=TCP].targetPort"}},
		"a set holds values":       {live: "{metadata: {finalizers: [a]}}", outcome: "{metadata: {finalizers: [a, secret]}}", claims: setClaims, want: []string{"metadata.finalizers"}},
		"plain list":               {live: "{spec: {args: [a, b]}}", outcome: "{spec: {args: [a, c, d]}}", want: []string{"spec.args[1]", "spec.args[2]"}},
		"plain list is shorter":    {live: "{spec: {args: [a, null]}}", outcome: "{spec: {args: [a]}}", want: []string{"spec.args"}},
		"too long for itself":      {live: "{spec: {a: {" + strings.Repeat("k", 300) + ": 1}}}", outcome: "{spec: {a: {}}}", want: []string{"spec.a"}},
		"too long, several in one": {live: "{spec: {a: {" + strings.Repeat("k", 300) + ": 1, " + strings.Repeat("l", 300) + ": 1}}}", outcome: "{spec: {a: {}}}", want: []string{"spec.a"}},
	} {
		t.Run(name, func(t *testing.T) {
			live, outcome := described(t, tc.live, tc.claims), described(t, tc.outcome, "")
			got, omitted := Paths(live, outcome)
			if diff := cmp.Diff(tc.want, got); diff != "" || omitted != 0 {
				t.Errorf("paths, %d omitted (-want +got):\n%s", omitted, diff)
			}
			back, _ := Paths(outcome, live)
			if diff := cmp.Diff(tc.want, back); diff != "" {
				t.Errorf("paths the other way round (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFieldPathsCountsTheRest(t *testing.T) {
	data := map[string]any{}
	for i := range MaxPaths + 7 {
		data[fmt.Sprintf("k%03d", i)] = "v"
	}
	paths, omitted := Paths(&unstructured.Unstructured{}, &unstructured.Unstructured{Object: map[string]any{"data": data}})
	if len(paths) != MaxPaths || omitted != 7 || paths[0] != "data.k000" {
		t.Errorf("%d paths from %q on, %d omitted", len(paths), paths[0], omitted)
	}
}

func TestFormat(t *testing.T) {
	path := fieldpath.MakePathOrDie("metadata", "finalizers", value.NewValueInterface("a value"))
	if got, want := Format(path), "metadata.finalizers"; got != want {
		t.Errorf("an item of a set is %q, want %q", got, want)
	}
	if got, want := Format(nil), "."; got != want {
		t.Errorf("the object itself is %q, want %q", got, want)
	}
}

// FuzzPaths holds any two objects against each other: nothing differs
// from itself, what differs is found, in both directions, and no value and
// nothing unprintable gets into a path.
func FuzzPaths(f *testing.F) {
	f.Add(containers("[{name: server, image: a}]"), containers("[{name: server, image: b}]"), containerClaims)
	f.Add("{spec: {a: [1, null]}}", "{spec: {a: [1]}}", "{f:spec: {f:a: {'v:1': {}}}}")
	f.Add("{metadata: {labels: 1}}", "{metadata: 7}", "{f:metadata: {'i:3': {}}}")
	f.Add("{data: {k: '!!'}}", "{data: {k: {}}}", "{f:data: {'k:{}': {}}}")
	f.Fuzz(func(t *testing.T, before, after, claims string) {
		live, outcome := parsed(before), parsed(after)
		if live == nil || outcome == nil {
			return
		}
		var fields map[string]any
		if yaml.Unmarshal([]byte(claims), &fields) == nil {
			if metadata, ok := live.Object["metadata"].(map[string]any); ok {
				metadata["managedFields"] = []any{map[string]any{"manager": "m", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}}
			}
		}
		if paths, _ := Paths(live, live); len(paths) > 0 {
			t.Errorf("an object differs from itself in %q", paths)
		}
		there, n := Paths(live, outcome)
		back, m := Paths(outcome, live)
		if !slices.Equal(there, back) || n != m {
			t.Errorf("paths %q (%d omitted) one way and %q (%d omitted) the other", there, n, back, m)
		}
		if len(there) == 0 && bare(live) != bare(outcome) {
			t.Errorf("no paths between %s and %s", bare(live), bare(outcome))
		}
		for _, path := range there {
			if len(path) > MaxPathBytes || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' }) {
				t.Errorf("path %q", path)
			}
		}
	})
}

func parsed(body string) *unstructured.Unstructured {
	data, err := yaml.YAMLToJSON([]byte(body))
	obj := &unstructured.Unstructured{}
	if err != nil || utiljson.Unmarshal(data, &obj.Object) != nil || obj.Object == nil {
		return nil
	}
	return obj
}

// bare is the spec of an object as text, with nothing in it that is null.
func bare(obj *unstructured.Unstructured) string {
	data, err := json.Marshal(withoutNull(obj.Object["spec"]))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if item = withoutNull(item); item != nil {
				out[key] = item
			}
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, withoutNull(item))
		}
		return out
	case int64:
		return float64(v)
	}
	return v
}
