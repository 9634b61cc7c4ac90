// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// linkMark begins the content of a file that layLinked makes a symbolic link.
const linkMark = "-> "

// layLinked is lay with symbolic links.
func layLinked(t testing.TB, files map[string]string) string {
	t.Helper()
	plain := maps.Clone(files)
	maps.DeleteFunc(plain, func(_, content string) bool { return strings.HasPrefix(content, linkMark) })
	root := lay(t, plain)
	for name, content := range files {
		if strings.HasPrefix(content, linkMark) {
			put(t, filepath.Join(root, name), content)
		}
	}
	return root
}

// put writes a file or a symbolic link.
func put(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	var err error
	if target, ok := strings.CutPrefix(content, linkMark); ok {
		err = os.Symlink(target, name)
	} else {
		err = os.WriteFile(name, []byte(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// turn makes the files in root those of after. They are those of before.
func turn(t testing.TB, root string, before, after map[string]string) {
	t.Helper()
	for name, content := range before {
		if now, ok := after[name]; ok && now == content {
			continue
		}
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range after {
		if old, ok := before[name]; !ok || old != content {
			put(t, filepath.Join(root, name), content)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	base := map[string]string{
		"listed/kustomization.yaml": head + "resources: [a.yaml, ../shared]\n", "listed/a.yaml": settings, "listed/notes.md": "x",
		"shared/kustomization.yaml": head + "resources: [b.yaml]\n", "shared/b.yaml": account,
		"found/a.yaml": settings, "found/sub/b.yaml": account,
		"made/kustomization.yaml": head + "configMapGenerator: [{name: x, files: [f], envs: [e]}]\npatches: [{path: p.yaml, target: {kind: ConfigMap}}]\n",
		"made/f":                  "x", "made/e": "A=b\n", "made/p.yaml": "kind: X\nmetadata: {name: x, labels: {a: b}}\n",
		"linked/a.yaml": linkMark + "../elsewhere/a.yaml", "linked/kustomization.yaml": head + "resources: [a.yaml]\nnameSuffix: -x\n",
		"elsewhere/a.yaml": settings, "current": linkMark + "listed", "docs/readme.md": "x",
	}
	with := func(changes ...string) map[string]string {
		files := maps.Clone(base)
		for i := 0; i < len(changes); i += 2 {
			if files[changes[i]] = changes[i+1]; changes[i+1] == "" {
				delete(files, changes[i])
			}
		}
		return files
	}
	tests := map[string]struct {
		path  string
		files map[string]string
		want  bool
	}{
		"nothing":                                     {"listed", with(), true},
		"a file elsewhere":                            {"listed", with("docs/readme.md", "y", "docs/more.md", "y"), true},
		"a file beside those that are listed":         {"listed", with("listed/notes.md", "y", "listed/z.yaml", service), true},
		"a file that is listed":                       {"listed", with("listed/a.yaml", settings+"# x\n"), false},
		"a file of a base":                            {"listed", with("shared/b.yaml", service), false},
		"the kustomization file":                      {"listed", with("listed/kustomization.yaml", head+"resources: [a.yaml]\n"), false},
		"a kustomization file of another name":        {"listed", with("listed/Kustomization", head), false},
		"the same in a base":                          {"listed", with("shared/kustomization.yml", head), false},
		"a base that becomes a file":                  {"listed", with("shared/b.yaml", "", "shared/kustomization.yaml", "", "shared", account), false},
		"a file that becomes a directory":             {"listed", with("listed/a.yaml", "", "listed/a.yaml/kustomization.yaml", head+"namePrefix: x\n"), false},
		"a new file where files are found":            {"found", with("found/c.yaml", service), false},
		"a new file below":                            {"found", with("found/sub/c.yml", service), false},
		"a new file of another kind":                  {"found", with("found/c.txt", "x"), false},
		"a kustomization file where there was none":   {"found", with("found/kustomization.yaml", head+"resources: [a.yaml]\n"), false},
		"a kustomization file below":                  {"found", with("found/sub/kustomization.yaml", head+"resources: [b.yaml]\n"), false},
		"a file that is gone":                         {"found", with("found/sub/b.yaml", ""), false},
		"where files are found, one elsewhere":        {"found", with("listed/a.yaml", service), true},
		"a generator's file":                          {"made", with("made/f", "y"), false},
		"a generator's variables":                     {"made", with("made/e", "A=c\n"), false},
		"a patch":                                     {"made", with("made/p.yaml", "kind: X\nmetadata: {name: x, labels: {a: c}}\n"), false},
		"what a link leads to":                        {"linked", with("elsewhere/a.yaml", account), false},
		"a link that leads elsewhere":                 {"linked", with("linked/a.yaml", linkMark+"../shared/b.yaml"), false},
		"a link in the place of a file, same content": {"listed", with("listed/a.yaml", linkMark+"../elsewhere/a.yaml"), true},
		"the path itself":                             {"current", with("current", linkMark+"found"), false},
		"behind a link in the path":                   {"current", with("docs/readme.md", "y"), true},
		"everything":                                  {"listed", map[string]string{}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := New(Options{})
			result, err := b.Build(t.Context(), request(layLinked(t, base), kustomizev1.KustomizationSpec{Path: tc.path}))
			if err != nil {
				t.Fatal(err)
			}
			if got := result.Reads.Unchanged(layLinked(t, tc.files)); got != tc.want {
				t.Errorf("unchanged: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestReadsOfWhatIsKept(t *testing.T) {
	t.Parallel()
	files := overlayFiles()
	files["link"] = linkMark + "prod"
	root := layLinked(t, files)
	b := New(Options{})
	for _, path := range []string{"prod", "prod", "link", "./link/../prod"} {
		result, err := b.Build(t.Context(), request(root, kustomizev1.KustomizationSpec{Path: path}))
		if err != nil {
			t.Fatal(err)
		}
		if !result.Reads.Unchanged(root) {
			t.Errorf("%s: not the same in the same artifact", path)
		}
		for change, want := range map[string]bool{"base/service.yaml": false, "prod/mode": false, "other": true, "base/Kustomization": false, "link": path != "link"} {
			changed := maps.Clone(files)
			changed[change] = "x"
			if got := result.Reads.Unchanged(layLinked(t, changed)); got != want {
				t.Errorf("%s: with another %s unchanged: %t, want %t", path, change, got, want)
			}
		}
	}
}

func TestBuildsThatDependOnMoreHaveNoReads(t *testing.T) {
	t.Parallel()
	server := site(t)
	many := map[string]string{}
	for i := range 6000 {
		many[fmt.Sprintf("d/c%d.txt", i)] = ""
		many[fmt.Sprintf("d/%d/x.txt", i)] = ""
	}
	tests := map[string]struct {
		files map[string]string
		spec  kustomizev1.KustomizationSpec
	}{
		"a remote base": {map[string]string{"kustomization.yaml": head + "resources: [\"" + server.URL + "/a.yaml\"]\n"}, kustomizev1.KustomizationSpec{}},
		"decryption":    {map[string]string{"a.yaml": settings}, kustomizev1.KustomizationSpec{Decryption: &kustomizev1.Decryption{Provider: "sops"}}},
		"too much":      {many, kustomizev1.KustomizationSpec{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := lay(t, tc.files)
			result, err := New(Options{}).Build(t.Context(), request(root, tc.spec))
			if err != nil {
				t.Fatal(err)
			}
			if result.Reads.Unchanged(root) || result.Reads.Size() != 0 {
				t.Error("it must never be skipped")
			}
		})
	}
}

// TestUnchangedReadsMeanEqualObjects changes random trees at random places: wherever the reads of a build are the same,
// the objects and their origins have to be.
func TestUnchangedReadsMeanEqualObjects(t *testing.T) {
	t.Parallel()
	const rounds = 200
	same, different, needless := 0, 0, 0
	b := New(Options{})
	for seed := range uint64(rounds) {
		g := grower{rand.New(rand.NewPCG(seed, 7))}
		files, spec := g.tree(), g.spec()
		before := request(layLinked(t, files), spec)
		before.Digest = fmt.Sprint("before", seed)
		first, err := b.Build(t.Context(), before)
		if err != nil {
			continue
		}
		changed := g.change(files)
		after := request(before.Root, spec)
		turn(t, after.Root, files, changed)
		after.Digest = fmt.Sprint("after", seed)
		unchanged := first.Reads.Unchanged(after.Root)
		second, err := b.Build(t.Context(), after)
		equal := err == nil && cmp.Equal(contents(first.Objects), contents(second.Objects)) && cmp.Equal(first.Origins, second.Origins)
		switch {
		case unchanged && !equal:
			t.Fatalf("seed %d: it would be skipped and has changed: %v\n%s", seed, err, cmp.Diff(files, changed))
		case unchanged:
			same++
		case equal:
			needless++
		default:
			different++
		}
	}
	t.Logf("%d unchanged, %d changed, %d built although equal", same, different, needless)
	if same < rounds/8 || different < rounds/16 {
		t.Errorf("only %d were unchanged and %d changed", same, different)
	}
}

// grower makes trees.
type grower struct {
	*rand.Rand
}

func (g grower) one(of ...string) string { return of[g.IntN(len(of))] }

func (g grower) dir() string { return g.one("a", "b", "a/in", "base", "part", "docs") }

func (g grower) object() string {
	return fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata: {name: n%d}\n", g.one("ConfigMap", "Secret", "ServiceAccount"), g.IntN(500))
}

// kustomization returns one for a directory at the root.
func (g grower) kustomization(resources ...string) string {
	text := head
	for _, line := range []string{
		"namePrefix: p-", "namespace: ns", "labels: [{pairs: {x: y}}]", "configMapGenerator: [{name: gen, files: [f.txt]}]",
		"components: [../part]", "patches: [{path: patch.yaml, target: {kind: ConfigMap}}]", "configurations: [conf.yaml]",
	} {
		if g.IntN(4) == 0 {
			text += line + "\n"
		}
	}
	return text + "resources: [" + g.one(resources...) + "]\n"
}

func (g grower) tree() map[string]string {
	files := map[string]string{
		"base/kustomization.yaml": head + "resources: [one.yaml]\n",
		"part/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [one.yaml]\n",
		"docs/readme.md":          "x",
	}
	for _, dir := range []string{"a", "b", "base", "part"} {
		files[dir+"/one.yaml"], files[dir+"/two.yaml"] = g.object(), g.object()
		files[dir+"/f.txt"], files[dir+"/patch.yaml"], files[dir+"/conf.yaml"] = "x", "kind: X\nmetadata: {name: x, labels: {a: b}}\n", "nameReference: []\n"
	}
	for _, dir := range []string{"a", "b"} {
		if g.IntN(3) > 0 {
			files[dir+"/kustomization.yaml"] = g.kustomization("one.yaml", "one.yaml, two.yaml", "one.yaml, ../base", "../base", "in, one.yaml")
		}
	}
	for _, dir := range []string{"a/in", "b/in"} {
		files[dir+"/one.yaml"], files[dir+"/two.yaml"] = g.object(), g.object()
		files[dir+"/kustomization.yml"] = head + "resources: [" + g.one("one.yaml", "two.yaml") + "]\n"
	}
	if g.IntN(3) == 0 {
		files["b/one.yaml"] = linkMark + "../a/two.yaml"
	}
	files["now"] = linkMark + g.one("a", "b")
	return files
}

func (g grower) spec() kustomizev1.KustomizationSpec {
	spec := kustomizev1.KustomizationSpec{Path: g.one("a", "a", "b", "b", "now", "a/in", "base")}
	if g.IntN(3) == 0 {
		spec.NameSuffix = "-s"
	}
	if g.IntN(3) == 0 {
		spec.Components, spec.IgnoreMissingComponents = []string{g.one("../part", "../missing")}, true
	}
	return spec
}

// change returns the files with one to three of them changed, gone or new.
func (g grower) change(files map[string]string) map[string]string {
	changed := maps.Clone(files)
	for range g.IntN(3) + 1 {
		names := slices.Sorted(maps.Keys(changed))
		name := names[g.IntN(len(names))]
		switch g.IntN(7) {
		case 0:
			delete(changed, name)
		case 1, 2:
			changed[name] = g.one(changed[name]+"\n# more\n", g.object())
		case 3:
			changed[g.dir()+"/"+g.one("kustomization.yaml", "Kustomization", "kustomization.yml")] = g.kustomization("one.yaml", "two.yaml")
		case 4:
			changed[g.dir()+"/"+g.one("three.yaml", "three.yml", "three.txt", "sub/one.yaml")] = g.object()
		case 5:
			changed[g.dir()+"/link.yaml"] = linkMark + g.one("one.yaml", "two.yaml", "../base/one.yaml", "nowhere")
		case 6:
			changed["missing/kustomization.yaml"] = changed["part/kustomization.yaml"]
			changed["missing/one.yaml"] = g.object()
		}
	}
	return changed
}
