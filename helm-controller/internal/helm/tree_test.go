// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// sent returns values as the other process gets them.
func sent(t *testing.T, values tree) map[string]any {
	t.Helper()
	var wire bytes.Buffer
	if err := gob.NewEncoder(&wire).Encode(&order{Values: values}); err != nil {
		t.Fatal(err)
	}
	var got order
	if err := gob.NewDecoder(&wire).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got.Values
}

// Templates tell the types of values apart.
func TestValuesArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]any{
		"none":   nil,
		"empty":  {},
		"nil":    {"a": nil, "b": []any{nil}, "c": map[string]any{}, "d": []any{}},
		"number": {"float": 1e9, "small": 0.1, "int": 3, "int64": int64(-1 << 62), "as written": json.Number("1e9")},
		"text":   {"": "", "a": "\x00\xff", "b": true, "c": false},
		"nested": {"a": []any{map[string]any{"b": []any{1.0, "2", map[string]any{"c": nil}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, sent(t, want)); diff != "" {
				t.Error(diff)
			}
		})
	}
	other := tree{"table": chartutil.Values{"a": 1.0}, "texts": map[string]string{"a": "b"}}
	if diff := cmp.Diff(map[string]any{"table": map[string]any{"a": 1.0}, "texts": map[string]any{"a": "b"}}, sent(t, other)); diff != "" {
		t.Error(diff)
	}
}

func TestValuesThatAreCutOff(t *testing.T) {
	t.Parallel()
	whole, err := tree{"a": []any{1.0, "text", map[string]any{"b": nil}, int64(5), json.Number("1")}}.GobEncode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := new(tree).GobDecode(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(whole))
		}
	}
	if err := new(tree).GobDecode([]byte{tagList, 0}); err == nil {
		t.Error("a list is read for values")
	}
}

// A chart that was processed elsewhere has the files that it had, under the names
// that it has now.
func TestPartsGetTheirFilesBack(t *testing.T) {
	t.Parallel()
	file := func(name string) []*chart.File { return []*chart.File{{Name: name, Data: []byte(name)}} }
	part := &chart.Chart{Metadata: &chart.Metadata{Name: "part", Version: "1.0.0"}, Templates: file("templates/part"), Schema: []byte("{}")}
	other := &chart.Chart{Metadata: &chart.Metadata{Name: "other", Version: "1.0.0"}, Files: file("other")}
	whole := &chart.Chart{
		Metadata: &chart.Metadata{Name: "app", Version: "1.0.0", Dependencies: []*chart.Dependency{
			{Name: "part", Version: "1.0.0", Alias: "first"}, {Name: "part", Version: "1.0.0", Alias: "second"},
			{Name: "other", Version: "1.0.0", Condition: "other.enabled"},
		}},
		Lock: &chart.Lock{Digest: "lock"}, Templates: file("templates/app"), Values: map[string]any{"other": map[string]any{"enabled": false}},
	}
	whole.AddDependency(other, part)
	own := copyChart(whole)
	number(own)
	if err := chartutil.ProcessDependenciesWithMerge(own, map[string]any{}); err != nil {
		t.Fatal(err)
	}
	processed, err := bare(own)
	if err != nil {
		t.Fatal(err)
	}
	got, err := processed.restore(whole)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	walk(got, func(c *chart.Chart) { names = append(names, c.Name()+" "+c.Templates[0].Name) })
	if diff := cmp.Diff([]string{"app templates/app", "first templates/part", "second templates/part"}, names); diff != "" {
		t.Error(diff)
	}
	if got.Lock != whole.Lock || string(got.Dependencies()[1].Schema) != "{}" || len(got.Metadata.Dependencies) != 2 {
		t.Errorf("restored to %+v", got)
	}
	processed.Parts[0].From = 9
	if _, err := processed.restore(whole); err == nil {
		t.Error("a part that was not there is restored")
	}
}
