// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// fixture is a Git server with one repository, and a store that has fetched nothing.
type fixture struct {
	repo   *testkit.GitRepo
	remote *git.Remote
	store  *git.Store
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	server, err := testkit.NewGitServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	remote, err := git.NewRemote(server.URL+"/repo.git", git.Auth{}, dial.New(dial.Policy{AllowLocal: true}), git.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.Close)
	store, err := git.NewStore(t.TempDir(), 1<<30, git.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{repo, remote, store}
}

// commit adds files to the branch main.
func (f *fixture) commit(t testing.TB, files map[string]testkit.GitFile) {
	t.Helper()
	if _, err := f.repo.Commit(t.Context(), testkit.GitCommit{Files: files}); err != nil {
		t.Fatal(err)
	}
}

// read calls use with the tip of main.
func (f *fixture) read(t testing.TB, use func(ctx context.Context, c *git.Commit) error) {
	t.Helper()
	ctx := t.Context()
	target, err := f.store.Resolve(ctx, f.remote, git.Reference{Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Read(ctx, f.remote, target, func(c *git.Commit) error { return use(ctx, c) }); err != nil {
		t.Fatal(err)
	}
}

func TestIndexFields(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	large := "a: x" + m + "\n# " + strings.Repeat("long ", MaxFile/5)
	files := testkit.Files(map[string]string{
		"top.yaml":                  "a: x" + m,
		"apps/a.yaml":               "a: x" + m,
		"apps/b.yml":                "b: y" + m + "\nc: z # {\"$imagepolicy\": \"ns:app:tag\"}\n",
		"apps/Kustomization":        "d: v" + m,
		"apps/kustomization":        "d: v" + m,
		"apps/a.json":               "{\"a\": \"x\" " + m + "\n}",
		"apps/broken.yaml":          "a: [" + m,
		"apps/chart/deploy.yaml":    "a: {{ .x }\n" + m,
		"apps/large.yaml":           large,
		"apps/large-unmarked.yaml":  strings.Repeat("# long\n", MaxFile/5),
		"apps/sub/deep/copy.yaml":   "a: x" + m,
		"apps-other/elsewhere.yaml": "a: x" + m,
	})
	files["apps/link.yaml"] = testkit.GitFile{Content: "../top.yaml", Mode: "120000"}
	files["linked"] = testkit.GitFile{Content: "apps", Mode: "120000"}
	files["apps/run.yaml"] = testkit.GitFile{Content: "a: x" + m, Mode: "100755"}
	f.commit(t, files)

	apps := []string{
		"apps/Kustomization:1 d", "apps/a.yaml:1 a", "apps/b.yml:1 b", "apps/b.yml:2 c", "apps/run.yaml:1 a", "apps/sub/deep/copy.yaml:1 a",
	}
	problems := []string{
		"apps/broken.yaml: is not YAML: yaml: line 1: did not find expected node content",
		"apps/chart/deploy.yaml: is a template and not YAML (yaml: line 2: did not find expected ',' or '}'): mark its values file instead",
		fmt.Sprintf("apps/large.yaml: has markers and %d bytes; the limit is %d", len(large), MaxFile),
	}
	tests := map[string]struct {
		dir              string
		fields, problems []string
		err              string
	}{
		"the root":         {"", append(slices.Clone(apps), "apps-other/elsewhere.yaml:1 a", "top.yaml:1 a"), problems, ""},
		"a directory":      {"./apps", apps, problems, ""},
		"out and in again": {"../../apps/sub/../", apps, problems, ""},
		"a file":           {"apps/b.yml", apps[2:4], nil, ""},
		"nothing":          {"app", nil, nil, "look for markers below app: the commit has no file 'app'"},
		"through a link":   {"linked/sub", nil, nil, "look for markers below linked/sub: the commit has no file 'linked/sub'"},
		"a link":           {"apps/link.yaml", nil, nil, ""},
	}
	small, large2 := NewIndex(0), NewIndex(1<<20)
	for name, test := range tests {
		for _, index := range []*Index{small, large2, large2} {
			f.read(t, func(ctx context.Context, c *git.Commit) error {
				fields, left, err := index.Fields(ctx, c, test.dir)
				if test.err != "" {
					if err == nil || err.Error() != test.err || !errors.Is(err, git.ErrPath) {
						t.Errorf("%s: got error %v, want %s", name, err, test.err)
					}
					return nil
				}
				var got, texts []string
				for _, f := range fields {
					got = append(got, f.String()+" "+f.Path)
				}
				for _, p := range left {
					texts = append(texts, p.String())
				}
				if diff := cmp.Diff(test.fields, got); diff != "" {
					t.Errorf("%s: fields (-want +got):\n%s", name, diff)
				}
				if diff := cmp.Diff(test.problems, texts); diff != "" {
					t.Errorf("%s: problems (-want +got):\n%s", name, diff)
				}
				return err
			})
		}
	}
	if len(small.files) != 0 || small.size != 0 {
		t.Errorf("an index without room remembers %d files of %d bytes", len(small.files), small.size)
	}
	if large2.size <= 0 || large2.size > 1<<20 || large2.order.Len() != len(large2.files) {
		t.Errorf("the index says that it has %d files of %d bytes", len(large2.files), large2.size)
	}
}

func TestIndexForgets(t *testing.T) {
	t.Parallel()
	x := NewIndex(3 * (&known{}).weigh())
	for i := range 10 {
		x.put(&known{hash: fmt.Sprint(i)})
		x.put(&known{hash: fmt.Sprint(i)})
		if x.get("0") == nil {
			t.Fatalf("what was used last is gone after %d more", i)
		}
	}
	if len(x.files) != 3 || x.size != x.max || x.get("8") == nil || x.get("5") != nil {
		t.Errorf("%d files of %d bytes are left: %v", len(x.files), x.size, x.files)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := testkit.Files(map[string]string{"a/b.yaml": "x", "large": strings.Repeat("x", MaxFile+1)})
	files["link"] = testkit.GitFile{Content: "a/b.yaml", Mode: "120000"}
	f.commit(t, files)
	f.read(t, func(_ context.Context, c *git.Commit) error {
		if content, err := Read(c, Below("/a/", "b.yaml")); err != nil || string(content) != "x" {
			t.Errorf("got %q, %v", content, err)
		}
		for name, want := range map[string]string{
			"large": fmt.Sprintf("'large' has %d bytes; the limit is %d", MaxFile+1, MaxFile),
			"link":  "'link' is not a plain file of the commit",
			"a":     "'a' is not a plain file of the commit",
			"no":    "the commit has no file 'no'",
		} {
			if _, err := Read(c, name); err == nil || err.Error() != want {
				t.Errorf("%s: got error %v, want %s", name, err, want)
			}
		}
		return nil
	})
}

// BenchmarkIndex looks for the 200 markers among 10,000 files of 100 directories, with everything to read and with nothing
// new.
func BenchmarkIndex(b *testing.B) {
	f := newFixture(b)
	random := rand.New(rand.NewPCG(1, 2))
	files := map[string]string{}
	for i := range 10_000 {
		image := "image: ghcr.io/org/app:v1"
		if i%50 == 0 {
			image += m
		}
		files[fmt.Sprintf("apps/%02d/app-%05d.yaml", i%100, i)] = fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-%d\n"+
			"  annotations:\n    digest: %x%x\nspec:\n  template:\n    spec:\n      containers:\n      - name: app\n        %s\n        args: [%s]\n",
			i, random.Uint64(), random.Uint64(), image, strings.Repeat("--some-flag=with-a-value, ", 20))
	}
	f.commit(b, testkit.Files(files))
	warm := NewIndex(64 << 20)
	f.read(b, func(ctx context.Context, c *git.Commit) error {
		_, _, err := warm.Fields(ctx, c, "")
		return err
	})
	for name, index := range map[string]func() *Index{
		"cold": func() *Index { return NewIndex(64 << 20) },
		"warm": func() *Index { return warm },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f.read(b, func(ctx context.Context, c *git.Commit) error {
					fields, _, err := index().Fields(ctx, c, "./apps")
					if len(fields) != 200 {
						b.Fatalf("%d fields", len(fields))
					}
					for i, f := range fields {
						content, err := Read(c, f.File)
						if err != nil {
							return err
						}
						if _, err := Set(content, map[int]string{0: fmt.Sprintf("ghcr.io/org/app:v%d", i)}, fields[i:i+1]); err != nil {
							return err
						}
					}
					return err
				})
			}
		})
	}
}

func TestBelow(t *testing.T) {
	for name, want := range map[[2]string]string{
		{"", ""}: "", {".", "a"}: "a", {"./x/", "a/../b"}: "x/b", {"x", "../../y"}: "x/y", {"../..", "/etc"}: "etc", {"/x", "y"}: "x/y",
	} {
		if got := Below(name[0], name[1]); got != want {
			t.Errorf("Below(%q, %q) = %q, want %q", name[0], name[1], got, want)
		}
	}
}

// A changed file is found by the same fields after it was drafted.
func TestIndexReadsDrafts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.commit(t, testkit.Files(map[string]string{"a.yaml": "a: app:v1" + m, "b.yaml": "b: app:v1" + m}))
	index := NewIndex(1 << 20)
	f.read(t, func(ctx context.Context, c *git.Commit) error {
		fields, _, err := index.Fields(ctx, c, "")
		if err != nil {
			return err
		}
		content, err := Read(c, "a.yaml")
		if err != nil {
			return err
		}
		changed, err := Set(content, map[int]string{0: "app:v2"}, fields)
		if err != nil {
			return err
		}
		draft, err := c.Draft(git.Draft{Author: git.Signature{Name: "a", Email: "a@b"}, Message: "m", Files: map[string][]byte{"a.yaml": changed}})
		if err != nil {
			return err
		}
		after, _, err := index.Fields(ctx, draft, "")
		want := []Field{fields[0], fields[1]}
		want[0].Value = "app:v2"
		if diff := cmp.Diff(want, after); diff != "" {
			t.Error("(-want +got):\n" + diff)
		}
		if want[0].Part != imagev1.PartImage {
			t.Error("the part is lost")
		}
		return err
	})
}

// A few trees that hold each other name 2^30 files.
func TestIndexBoundsTrees(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content string
		want    error
	}{
		"nothing to find":  {"a: x", nil},
		"marked a billion": {"a: x" + m, git.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			run := func(input string, args ...string) string {
				out, err := f.repo.GitInput(t.Context(), input, args...)
				if err != nil {
					t.Fatal(err)
				}
				return strings.TrimSpace(out)
			}
			tree := run("100644 blob "+run(test.content, "hash-object", "-w", "--stdin")+"\ta.yaml\n", "mktree")
			for range 30 {
				tree = run("040000 tree "+tree+"\ta\n040000 tree "+tree+"\tb\n", "mktree")
			}
			run("", "update-ref", "refs/heads/main", run("", "-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "bomb", tree))
			f.read(t, func(ctx context.Context, c *git.Commit) error {
				fields, _, err := NewIndex(1<<20).Fields(ctx, c, "")
				if !errors.Is(err, test.want) || len(fields) != 0 {
					t.Errorf("got %d fields and error %v, want %v", len(fields), err, test.want)
				}
				return nil
			})
		})
	}
}

// Many automations search at a time, in an index that forgets all the while.
func TestIndexConcurrently(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := map[string]string{}
	for i := range 60 {
		files[fmt.Sprintf("%d/%d.yaml", i%7, i)] = fmt.Sprintf("a: app:v%d%s", i, m)
	}
	f.commit(t, testkit.Files(files))
	index := NewIndex(20 * (&known{}).weigh())
	target, err := f.store.Resolve(t.Context(), f.remote, git.Reference{Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				err := f.store.Read(t.Context(), f.remote, target, func(c *git.Commit) error {
					fields, problems, err := index.Fields(t.Context(), c, "")
					if len(fields) != len(files) || len(problems) != 0 {
						t.Errorf("%d fields and %d problems", len(fields), len(problems))
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
