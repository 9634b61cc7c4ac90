// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"

	"github.com/weir-gitops/weir/pkg/exemption"
)

func tree(t *testing.T, paths []string) *exemption.Tree {
	t.Helper()
	var pointers []exemption.Pointer
	for _, path := range paths {
		pointer, err := exemption.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		pointers = append(pointers, pointer)
	}
	return exemption.NewTree(pointers)
}

func TestFingerprintLeavesOutWhatIsExempt(t *testing.T) {
	const image = "/spec/template/spec/containers/1/image"
	for name, tc := range map[string]struct {
		paths, change []string
		differs       bool
	}{
		"the field":                       {[]string{"/spec/selector"}, []string{"matchLabels: {app: web}", "matchLabels: {app: db}"}, false},
		"beside it":                       {[]string{"/spec/selector"}, []string{"[one, two]", "[one, three]"}, true},
		"the field is gone":               {[]string{"/spec/replicas"}, []string{"  replicas: 2\n", ""}, false},
		"we lose the field":               {[]string{"/spec/replicas"}, []string{"        f:replicas: {}\n", ""}, false},
		"within an atomic map":            {[]string{"/spec/selector/matchLabels/app"}, []string{"matchLabels: {app: web}", "matchLabels: {app: db}"}, false},
		"beside, in an atomic map":        {[]string{"/spec/selector/matchLabels/app"}, []string{"matchLabels: {app: web}", "matchLabels: {app: web, x: y}"}, true},
		"within an atomic list":           {[]string{"/spec/args/1"}, []string{"[one, two]", "[one, three]"}, false},
		"beside, in an atomic list":       {[]string{"/spec/args/1"}, []string{"[one, two]", "[zero, two]"}, true},
		"field of an item":                {[]string{image}, []string{"image: web:1", "image: web:2"}, false},
		"field of another item":           {[]string{"/spec/template/spec/containers/0/image"}, []string{"image: web:1", "image: web:2"}, true},
		"field by index":                  {[]string{"/spec/ordered/1/x"}, []string{"{x: 2}", "{x: 4}"}, false},
		"label":                           {[]string{"/metadata/labels/app"}, []string{"labels: {app: web}\n  finalizers", "labels: {app: db}\n  finalizers"}, false},
		"value of a set":                  {[]string{"/metadata/finalizers/0"}, []string{"f:finalizers: {'v:\"weir.dev/a\"': {}}", "f:finalizers: {}"}, true},
		"we lose the way to it":           {[]string{"/spec/runPolicy/suspend"}, []string{"        f:runPolicy: {\"f:suspend\": {}}\n", ""}, false},
		"kubectl claims it":               {[]string{"/spec/paused"}, claim("kubectl-edit", "Update", "", `{"f:spec": {"f:paused": {}}}`), false},
		"kubectl claims it in a new map":  {[]string{"/spec/new/field"}, claim("kubectl-edit", "Update", "", `{"f:spec": {"f:new": {".": {}, "f:field": {}}}}`), false},
		"kubectl claims another as well":  {[]string{"/spec/paused"}, claim("kubectl-edit", "Update", "", `{"f:spec": {"f:paused": {}, "f:other": {}}}`), true},
		"kubectl claims another item's":   {[]string{image}, claim("kubectl-edit", "Update", "", `{"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"sidecar"}': {"f:image": {}}}}}}}`), true},
		"kubectl claims the item's image": {[]string{image}, claim("kubectl-edit", "Update", "", `{"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			exempt := tree(t, tc.paths)
			before, after := decode(t, deployment), decode(t, replaced(t, deployment, tc.change))
			if got := Fingerprint(before, testManagers, exempt) != Fingerprint(after, testManagers, exempt); got != tc.differs {
				t.Errorf("differs = %t, want %t", got, tc.differs)
			}
			if Fingerprint(before, testManagers, nil) == Fingerprint(after, testManagers, nil) {
				t.Error("the change makes no difference without rules: the case tests nothing")
			}
			claimed := HasClaims(after, testManagers, nil)
			if got := HasClaims(after, testManagers, exempt); got != (claimed && tc.differs) {
				t.Errorf("HasClaims = %t", got)
			}
		})
	}
}
