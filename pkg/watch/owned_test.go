// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const self = "test-controller"

var testManagers = Managers{Self: self, TakeOver: []Manager{
	{Prefix: "kubectl", Operation: metav1.ManagedFieldsOperationApply},
	{Prefix: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate},
	{Prefix: "legacy", Exact: true, Operation: metav1.ManagedFieldsOperationUpdate},
}}

// deployment has fields of every form that managedFields know.
const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: default
  resourceVersion: "1"
  labels: {app: web}
  finalizers: [weir.dev/a]
  managedFields:
  - manager: test-controller
    operation: Apply
    fieldsV1:
      f:metadata:
        f:labels: {"f:app": {}}
        f:finalizers: {'v:"weir.dev/a"': {}}
      f:spec:
        f:replicas: {}
        f:suspend: {}
        f:runPolicy: {"f:suspend": {}}
        f:selector: {}
        f:args: {}
        f:ordered: {"i:1": {"f:x": {}}}
        f:template:
          f:metadata: {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}
          f:spec:
            f:containers:
              'k:{"name":"web"}':
                .: {}
                f:name: {}
                f:image: {}
                f:ports:
                  'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
  - manager: kubelet
    operation: Update
    subresource: status
    fieldsV1: {"f:status": {"f:phase": {}}}
spec:
  replicas: 2
  paused: false
  suspend: true
  runPolicy: {suspend: true}
  selector: {matchLabels: {app: web}}
  args: [one, two]
  ordered: [{x: 1}, {x: 2}, {x: 3}]
  template:
    metadata: {annotations: {kubectl.kubernetes.io/restartedAt: now}}
    spec:
      containers:
      - {name: sidecar, image: "sidecar:1"}
      - name: web
        image: web:1
        ports: [{containerPort: 8080, protocol: TCP}]
status: {phase: Running}
`

const queueLabels = "labels: {app: web, kueue.x-k8s.io/queue-name: research}"

func decode(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = obj.UnmarshalJSON(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// claim adds an entry to managedFields.
func claim(manager, operation, subresource, fields string) []string {
	return []string{"  - manager: kubelet", "  - {manager: " + manager + ", operation: " + operation + ", subresource: '" + subresource + "', fieldsV1: " + fields + "}\n  - manager: kubelet"}
}

func TestFingerprintTellsWhatIsOursFromWhatIsNot(t *testing.T) {
	queued := []string{"labels: {app: web}", queueLabels}
	for name, tc := range map[string]struct {
		// base is applied to both objects, change to the second.
		base, change     []string
		fields, replicas bool
	}{
		"nothing":                            {},
		"resource version":                   {change: []string{`resourceVersion: "1"`, `resourceVersion: "2"`}},
		"status":                             {change: []string{"phase: Running", "phase: Failed"}},
		"field of nobody":                    {change: []string{"paused: false", "paused: true"}},
		"label of others":                    {change: []string{"{app: web}\n  finalizers", "{app: web, team: a}\n  finalizers"}},
		"our label":                          {change: []string{"labels: {app: web}\n  finalizers", "labels: {app: db}\n  finalizers"}, fields: true},
		"our label is gone":                  {change: []string{"labels: {app: web}\n  finalizers", "labels: {}\n  finalizers"}, fields: true},
		"our label is empty, then gone":      {base: []string{"labels: {app: web}\n  finalizers", "labels: {app: ''}\n  finalizers"}, change: []string{"labels: {app: ''}", "labels: {}"}, fields: true},
		"our field is null, then gone":       {base: []string{"suspend: true\n  runPolicy", "suspend: null\n  runPolicy"}, change: []string{"  suspend: null\n", ""}, fields: true},
		"item of a set beside ours":          {change: []string{"[weir.dev/a]", "[other.dev/b, weir.dev/a]"}},
		"our item of a set":                  {change: []string{"[weir.dev/a]", "[other.dev/b]"}, fields: true},
		"field of our list item":             {change: []string{"image: web:1", "image: web:2"}, fields: true},
		"field of another list item":         {change: []string{`"sidecar:1"`, `"sidecar:2"`}},
		"order of list items":                {change: []string{"      - {name: sidecar, image: \"sidecar:1\"}\n", ""}},
		"our list item is gone":              {change: []string{"- name: web", "- name: bew"}, fields: true},
		"item with two keys is gone":         {change: []string{"protocol: TCP}]", "protocol: UDP}]"}, fields: true},
		"item with two keys, number changes": {change: []string{"ports: [{containerPort: 8080", "ports: [{containerPort: 8081"}, fields: true},
		"field of our item by index":         {change: []string{"{x: 2}", "{x: 4}"}, fields: true},
		"item of another index":              {change: []string{"{x: 3}", "{x: 4}"}},
		"our index is gone":                  {change: []string{"ordered: [{x: 1}, {x: 2}, {x: 3}]", "ordered: [{x: 1}]"}, fields: true},
		"atomic list, value":                 {change: []string{"[one, two]", "[one, three]"}, fields: true},
		"atomic list, order":                 {change: []string{"[one, two]", "[two, one]"}, fields: true},
		"atomic list, length":                {change: []string{"[one, two]", "[one, two, three]"}, fields: true},
		"atomic list, border of items":       {change: []string{"[one, two]", "[onetwo]"}, fields: true},
		"atomic map, value":                  {change: []string{"matchLabels: {app: web}", "matchLabels: {app: db}"}, fields: true},
		"atomic map, key":                    {change: []string{"matchLabels: {app: web}", "matchLabels: {ap: pweb}"}, fields: true},
		"atomic map, one more":               {change: []string{"matchLabels: {app: web}", "matchLabels: {app: web, b: c}"}, fields: true},
		"type of a value":                    {change: []string{"suspend: true\n  runPolicy", "suspend: \"true\"\n  runPolicy"}, fields: true},
		"replicas":                           {change: []string{"replicas: 2", "replicas: 5"}, replicas: true},
		"replicas are gone":                  {change: []string{"  replicas: 2\n", ""}, replicas: true},
		"restartedAt":                        {change: []string{"restartedAt: now", "restartedAt: later"}},
		"restartedAt is gone":                {change: []string{"annotations: {kubectl.kubernetes.io/restartedAt: now}", "annotations: {}"}},
		"suspend":                            {change: []string{"suspend: true\n  runPolicy", "suspend: false\n  runPolicy"}, fields: true},
		"suspend in a queue":                 {base: queued, change: []string{"suspend: true\n  runPolicy", "suspend: false\n  runPolicy"}},
		"suspend of a policy":                {change: []string{"{suspend: true}", "{suspend: false}"}, fields: true},
		"suspend of a policy, in a queue":    {base: queued, change: []string{"{suspend: true}", "{suspend: false}"}},
		"another field, in a queue":          {base: queued, change: []string{"image: web:1", "image: web:2"}, fields: true},
		"we lose a field":                    {change: []string{"                f:image: {}\n", ""}, fields: true},
		"we lose the replicas":               {change: []string{"        f:replicas: {}\n", ""}, replicas: true},
		"stranger applies":                   {change: claim("stranger", "Apply", "", `{"f:spec": {"f:paused": {}}}`)},
		"stranger updates what is ours":      {change: claim("stranger", "Update", "", `{"f:spec": {"f:replicas": {}}}`)},
		"we update the status":               {change: claim(self, "Apply", "status", `{"f:status": {"f:phase": {}}}`)},
		"we update":                          {change: claim(self, "Update", "", `{"f:spec": {"f:paused": {}}}`)},
		"kubectl edit":                       {change: claim("kubectl-edit", "Update", "", `{"f:spec": {"f:paused": {}}}`), fields: true},
		"kubectl apply --server-side":        {change: claim("kubectl", "Apply", "", `{"f:spec": {"f:paused": {}}}`), fields: true},
		"kubectl scale --subresource":        {change: claim("kubectl", "Update", "scale", `{"f:spec": {"f:replicas": {}}}`)},
		"kubectl rollout restart":            {change: claim("kubectl-rollout", "Update", "", `{"f:spec": {"f:template": {"f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}}}}}`)},
		"kubectl resumes what is queued":     {base: queued, change: claim("kubectl", "Update", "", `{"f:spec": {"f:suspend": {}}}`)},
		"kubectl resumes what is not queued": {change: claim("kubectl", "Update", "", `{"f:spec": {"f:suspend": {}}}`), fields: true},
		"exact name":                         {change: claim("legacy", "Update", "", `{"f:spec": {"f:paused": {}}}`), fields: true},
		"longer than the exact name":         {change: claim("legacy-2", "Update", "", `{"f:spec": {"f:paused": {}}}`)},
		"exact name, other operation":        {change: claim("legacy", "Apply", "", `{"f:spec": {"f:paused": {}}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			text := replaced(t, deployment, tc.base)
			before := Fingerprint(decode(t, text), testManagers, nil)
			after := Fingerprint(decode(t, replaced(t, text, tc.change)), testManagers, nil)
			if got := before.Fields != after.Fields; got != tc.fields {
				t.Errorf("the hash of the fields has changed: %t, want %t", got, tc.fields)
			}
			if got := before.Replicas != after.Replicas; got != tc.replicas {
				t.Errorf("the hash of the replicas has changed: %t, want %t", got, tc.replicas)
			}
		})
	}
}

// replaced replaces the first of two strings, which must be there, by the
// second.
func replaced(t *testing.T, text string, change []string) string {
	t.Helper()
	if change == nil {
		return text
	}
	if !strings.Contains(text, change[0]) {
		t.Fatalf("nothing to replace: no %q", change[0])
	}
	return strings.Replace(text, change[0], change[1], 1)
}

// Two claims must not look like one that has the text of both.
func TestFingerprintKeepsClaimsApart(t *testing.T) {
	object := func(manager, fields string) *unstructured.Unstructured {
		return decode(t, `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "managedFields": [
			{"manager": "`+manager+`", "operation": "Apply", "fieldsV1": `+fields+`}]}, "b": true, "a\u0000f:b": true}`)
	}
	for name, pair := range map[string][2]*unstructured.Unstructured{
		"siblings taken over": {object("kubectl", `{"f:a": {}, "f:b": {}}`), object("kubectl", `{"f:af:b": {}}`)},
		"nested taken over":   {object("kubectl", `{"f:a": {}}`), object("kubectl", `{"f:a": {"f:b": {}}}`)},
		"missing sibling":     {object(self, `{"f:a": {}, "f:b": {}}`), object(self, `{"f:a\u0000f:b": {}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			if a, b := Fingerprint(pair[0], testManagers, nil), Fingerprint(pair[1], testManagers, nil); a == b {
				t.Error("different claims have the same fingerprint")
			}
		})
	}
}

func TestFingerprintIgnoresTheOrderOfManagers(t *testing.T) {
	obj := decode(t, replaced(t, deployment, claim("kubectl", "Update", "", `{"f:spec": {"f:paused": {}}}`)))
	want := Fingerprint(obj, testManagers, nil)
	metadata := obj.Object["metadata"].(map[string]any)
	slices.Reverse(metadata["managedFields"].([]any))
	if got := Fingerprint(obj, testManagers, nil); got != want {
		t.Errorf("the fingerprint depends on the order of managedFields: %v, then %v", want, got)
	}
}

// The API server's answers hold int64, and what was decoded by others float64.
func TestFingerprintComparesNumbersByValue(t *testing.T) {
	obj := decode(t, deployment)
	want := Fingerprint(obj, testManagers, nil)
	floats := &unstructured.Unstructured{}
	data, err := obj.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(data, &floats.Object)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := floats.Object["spec"].(map[string]any)["replicas"].(float64); !ok {
		t.Fatal("no floats")
	}
	if got := Fingerprint(floats, testManagers, nil); got != want {
		t.Errorf("the fingerprint depends on the type of numbers: %v, then %v", want, got)
	}
}

func TestHasClaims(t *testing.T) {
	const restarted = `{"f:spec": {"f:template": {"f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}}}}}`
	for name, tc := range map[string]struct {
		base, change []string
		want         bool
	}{
		"ours and a status":       {},
		"kubectl":                 {change: claim("kubectl-client-side-apply", "Update", "", `{"f:data": {"f:a": {}}}`), want: true},
		"kubectl on a status":     {change: claim("kubectl", "Update", "status", `{"f:status": {"f:a": {}}}`)},
		"stranger":                {change: claim("argocd", "Apply", "", `{"f:data": {"f:a": {}}}`)},
		"restart":                 {change: claim("kubectl-rollout", "Update", "", restarted)},
		"no fields":               {change: claim("kubectl", "Update", "", `{}`)},
		"suspend, in a queue":     {base: []string{"labels: {app: web}", queueLabels}, change: claim("kubectl", "Update", "", `{"f:spec": {"f:suspend": {}}}`)},
		"suspend, not in a queue": {change: claim("kubectl", "Update", "", `{"f:spec": {"f:suspend": {}}}`), want: true},
	} {
		t.Run(name, func(t *testing.T) {
			obj := decode(t, replaced(t, replaced(t, deployment, tc.base), tc.change))
			if got := HasClaims(obj, testManagers, nil); got != tc.want {
				t.Errorf("HasClaims = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestHasClaimsLeavesOutOurOwnApply(t *testing.T) {
	managers := Managers{Self: self, TakeOver: []Manager{{Prefix: "test", Operation: metav1.ManagedFieldsOperationApply}}}
	if HasClaims(decode(t, deployment), managers, nil) {
		t.Error("our own apply counts as somebody to take over from")
	}
}

func FuzzFingerprint(f *testing.F) {
	for _, seed := range []string{deployment, `{"metadata": {"managedFields": [{"manager": "test-controller", "operation": "Apply", "fieldsV1": {"k:{": {"i:-1": {}, "v:": {}, "": {}}}}, 3]}}`} {
		data, err := yaml.YAMLToJSON([]byte(seed))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		one := &unstructured.Unstructured{}
		if json.Unmarshal(data, &one.Object) != nil || one.Object == nil {
			return
		}
		again, err := json.Marshal(one.Object)
		if err != nil {
			t.Fatal(err)
		}
		two := &unstructured.Unstructured{}
		if err := json.Unmarshal(again, &two.Object); err != nil {
			t.Fatal(err)
		}
		if a, b := Fingerprint(one, testManagers, nil), Fingerprint(two, testManagers, nil); a != b {
			t.Errorf("the same object has two fingerprints, %v and %v", a, b)
		}
		if HasClaims(one, testManagers, nil) != HasClaims(two, testManagers, nil) {
			t.Error("the same object has claims and has none")
		}
	})
}

func BenchmarkFingerprint(b *testing.B) {
	obj := decode(b, deployment)
	b.ReportAllocs()
	for b.Loop() {
		Fingerprint(obj, testManagers, nil)
	}
}
