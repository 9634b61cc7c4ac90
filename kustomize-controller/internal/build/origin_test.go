// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// originFiles hold the same objects in many forms.
func originFiles() map[string]string {
	files := overlayFiles()
	for _, name := range []string{"a", "b"} {
		files["either/"+name+"/kustomization.yaml"] = head + "namespace: " + name + "\nresources: [settings.yaml]\n"
		files["either/"+name+"/settings.yaml"] = settings
	}
	files["either/kustomization.yaml"] = head + "resources: [a, b]\n"
	files["deep/kustomization.yaml"] = head + "namePrefix: outer-\nresources: [mid]\n"
	files["deep/mid/kustomization.yaml"] = head + "nameSuffix: -s\nresources: [in]\n"
	files["deep/mid/in/kustomization.yaml"] = head + "namePrefix: inner-\nresources: [a.yaml]\nsecretGenerator: [{name: made, literals: [a=b]}]\n"
	files["deep/mid/in/a.yaml"] = "# about\n\n" + settings + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: kept}\n"
	files["part/kustomization.yaml"] = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [p.yaml]\n"
	files["part/p.yaml"] = "\n" + account
	files["fixed/kustomization.yaml"] = head + "generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator: [{name: a, literals: [b=c]}]\n"
	return files
}

func TestOriginsOfObjects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec kustomizev1.KustomizationSpec
		want []string
	}{
		"plain":                     {kustomizev1.KustomizationSpec{Path: "base"}, []string{"base/deployment.yaml:1", "base/service.yaml:1"}},
		"renamed by the file":       {kustomizev1.KustomizationSpec{Path: "prod"}, []string{"base/deployment.yaml:1", "base/service.yaml:1", "prod/kustomization.yaml"}},
		"renamed by the spec":       {kustomizev1.KustomizationSpec{Path: "base", NamePrefix: "x-", NameSuffix: "-y"}, []string{"base/deployment.yaml:1", "base/service.yaml:1"}},
		"it could be either of two": {kustomizev1.KustomizationSpec{Path: "either"}, []string{"", ""}},
		"renamed at every level":    {kustomizev1.KustomizationSpec{Path: "deep"}, []string{"deep/mid/in/a.yaml:3", "deep/mid/in/a.yaml:8", "deep/mid/in/kustomization.yaml"}},
		"generated, without a hash": {kustomizev1.KustomizationSpec{Path: "fixed"}, []string{"fixed/kustomization.yaml"}},
		"a component of the spec": {
			kustomizev1.KustomizationSpec{Path: "base", Components: []string{"../part"}},
			[]string{"base/deployment.yaml:1", "base/service.yaml:1", "part/p.yaml:2"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := build(t, Options{}, originFiles(), tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, result.Origins); diff != "" {
				t.Errorf("%s\n%v", diff, contents(result.Objects))
			}
		})
	}
}

func TestLinesOfObjects(t *testing.T) {
	t.Parallel()
	item := func(indent, name string) string {
		return indent + "- apiVersion: v1\n" + indent + "  kind: ConfigMap\n" + indent + "  metadata: {name: " + name + "}\n"
	}
	tests := map[string]struct {
		text string
		want []int
	}{
		"one":                    {settings, []int{1}},
		"below comments":         {"# a\n\n# b\n" + settings, []int{4}},
		"below a separator":      {"---\n# a\n" + settings, []int{3}},
		"several":                {settings + "---\n" + account + "---\n# c\n" + service, []int{1, 6, 11}},
		"with empty documents":   {"---\n---\n# nothing\n---\n" + settings + "--- # more\n\n---\n" + account, []int{5, 12}},
		"windows":                {strings.ReplaceAll(settings+"---\n"+account, "\n", "\r\n"), []int{1, 6}},
		"JSON":                   {`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}`, []int{1}},
		"a name in quotes":       {"kind: A\nmetadata:\n  name: \"a\"\n---\nkind: B\nmetadata: {name: 'é'}\n", []int{1, 5}},
		"names after wide text":  {"kind: A\nmetadata: {\"é\": ü, name: a}\n---\nkind: B\nmetadata: {name: b}\n", []int{1, 4}},
		"a list":                 {"apiVersion: v1\nkind: List\nitems:\n" + item("", "a") + item("", "b"), []int{4, 7}},
		"a list of a kind":       {"# c\napiVersion: v1\nkind: ConfigMapList\nitems:\n" + item("", "a") + item("", "b"), []int{2, 2}},
		"a list among others":    {"kind: ConfigMapList\napiVersion: v1\nitems:\n" + item("", "a") + item("", "b") + "---\n" + settings, []int{0, 0, 0}},
		"a list of one, with it": {"apiVersion: v1\nkind: ConfigMapList\nitems:\n" + item("", "a") + "---\n" + settings, []int{0, 0}},
		"nothing that looks so":  {settings + "---\n{}\n---\n" + account, []int{0, 0}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, err := newDecoder().decode("a.yaml", []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, linesOf([]byte(tc.text), nodes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
