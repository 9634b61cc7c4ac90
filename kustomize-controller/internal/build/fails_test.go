// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// faultCase is a build that fails.
type faultCase struct {
	files map[string]string
	spec  kustomizev1.KustomizationSpec
	want  string
}

// secret must not be quoted in any error.
const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {password: hunter2}\n"

func variables(values map[string]string) kustomizev1.KustomizationSpec {
	return kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{Substitute: values}}
}

func pathFaults() map[string]faultCase {
	return map[string]faultCase{
		"no such path": {
			map[string]string{"apps/dev/kustomization.yaml": head, "apps/prod/kustomization.yaml": head, "apps/docs/a.md": ""},
			kustomizev1.KustomizationSpec{Path: "./apps/production"},
			"spec.path apps/production: there is no such directory in the source; near it there are apps/dev, apps/prod",
		},
		"no such path, deep": {
			map[string]string{"apps/kustomization.yaml": head},
			kustomizev1.KustomizationSpec{Path: "app/team/prod"},
			"spec.path app/team/prod: there is no such directory in the source; near it there are apps",
		},
		"path is a file": {
			map[string]string{"apps/a.yaml": settings},
			kustomizev1.KustomizationSpec{Path: "apps/a.yaml"},
			"spec.path apps/a.yaml: it is a file and has to be a directory",
		},
		"path leads out": {
			map[string]string{"a.yaml": settings},
			kustomizev1.KustomizationSpec{Path: "apps/../../x"},
			"spec.path ../x: the path leads out of the artifact",
		},
	}
}

func fileFaults() map[string]faultCase {
	return map[string]faultCase{
		"not YAML": {
			map[string]string{"apps/a.yaml": settings + "---\nkind: ConfigMap\n  bad: indent\n"},
			kustomizev1.KustomizationSpec{},
			"decode apps/a.yaml: line 7: mapping values are not allowed in this context",
		},
		"no kind": {
			map[string]string{"a.yaml": settings + "---\n# a comment\nreplicaCount: 1\n"},
			kustomizev1.KustomizationSpec{},
			"decode a.yaml: line 7: the object has no kind",
		},
		"no name": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\n"},
			kustomizev1.KustomizationSpec{},
			"decode a.yaml: line 1: the ConfigMap has no metadata.name",
		},
		"not an object": {
			map[string]string{"a.yaml": "- a\n- b\n"},
			kustomizev1.KustomizationSpec{},
			"decode a.yaml: line 1: this is not a Kubernetes object, which has apiVersion, kind and metadata.name",
		},
		"no apiVersion": {
			map[string]string{"a.yaml": "kind: ConfigMap\nmetadata: {name: a}\n"},
			kustomizev1.KustomizationSpec{},
			"ConfigMap a in a.yaml:1: it has no apiVersion",
		},
		"a name that is a number": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 5}\n"},
			kustomizev1.KustomizationSpec{},
			"object 1 of the build: it has no metadata.name, or one that is not a string",
		},
		"a label that is a number": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {version: 5}}\n"},
			kustomizev1.KustomizationSpec{},
			`ConfigMap a in a.yaml:1: metadata.labels: the value of "version" is not a string; put it in quotes`,
		},
		"a key that is a boolean": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {true: a}\n"},
			kustomizev1.KustomizationSpec{},
			"kustomize build of the root of the source: ConfigMap a: it cannot be sent to an API server: it holds a key that is not a string",
		},
		"a key given twice": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: b\n  a: c\n"},
			kustomizev1.KustomizationSpec{},
			"kustomize build of the root of the source: ConfigMap a: it cannot be sent to an API server: the key \"a\" is given twice",
		},
		"a number that is none": {
			map[string]string{"a.yaml": "apiVersion: v1\nkind: X\nmetadata: {name: a}\ndata: {a: .nan}\n"},
			kustomizev1.KustomizationSpec{},
			"kustomize build of the root of the source: X a: it cannot be sent to an API server: it holds a number that is not finite",
		},
	}
}

func objectFaults() map[string]faultCase {
	return map[string]faultCase{
		"an object twice": {
			map[string]string{"a.yaml": settings, "b.yaml": settings},
			kustomizev1.KustomizationSpec{},
			"kustomize build of the root of the source: ConfigMap settings is defined twice, in a.yaml:1 and b.yaml:1",
		},
		"objects that become one": {
			map[string]string{"a.yaml": settings, "b.yaml": strings.Replace(settings, "name: settings", "name: settings, namespace: x", 1)},
			kustomizev1.KustomizationSpec{TargetNamespace: "team"},
			"kustomize build of the root of the source: two objects become one when they are put into the same namespace: " +
				"ConfigMap settings in a.yaml:1 and b.yaml:1",
		},
	}
}

func referenceFaults() map[string]faultCase {
	return map[string]faultCase{
		"a resource that is not there": {
			map[string]string{"app/kustomization.yaml": head + "resources: [a.yaml]\n"},
			kustomizev1.KustomizationSpec{Path: "app"},
			"resources in app/kustomization.yaml: there is no app/a.yaml in the source",
		},
		"a resource outside": {
			map[string]string{"app/kustomization.yaml": head + "resources: [../../../etc/passwd]\n"},
			kustomizev1.KustomizationSpec{Path: "app"},
			`resources in app/kustomization.yaml: "../../../etc/passwd": the path leads out of the artifact`,
		},
		"a resource by an absolute path": {
			map[string]string{"app/kustomization.yaml": head + "resources: [/etc/passwd]\n"},
			kustomizev1.KustomizationSpec{Path: "app"},
			`resources in app/kustomization.yaml: "/etc/passwd" has to be relative`,
		},
		"a repository of this machine": {
			map[string]string{"app/kustomization.yaml": head + "resources: [\"file:///srv/git/x.git\"]\n"},
			kustomizev1.KustomizationSpec{Path: "app"},
			`resources in app/kustomization.yaml: "file:///srv/git/x.git" has to be relative`,
		},
		"a generator's file outside": {
			map[string]string{"app/kustomization.yaml": head + "configMapGenerator: [{name: a, files: [../../etc/passwd]}]\n"},
			kustomizev1.KustomizationSpec{Path: "app"},
			`configMapGenerator in app/kustomization.yaml: "../../etc/passwd": the path leads out of the artifact`,
		},
		"a patch by an absolute path": {
			map[string]string{"app/kustomization.yaml": head + "patches: [{path: /etc/passwd}]\n"},
			kustomizev1.KustomizationSpec{Path: "app"},
			`patches in app/kustomization.yaml: "/etc/passwd" has to be relative`,
		},
	}
}

func kustomizationFaults() map[string]faultCase {
	return map[string]faultCase{
		"a directory without kustomization": {
			map[string]string{"kustomization.yaml": head + "resources: [app]\n", "app/a.yaml": settings},
			kustomizev1.KustomizationSpec{},
			"resources in kustomization.yaml: app has no kustomization.yaml; name its files, or add one",
		},
		"a field that kustomize does not know, in a base": {
			map[string]string{"kustomization.yaml": head + "resources: [app]\n", "app/kustomization.yaml": head + "commonLables: {a: b}\n"},
			kustomizev1.KustomizationSpec{},
			`decode app/kustomization.yaml: unknown field "commonLables"`,
		},
		"a kustomization that is not YAML": {
			map[string]string{"kustomization.yaml": head + "resources: [app\n"},
			kustomizev1.KustomizationSpec{},
			"decode kustomization.yaml: line 3: did not find expected ',' or ']'",
		},
		"a kustomization of another type": {
			map[string]string{"kustomization.yaml": head + "resources: {a: b}\n"},
			kustomizev1.KustomizationSpec{},
			"decode kustomization.yaml: cannot unmarshal object into Go struct field .resources of type []string",
		},
		"a cycle": {
			map[string]string{"a/kustomization.yaml": head + "resources: [../b]\n", "b/kustomization.yaml": head + "resources: [../a]\n"},
			kustomizev1.KustomizationSpec{Path: "a"},
			`resources in b/kustomization.yaml: "../a" is a cycle, because a contains a/kustomization.yaml, which refers to it`,
		},
		"a build that would end the process": {
			map[string]string{
				"a/kustomization.yaml": head + "namespace: a\nconfigMapGenerator: [{name: cm, literals: [a=b]}]\n",
				"b/kustomization.yaml": head + "namespace: b\nconfigMapGenerator: [{name: cm, literals: [a=c]}]\n",
				"kustomization.yaml":   head + "resources: [a, b, c.yaml]\n",
				"c.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n" +
					"rules: [{resourceNames: [cm]}]\nnot: .nan\n",
			},
			kustomizev1.KustomizationSpec{},
			"kustomize build of the root of the source: kustomize panicked: fatal: json: unsupported value: NaN",
		},
		"a file listed twice": {
			map[string]string{"kustomization.yaml": head + "resources: [a.yaml, ./a.yaml]\n", "a.yaml": settings},
			kustomizev1.KustomizationSpec{},
			"kustomize build of the root of the source: ConfigMap settings is defined twice, in a.yaml:1",
		},
		"two kustomization files": {
			map[string]string{"app/kustomization.yaml": head, "app/Kustomization": head},
			kustomizev1.KustomizationSpec{Path: "app"},
			"app has both kustomization.yaml and Kustomization; keep one of them",
		},
	}
}

func remoteFaults() map[string]faultCase {
	return map[string]faultCase{
		"a remote base": {
			map[string]string{"app/kustomization.yaml": head + "resources: [\"https://bob:pw@example.com/org/repo//dir?ref=v1\"]\n"},
			kustomizev1.KustomizationSpec{Path: "app"},
			`resources in app/kustomization.yaml: "https://example.com/org/repo//dir" is remote, and this controller does not fetch ` +
				"remote bases; copy it into the source",
		},
		"a remote base, nested": {
			map[string]string{"kustomization.yaml": head + "resources: [app]\n", "app/kustomization.yaml": head + "resources: [\"git@example.com:org/repo\"]\n"},
			kustomizev1.KustomizationSpec{},
			`resources in app/kustomization.yaml: "git@example.com:org/repo" is remote, and this controller does not fetch remote ` +
				"bases; copy it into the source",
		},
		"a remote patch": {
			map[string]string{"kustomization.yaml": head + "patches: [{path: \"https://example.com/p.yaml\"}]\n"},
			kustomizev1.KustomizationSpec{},
			`patches in kustomization.yaml: "https://example.com/p.yaml" is remote, and this controller does not fetch remote ` +
				"bases; copy it into the source",
		},
		"a remote file of a transformer": {
			map[string]string{
				"kustomization.yaml": head + "transformers: [t.yaml]\n",
				"t.yaml":             "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: a}\nPath: https://example.com/p.yaml\n",
			},
			kustomizev1.KustomizationSpec{},
			`transformers in kustomization.yaml: "https://example.com/p.yaml" is remote, and this controller does not fetch remote ` +
				"bases; copy it into the source",
		},
		"a remote component": {
			map[string]string{"kustomization.yaml": head + "components: [github.com/org/repo]\n"},
			kustomizev1.KustomizationSpec{},
			`components in kustomization.yaml: "github.com/org/repo" is remote, and this controller does not fetch remote bases; ` +
				"copy it into the source",
		},
	}
}

func componentFaults() map[string]faultCase {
	return map[string]faultCase{
		"a missing component": {
			map[string]string{"app/a.yaml": settings},
			kustomizev1.KustomizationSpec{Path: "app", Components: []string{"../parts/tls"}},
			"spec.components: there is no parts/tls in the source",
		},
		"a remote component of the spec": {
			map[string]string{"app/a.yaml": settings},
			kustomizev1.KustomizationSpec{Path: "app", Components: []string{"https://u:p@example.com/x"}},
			`spec.components: "https://example.com/x" has to be a path relative to spec.path`,
		},
		"a component that is none": {
			map[string]string{"app/a.yaml": settings, "x/kustomization.yaml": head},
			kustomizev1.KustomizationSpec{Path: "app", Components: []string{"../x"}},
			"spec.components: the kind in x/kustomization.yaml has to be Component",
		},
		"a chart": {
			map[string]string{"kustomization.yaml": head + "helmCharts: [{name: a, repo: \"https://example.com\"}]\n"},
			kustomizev1.KustomizationSpec{},
			"helmCharts in kustomization.yaml: kustomize is not allowed to run Helm here; use a HelmRelease",
		},
	}
}

func patchFaults() map[string]faultCase {
	return map[string]faultCase{
		"a patch without target": {
			map[string]string{"a.yaml": secret},
			kustomizev1.KustomizationSpec{Patches: []meta.Patch{{
				Patch: "apiVersion: v1\nkind: Secret\nmetadata: {name: other}\nstringData: {password: hunter2}\n",
			}}},
			"kustomize build of the root of the source: there is no Secret other to patch",
		},
		"a patch that is none": {
			map[string]string{"a.yaml": secret},
			kustomizev1.KustomizationSpec{Patches: []meta.Patch{{Patch: "password: hunter2", Target: &meta.Selector{Kind: "Secret"}}}},
			"kustomize build of the root of the source: trouble configuring builtin PatchTransformer: unable to parse SM or JSON patch from the inline patch",
		},
		"a patch of what is not there": {
			map[string]string{"a.yaml": secret},
			kustomizev1.KustomizationSpec{Patches: []meta.Patch{{
				Patch: `[{"op": "remove", "path": "/stringData/user"}]`, Target: &meta.Selector{Kind: "Secret"},
			}}},
			"kustomize build of the root of the source: spec.patches[0] for Secret: error in remove for path: '/stringData/user': Unable to remove nonexistent key: user: missing value",
		},
		"a bad literal": {
			map[string]string{"kustomization.yaml": head + "secretGenerator: [{name: a, literals: [hunter2]}]\n"},
			kustomizev1.KustomizationSpec{},
			"kustomize build of the root of the source: loading KV pairs: a literal is not key=value",
		},
		"a bad selector": {
			map[string]string{"a.yaml": settings},
			kustomizev1.KustomizationSpec{Patches: []meta.Patch{{Patch: settings, Target: &meta.Selector{Name: "("}}}},
			"kustomize build of the root of the source: unable to find patch target \"[noKind].[noVer].[noGrp]/(.[noNs]:a=:l=\" in `resources`: error parsing regexp: missing closing ): `^(?:()$`",
		},
	}
}

func aliasFaults() map[string]faultCase {
	return map[string]faultCase{
		"an alias loop": {
			map[string]string{"a.yaml": settings + "---\na: &a [*a]\n"},
			kustomizev1.KustomizationSpec{},
			"decode a.yaml: a YAML anchor contains an alias of itself",
		},
		"an alias loop behind the end of a document": {
			map[string]string{"a.yaml": settings + "...\n@bad\n---\na: &a [*a]\n"},
			kustomizev1.KustomizationSpec{},
			"decode a.yaml: a YAML anchor contains an alias of itself",
		},
		"an alias loop in a patch": {
			map[string]string{"a.yaml": settings},
			kustomizev1.KustomizationSpec{Patches: []meta.Patch{{Patch: "kind: X\nmetadata: {name: a}\na: &a [*a]\n"}}},
			"spec.patches: a YAML anchor contains an alias of itself",
		},
		"an alias loop in a patch file": {
			map[string]string{
				"kustomization.yaml": head + "resources: [a.yaml]\npatches: [{path: p.yaml}]\n", "a.yaml": settings,
				"p.yaml": "kind: X\nmetadata: {name: a}\na: &a [*a]\n",
			},
			kustomizev1.KustomizationSpec{},
			"patches in kustomization.yaml: read p.yaml: a YAML anchor contains an alias of itself",
		},
		"an alias loop in a patch inside a file": {
			map[string]string{"kustomization.yaml": head + "patches: [{patch: \"a: &a [*a]\"}]\n"},
			kustomizev1.KustomizationSpec{},
			"patches in kustomization.yaml: a YAML anchor contains an alias of itself",
		},
		"aliases that explode": {
			map[string]string{"a.yaml": bomb()},
			kustomizev1.KustomizationSpec{},
			"decode a.yaml: its YAML aliases expand to more than 250000 nodes",
		},
		"kustomizations that explode": {
			doubling(20),
			kustomizev1.KustomizationSpec{Path: "d0"},
			"d20/kustomization.yaml: the kustomizations refer to each other more than 10000 times",
		},
	}
}

func encryptedFaults() map[string]faultCase {
	return map[string]faultCase{
		"an encrypted object": {
			map[string]string{"a.yaml": settings + "sops: {mac: \"ENC[AES256_GCM]\", lastmodified: \"2026\"}\n"},
			kustomizev1.KustomizationSpec{TargetNamespace: "team"},
			"ConfigMap team/settings in a.yaml:1: it is encrypted with SOPS; set spec.decryption to have it decrypted, or annotate it with kustomize.toolkit.fluxcd.io/decrypt: disabled if others decrypt it",
		},
	}
}

func variableFaults() map[string]faultCase {
	return map[string]faultCase{
		"a variable that is not set": {
			map[string]string{"a.yaml": strings.Replace(settings, "fast", "'${speed} ${speed} ${cluster} ${other:=x}'", 1), "b.yaml": deployment},
			variables(map[string]string{"a": "b"}),
			"ConfigMap settings in a.yaml:1: the variable speed has no value and no default; set it in spec.postBuild, write ${speed:=default}, or $${speed} to keep the text; " +
				"Deployment web in b.yaml:1: the variable cluster has no value and no default; set it in spec.postBuild, write ${cluster:=default}, or $${cluster} to keep the text",
		},
		"a variable with a bad name": {
			map[string]string{"a.yaml": settings},
			variables(map[string]string{"a-b": "secret"}),
			`spec.postBuild: the variable "a-b" has to be named with letters, digits and underscores, and not begin with a digit`,
		},
		"an expression that is none": {
			map[string]string{"a.yaml": strings.Replace(settings, "fast", "'${speed'", 1)},
			variables(map[string]string{"a": "b"}),
			"ConfigMap settings in a.yaml:1: an expression that begins with ${ cannot be read (missing closing brace); write $${ for the text",
		},
		"a value that breaks the YAML": {
			map[string]string{"a.yaml": strings.Replace(settings, "fast", "'${speed}'", 1)},
			variables(map[string]string{"speed": "hunter2: : *x"}),
			"ConfigMap settings in a.yaml:1: with the variables replaced it is not valid YAML; quote the values that hold special characters, as in the line \"mode: ${speed}\"",
		},
		"a value that breaks the YAML of a Secret": {
			map[string]string{"a.yaml": strings.Replace(secret, "hunter2", "'${speed}'", 1)},
			variables(map[string]string{"speed": "*hunter2"}),
			"Secret keys in a.yaml:1: with the variables replaced it is not valid YAML; quote the values that hold special characters",
		},
		"a value that takes the name away": {
			map[string]string{"a.yaml": strings.Replace(settings, "name: settings", "name: '${speed:=}'", 1)},
			variables(map[string]string{"speed": ""}),
			"ConfigMap ${speed:=} in a.yaml:1: with the variables replaced, it has no metadata.name, or one that is not a string",
		},
		"values that make two objects one": {
			map[string]string{"a.yaml": strings.Replace(settings, "name: settings", "name: 'settings${x}'", 1), "b.yaml": settings},
			variables(map[string]string{"x": ""}),
			"with the variables replaced, ConfigMap settings in b.yaml:1 is the same object as the one in a.yaml:1",
		},
		"values that explode": {
			map[string]string{"a.yaml": strings.Replace(settings, "fast", "'"+strings.Repeat("${x}", 100)+"'", 1)},
			variables(map[string]string{"x": strings.Repeat("x", 1<<20)}),
			"ConfigMap settings in a.yaml:1: the values put into it have more than 16 MiB",
		},
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	tests := map[string]faultCase{}
	for _, cases := range []map[string]faultCase{
		pathFaults(), fileFaults(), objectFaults(), referenceFaults(), kustomizationFaults(), remoteFaults(), componentFaults(), patchFaults(), aliasFaults(), encryptedFaults(), variableFaults(),
	} {
		maps.Copy(tests, cases)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := build(t, Options{NoRemoteBases: true}, tc.files, tc.spec)
			if err == nil {
				t.Fatal("Build did not fail")
			}
			if err.Error() != tc.want {
				t.Errorf("got  %q\nwant %q", err, tc.want)
			}
			for _, leak := range []string{"hunter2", "/tmp", overlay.Base, "\n"} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("%q must not be in %q", leak, err)
				}
			}
			var pathErr *PathError
			if errors.As(err, &pathErr) != strings.HasPrefix(tc.want, "spec.path ") {
				t.Errorf("%v is a PathError only by chance", err)
			}
		})
	}
}

// bomb is YAML that is small as long as nobody expands it.
func bomb() string {
	var text strings.Builder
	text.WriteString("apiVersion: v1\nkind: Bomb\nmetadata: {name: a}\nl0: &l0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 8 {
		fmt.Fprintf(&text, "l%d: &l%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i), 10), ", "))
	}
	return text.String()
}

// doubling is a chain of directories each of which uses the next one twice.
func doubling(depth int) map[string]string {
	files := map[string]string{}
	for i := range depth {
		files[fmt.Sprintf("d%d/kustomization.yaml", i)] = head + fmt.Sprintf("resources: [../d%d, ../d%d]\n", i+1, i+1)
	}
	files[fmt.Sprintf("d%d/kustomization.yaml", depth)] = head + "namespace: x\n"
	return files
}
