// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// request asks for a build of root with spec.
func request(root string, spec kustomizev1.KustomizationSpec) Request {
	r := Request{SourceUID: "uid", Digest: "sha256:1", Root: root, Kustomization: &kustomizev1.Kustomization{Spec: spec}}
	if spec.PostBuild != nil {
		r.Variables = spec.PostBuild.Substitute
	}
	return r
}

// overlayFiles have a base and an overlay that only kustomize can build.
func overlayFiles() map[string]string {
	return map[string]string{
		"base/kustomization.yaml": head + "resources: [deployment.yaml, service.yaml]\n",
		"base/deployment.yaml":    deployment, "base/service.yaml": service,
		"prod/kustomization.yaml": head + "resources: [../base]\nnamePrefix: prod-\nconfigMapGenerator: [{name: settings, files: [mode]}]\n",
		"prod/mode":               "fast",
	}
}

func TestResultsBelongToTheCaller(t *testing.T) {
	t.Parallel()
	specs := map[string]kustomizev1.KustomizationSpec{
		"plain":                 {Path: "base"},
		"plain, in a namespace": {Path: "base", TargetNamespace: "team"},
		"kustomize":             {Path: "prod"},
		"variables":             {Path: "base", PostBuild: &kustomizev1.PostBuild{Substitute: map[string]string{"cluster": "x"}}},
		"common metadata":       {Path: "prod", CommonMetadata: &meta.CommonMetadata{Labels: map[string]string{"a": "b"}}},
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, root := New(Options{}), lay(t, overlayFiles())
			first, err := b.Build(t.Context(), request(root, spec))
			if err != nil {
				t.Fatal(err)
			}
			want := make([]map[string]any, len(first.Objects))
			for i, object := range first.Objects {
				want[i] = object.DeepCopy().Object
				spoil(object.Object)
			}
			first.Origins[0] = "spoilt"
			second, err := b.Build(t.Context(), request(root, spec))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, contents(second.Objects)); diff != "" {
				t.Errorf("a caller has changed what the next one gets:\n%s", diff)
			}
		})
	}
}

// spoil changes every map and slice in value.
func spoil(value any) {
	switch v := value.(type) {
	case []any:
		for i := range v {
			spoil(v[i])
			v[i] = "spoilt"
		}
	case map[string]any:
		for key := range v {
			spoil(v[key])
			v[key] = "spoilt"
		}
		v["spoilt"] = true
	}
}

func TestBuildsAreKept(t *testing.T) {
	t.Parallel()
	b, root := New(Options{}), lay(t, overlayFiles())
	build := func(change func(*Request)) error {
		r := request(root, kustomizev1.KustomizationSpec{Path: "prod", Interval: metav1.Duration{Duration: time.Minute}})
		change(&r)
		_, err := b.Build(t.Context(), r)
		return err
	}
	if err := build(func(*Request) {}); err != nil {
		t.Fatal(err)
	}
	if used := b.CachedBytes(); used < 1000 {
		t.Errorf("%d bytes are kept", used)
	}
	// Without its files a build can only come from what is kept.
	if err := os.Remove(filepath.Join(root, "base/service.yaml")); err != nil {
		t.Fatal(err)
	}
	kept := map[string]func(*Request){
		"the same":                              func(*Request) {},
		"a path that is written in another way": func(r *Request) { r.Kustomization.Spec.Path = "./prod/" },
		"fields that kustomize does not see": func(r *Request) {
			r.Kustomization.Name = "other"
			r.Kustomization.Spec.Prune = true
			r.Kustomization.Spec.CommonMetadata = &meta.CommonMetadata{Labels: map[string]string{"a": "b"}}
			r.Kustomization.Spec.PostBuild = &kustomizev1.PostBuild{}
			r.Variables = map[string]string{"cluster": "a"}
		},
	}
	for name, change := range kept {
		if err := build(change); err != nil {
			t.Errorf("%s: built again: %v", name, err)
		}
	}
	fresh := map[string]func(*Request){
		"another source":    func(r *Request) { r.SourceUID = "other" },
		"another digest":    func(r *Request) { r.Digest = "sha256:2" },
		"another directory": func(r *Request) { r.Kustomization.Spec.Path = "base" },
	}
	for name, change := range fresh {
		if err := build(change); err == nil {
			t.Errorf("%s: not built again", name)
		}
	}
}

func TestEveryFieldThatKustomizeSeesIsInTheKey(t *testing.T) {
	t.Parallel()
	seen := map[[sha256.Size]byte]string{}
	for name, spec := range map[string]kustomizev1.KustomizationSpec{
		"none": {}, "namespace": {TargetNamespace: "a"}, "prefix": {NamePrefix: "a"}, "suffix": {NameSuffix: "a"},
		"patches": {Patches: []meta.Patch{{Patch: "a"}}}, "target": {Patches: []meta.Patch{{Patch: "a", Target: &meta.Selector{Name: "a"}}}},
		"images": {Images: []meta.Image{{Name: "a"}}}, "tag": {Images: []meta.Image{{Name: "a", NewTag: "b"}}},
		"components": {Components: []string{"a"}}, "missing": {Components: []string{"a"}, IgnoreMissingComponents: true},
		"metadata": {BuildMetadata: []kustomizev1.BuildMetadataOption{kustomizev1.BuildMetadataOriginAnnotations}},
	} {
		hash, err := hashSpec(&spec)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[hash]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		seen[hash] = name
	}
}

func TestTheArtifactIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	files := overlayFiles()
	files["plain/a.yaml"] = settings
	root := lay(t, files)
	before := snapshot(t, root)
	b := New(Options{})
	for _, spec := range []kustomizev1.KustomizationSpec{
		{Path: "prod", NamePrefix: "x-"}, {Path: "plain"}, {Path: "plain", NameSuffix: "-x"}, {Path: "base", TargetNamespace: "team"}, {},
	} {
		// The last one lists objects twice and fails, which must not leave anything behind either.
		if _, err := b.Build(t.Context(), request(root, spec)); err != nil && spec.Path != "" {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, root)); diff != "" {
		t.Errorf("the artifact has changed:\n%s", diff)
	}
}

// snapshot returns contents and times of change of all files below dir.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var content []byte
		if !entry.IsDir() {
			content, err = os.ReadFile(name)
		}
		found[name] = fmt.Sprint(info.ModTime().UnixNano(), string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLinksOutOfTheArtifact(t *testing.T) {
	t.Parallel()
	outside := lay(t, map[string]string{"secret.yaml": settings, "dir/a.yaml": settings, "dir/kustomization.yaml": head + "resources: [a.yaml]\n"})
	tests := map[string]struct {
		files map[string]string
		links map[string]string
		spec  kustomizev1.KustomizationSpec
	}{
		"the path":             {nil, map[string]string{"app": outside + "/dir"}, kustomizev1.KustomizationSpec{Path: "app"}},
		"a generated resource": {nil, map[string]string{"a.yaml": outside + "/secret.yaml"}, kustomizev1.KustomizationSpec{}},
		"a listed resource": {
			map[string]string{"kustomization.yaml": head + "resources: [a.yaml]\n"},
			map[string]string{"a.yaml": outside + "/secret.yaml"}, kustomizev1.KustomizationSpec{},
		},
		"a base": {
			map[string]string{"kustomization.yaml": head + "resources: [dir]\n"}, map[string]string{"dir": outside + "/dir"},
			kustomizev1.KustomizationSpec{},
		},
		"the kustomization file": {nil, map[string]string{"kustomization.yaml": outside + "/dir/kustomization.yaml"}, kustomizev1.KustomizationSpec{}},
		"a generator's file": {
			map[string]string{"kustomization.yaml": head + "configMapGenerator: [{name: a, files: [f]}]\n"},
			map[string]string{"f": outside + "/secret.yaml"}, kustomizev1.KustomizationSpec{},
		},
		"a patch": {
			map[string]string{"kustomization.yaml": head + "resources: [a.yaml]\npatches: [{path: f}]\n", "a.yaml": settings},
			map[string]string{"f": outside + "/secret.yaml"}, kustomizev1.KustomizationSpec{},
		},
		"a component of the spec": {
			map[string]string{"a.yaml": settings}, map[string]string{"part": outside + "/dir"},
			kustomizev1.KustomizationSpec{Components: []string{"part"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := lay(t, tc.files)
			for link, target := range tc.links {
				if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
					t.Fatal(err)
				}
			}
			result, err := New(Options{}).Build(t.Context(), request(root, tc.spec))
			if err == nil {
				t.Fatalf("Build read %v", contents(result.Objects))
			}
			if !errors.Is(err, overlay.ErrEscape) && !strings.Contains(err.Error(), overlay.ErrEscape.Error()) {
				t.Errorf("the error does not say what is wrong: %v", err)
			}
			if strings.Contains(err.Error(), outside) {
				t.Errorf("the error names a path of this machine: %v", err)
			}
		})
	}
}

func TestLinksInsideTheArtifact(t *testing.T) {
	t.Parallel()
	files := overlayFiles()
	root := lay(t, files)
	for link, target := range map[string]string{"current": "prod", "prod/app": "../base"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	b := New(Options{})
	want, err := b.Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: "prod"}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: "current"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(want.Objects), contents(got.Objects)); diff != "" {
		t.Error(diff)
	}
}

// TestSchemasDoNotLeak has one kustomization bring a schema that tells kustomize how to merge a list. The next one, which
// brings none, must not have it.
func TestSchemasDoNotLeak(t *testing.T) {
	t.Parallel()
	thing := "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\nspec: {parts: [{name: one, size: 1}, {name: two, size: 2}]}\n"
	patched := head + "resources: [a.yaml]\npatches: [{patch: \"{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, spec: {parts: [{name: two, size: 5}]}}\"}]\n"
	schema := `{"definitions": {"v1.Thing": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"parts": {
  "type": "array", "items": {"type": "object"}, "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}}}},
  "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Thing"}]}}}`
	root := lay(t, map[string]string{
		"without/a.yaml": thing, "without/kustomization.yaml": patched,
		"with/a.yaml": thing, "with/kustomization.yaml": patched + "openapi: {path: schema.json}\n", "with/schema.json": schema,
		"broken/a.yaml": thing, "broken/kustomization.yaml": patched + "openapi: {path: schema.json}\n", "broken/schema.json": "{",
		"nested/kustomization.yaml": head + "resources: [../with]\nnamePrefix: x-\n",
	})
	parts := func(path string) int {
		t.Helper()
		result, err := New(Options{}).Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: path}))
		if err != nil {
			t.Fatal(err)
		}
		spec, _ := result.Objects[0].Object["spec"].(map[string]any)
		list, _ := spec["parts"].([]any)
		return len(list)
	}
	for _, path := range []string{"with", "nested"} {
		if got := parts(path); got != 2 {
			t.Errorf("%s: %d parts, so that its schema was not used", path, got)
		}
		if got := parts("without"); got != 1 {
			t.Errorf("after %s: %d parts, so that its schema is still there", path, got)
		}
	}
	if _, err := New(Options{}).Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: "broken"})); err == nil {
		t.Error("a broken schema has to fail")
	}
	if got := parts("without"); got != 1 {
		t.Errorf("after a broken schema: %d parts", got)
	}
}

// TestBuildsAtOnce is for the race detector: plain builds, builds by kustomize and ones that fail, of the same and of other
// directories.
func TestBuildsAtOnce(t *testing.T) {
	t.Parallel()
	files := overlayFiles()
	files["bad/a.yaml"] = "kind: [\n"
	files["schema/kustomization.yaml"] = head + "resources: [../base]\nopenapi: {path: schema.json}\nnamePrefix: a-\n"
	files["schema/schema.json"] = `{"definitions": {}}`
	root := lay(t, files)
	b := New(Options{CacheBytes: 20_000})
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			path := []string{"base", "prod", "bad", "schema"}[i%4]
			spec := kustomizev1.KustomizationSpec{
				Path: path, TargetNamespace: fmt.Sprintf("team%d", i%5),
				PostBuild:      &kustomizev1.PostBuild{Substitute: map[string]string{"cluster": fmt.Sprint("c", i)}},
				CommonMetadata: &meta.CommonMetadata{Labels: map[string]string{"i": fmt.Sprint(i)}},
			}
			result, err := b.Build(t.Context(), request(root, spec))
			if (err == nil) != (path != "bad") {
				t.Errorf("%s: %v", path, err)
			}
			if err != nil {
				return
			}
			for _, object := range result.Objects {
				if object.GetNamespace() != spec.TargetNamespace || object.GetLabels()["i"] != fmt.Sprint(i) {
					t.Errorf("%s %s is another build's", object.GetNamespace(), object.GetName())
				}
				spoil(object.Object)
			}
		})
	}
	group.Wait()
	if used := b.CachedBytes(); used > 20_000 {
		t.Errorf("%d bytes are kept", used)
	}
}

func TestBuildEndsWithItsContext(t *testing.T) {
	t.Parallel()
	root := lay(t, overlayFiles())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"base", "prod"} {
		_, err := New(Options{}).Build(ctx, request(root, kustomizev1.KustomizationSpec{Path: path}))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNothingIsKeptIfToldSo(t *testing.T) {
	t.Parallel()
	b, root := New(Options{CacheBytes: -1}), lay(t, overlayFiles())
	for _, path := range []string{"base", "prod"} {
		if _, err := b.Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: path})); err != nil {
			t.Fatal(err)
		}
	}
	if used := b.CachedBytes(); used != 0 {
		t.Errorf("%d bytes are kept", used)
	}
}

func TestLenientSubstitution(t *testing.T) {
	t.Parallel()
	spec := kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{Substitute: map[string]string{"a": "b"}}}
	result, err := build(t, Options{LenientSubstitution: true}, map[string]string{"a.yaml": strings.Replace(settings, "fast", `"x${missing}y"`, 1)}, spec)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := result.Objects[0].Object["data"].(map[string]any)
	if data["mode"] != "xy" {
		t.Errorf("mode is %q", data["mode"])
	}
}

func TestCommonMetadata(t *testing.T) {
	t.Parallel()
	result, err := build(t, Options{}, map[string]string{
		"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {team: a, app: x}, annotations: {note: '${x}'}}\n",
		"b.yaml": account,
	}, kustomizev1.KustomizationSpec{
		PostBuild: &kustomizev1.PostBuild{Substitute: map[string]string{"x": "value"}},
		CommonMetadata: &meta.CommonMetadata{
			Labels: map[string]string{"team": "ml", "env": "${x}"}, Annotations: map[string]string{"owner": "ops"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"name": "a", "labels": map[string]any{"team": "ml", "app": "x", "env": "${x}"}, "annotations": map[string]any{"note": "value", "owner": "ops"}},
		{"name": "web", "labels": map[string]any{"team": "ml", "env": "${x}"}, "annotations": map[string]any{"owner": "ops"}},
	}
	for i, object := range result.Objects {
		if diff := cmp.Diff(want[i], object.Object["metadata"]); diff != "" {
			t.Error(diff)
		}
	}
}

func TestThePlainWayKnowsKubernetesOwnKinds(t *testing.T) {
	t.Parallel()
	if err := enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer leave()
	p := newPlainer()
	checked := 0
	for _, definition := range openapi.Schema().Definitions {
		kinds, _ := definition.Extensions["x-kubernetes-group-version-kind"].([]any)
		for _, item := range kinds {
			gvk, _ := item.(map[string]any)
			text := func(key string) string { s, _ := gvk[key].(string); return s }
			id := identity{group: text("group"), version: text("version"), kind: text("kind"), name: "x"}
			apiVersion := strings.TrimPrefix(id.group+"/"+id.version, "/")
			namespaced, found := openapi.IsNamespaceScoped(kyaml.TypeMeta{APIVersion: apiVersion, Kind: id.kind})
			if !found {
				continue
			}
			checked++
			if got := p.scope(id); got == scopeCluster && namespaced || got == scopeNamespaced && !namespaced {
				t.Errorf("%s %s: namespaced is %v", apiVersion, id.kind, namespaced)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d kinds were checked", checked)
	}
}
