// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/pkg/apply/diff"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// differences returns so many, each with so many paths.
func differences(action Action, objects, paths int) []Difference {
	out := make([]Difference, objects)
	for i := range out {
		out[i] = Difference{Ref: inventory.Ref{Namespace: "namespace", Name: fmt.Sprintf("object-%04d", objects-i), Kind: "ConfigMap"}, Action: action}
		for j := range paths {
			out[i].Paths = append(out[i].Paths, fmt.Sprintf(`data["<%03d>"]`, j))
		}
	}
	return out
}

func TestBound(t *testing.T) {
	const entries, bytes = 100, 16 << 10
	for name, tc := range map[string]struct {
		given         []Difference
		kept, paths   int // how many, and how many paths the first has
		omitted       int
		first, second Action
	}{
		"none":              {},
		"few":               {given: differences(Configured, 3, 5), kept: 3, paths: 5, first: Configured, second: Configured},
		"worst first":       {given: append(differences(Created, 1, 0), differences(Deleted, 1, 0)...), kept: 2, first: Deleted, second: Created},
		"many objects":      {given: differences(Configured, 500, 1), kept: 100, paths: 1, omitted: 400, first: Configured, second: Configured},
		"many paths":        {given: differences(Configured, 20, 100), kept: 20, paths: 25, first: Configured, second: Configured},
		"many of both":      {given: differences(Configured, 500, 100), kept: 90, paths: fairPaths, omitted: 410, first: Configured, second: Configured},
		"as many as can be": {given: differences(Configured, 1, diff.MaxPaths), kept: 1, paths: diff.MaxPaths, first: Configured},
	} {
		t.Run(name, func(t *testing.T) {
			before := fmt.Sprint(tc.given)
			kept, omitted := Bound(tc.given, entries, bytes)
			if len(kept) != tc.kept || omitted != tc.omitted {
				t.Fatalf("%d kept, %d omitted; want %d and %d", len(kept), omitted, tc.kept, tc.omitted)
			}
			if fmt.Sprint(tc.given) != before {
				t.Error("what was given has changed")
			}
			if size := jsonSize(t, kept); size > bytes {
				t.Errorf("takes %d bytes", size)
			}
			if !slices.IsSortedFunc(kept, func(a, b Difference) int {
				if a.Action != b.Action {
					return 0
				}
				return strings.Compare(a.Ref.ID(), b.Ref.ID())
			}) {
				t.Error("not sorted by ID")
			}
			for i, want := range []Action{tc.first, tc.second} {
				if i < len(kept) && kept[i].Action != want {
					t.Errorf("number %d is %s, want %s", i, kept[i].Action, want)
				}
			}
			if len(kept) > 0 && len(kept[0].Paths) != tc.paths {
				t.Errorf("the first has %d paths, want %d", len(kept[0].Paths), tc.paths)
			}
			for i, d := range kept {
				if given := len(tc.given[0].Paths); len(d.Paths)+d.Omitted != given && tc.first == tc.second {
					t.Errorf("number %d has %d paths and %d omitted, of %d", i, len(d.Paths), d.Omitted, given)
				}
			}
		})
	}
}

// jsonSize is the size of differences as a status has them.
func jsonSize(t *testing.T, differences []Difference) int {
	t.Helper()
	type change struct {
		ID           string   `json:"id"`
		Action       string   `json:"action"`
		Paths        []string `json:"paths,omitempty"`
		OmittedPaths int      `json:"omittedPaths,omitempty"`
	}
	list := make([]change, len(differences))
	for i, d := range differences {
		list[i] = change{d.Ref.ID(), string(d.Action), d.Paths, d.Omitted}
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return len(data)
}
