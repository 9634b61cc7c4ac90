// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/judge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	model  = "registry.example/team/model"
	writer = "ns/auto (uid)"
)

var now = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

// world is a repository, and a way to read it.
type world struct {
	*testing.T
	repo   *testkit.GitRepo
	store  *git.Store
	server *testkit.GitServer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{T: t}
	var err error
	w.repo, err = testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	w.must(err)
	w.server, err = testkit.NewGitServer(dir)
	w.must(err)
	t.Cleanup(w.server.Close)
	w.store, err = git.NewStore(t.TempDir(), 1<<30, git.Limits{})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// commit writes files and returns the hash.
func (w *world) commit(author, text string, files map[string]string) string {
	w.Helper()
	hash, err := w.repo.Commit(w.Context(), testkit.GitCommit{Author: author + " <a@example.com>", Message: text, Files: testkit.Files(files)})
	w.must(err)
	return hash
}

// plan makes a plan on the main branch, and returns the files of its draft.
func (w *world) plan(a *plan.Automation) (result *plan.Result, files map[string]string, err error) {
	w.Helper()
	remote, err := git.NewRemote(w.server.URL+"/repo.git", git.Auth{}, dial.New(dial.Policy{AllowLocal: true}), git.Algorithms{})
	w.must(err)
	defer remote.Close()
	target, err := w.store.Resolve(w.Context(), remote, git.Reference{Branch: "main"})
	w.must(err)
	var failed error
	w.must(w.store.Read(w.Context(), remote, target, func(c *git.Commit) error {
		result, failed = a.Plan(w.Context(), plan.Tip{Commit: c, Revision: target.Revision, History: func(limit int, visit func(*git.Commit) (bool, error)) error {
			return w.store.Ancestors(w.Context(), remote, c, limit, visit)
		}}, now)
		return nil
	}))
	if failed != nil {
		return nil, nil, failed
	}
	files = map[string]string{}
	if result.Draft != nil {
		for name, content := range result.Draft.Files {
			files[name] = string(content)
		}
	}
	return result, files, nil
}

// automation has one image "model" that follows versions.
func automation(t *testing.T, tags ...string) *plan.Automation {
	t.Helper()
	template, err := message.Compile("")
	if err != nil {
		t.Fatal(err)
	}
	return &plan.Automation{
		Self: types.NamespacedName{Namespace: "ns", Name: "auto"}, UID: "uid", Audited: true,
		Source: "GitRepository/ns/repo", Message: template, Index: setter.NewIndex(1 << 20),
		Author: git.Signature{Name: "Weir", Email: "weir@example.com"},
		Images: []*plan.Image{newImage(t, &imagev1.Image{
			Name: "model", Image: model, DigestReflectionPolicy: imagev1.ReflectAlways,
			Policy: imagev1.ImageChoice{ImagePolicyChoice: imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: ">=1.0.0"}}},
		}, tags...)},
	}
}

func newImage(t *testing.T, spec *imagev1.Image, tags ...string) *plan.Image {
	t.Helper()
	repository, err := oci.ParseRepository(spec.Image)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := policy.Compile("image", spec.Policy, spec.FilterTags)
	if err != nil {
		t.Fatal(err)
	}
	img := &plan.Image{
		Name: spec.Name, Ref: "ns:auto/" + spec.Name, Text: spec.Image, Repository: repository,
		Policy: compiled, Described: compiled.Describe(), Reflection: spec.DigestReflectionPolicy,
		Moving: spec.Policy.Digest != nil, Pinned: len(spec.Gates) > 0,
		Facts:    &plan.Facts{Tags: map[string]*plan.Artifact{}, Digests: map[string]*plan.Artifact{}},
		Approved: func(string) bool { return false },
	}
	if len(spec.Gates) > 0 || spec.MinAge != nil {
		if img.Rules, err = judge.Compile("image", spec); err != nil {
			t.Fatal(err)
		}
		img.Inspects, img.BestGates = img.Rules.ReadsManifest(), img.Rules.BestGates()
	}
	for _, tag := range tags {
		img.Facts.Tags[tag] = artifact(tag, "0.9")
	}
	if img.Ranked, err = compiled.Rank(t.Context(), tags, nil); err != nil {
		t.Fatal(err)
	}
	return img
}

// digest is a digest that belongs to a tag.
func digest(tag string) string {
	return "sha256:" + strings.Repeat("0", 64-len(hexOf(tag))) + hexOf(tag)
}

func hexOf(tag string) string { return fmt.Sprintf("%x", tag) }

func artifact(tag, accuracy string) *plan.Artifact {
	return &plan.Artifact{Tag: tag, Digest: digest(tag), FirstSeen: now.Add(-time.Hour), Manifest: &oci.Manifest{
		Digest: digest(tag), Annotations: map[string]string{"accuracy": accuracy}, Platforms: []oci.Platform{{Name: "linux/amd64", Digest: digest(tag)}},
	}}
}

func ref(tag string) string { return model + ":" + tag + "@" + digest(tag) }

func mark(ref string) string { return " # {\"$imagepolicy\": \"" + ref + "\"}\n" }

func pod(reference string) string {
	return "kind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n    - image: " + reference + mark("ns:auto/model")
}

func gate(a *imagev1.Image) {
	a.Gates = []imagev1.Gate{{Name: "accuracy", Expression: "num(candidate.annotations['accuracy']) >= num(baseline.annotations['accuracy'])"}}
}

func spec(change ...func(*imagev1.Image)) *imagev1.Image {
	s := &imagev1.Image{
		Name: "model", Image: model, DigestReflectionPolicy: imagev1.ReflectAlways,
		Policy: imagev1.ImageChoice{ImagePolicyChoice: imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: ">=1.0.0"}}},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func TestWhatIsWritten(t *testing.T) {
	t.Parallel()
	never := func(s *imagev1.Image) { s.DigestReflectionPolicy = imagev1.ReflectNever }
	ifNotPresent := func(s *imagev1.Image) { s.DigestReflectionPolicy = imagev1.ReflectIfNotPresent }
	values := func(name, tag, digest string) string {
		text := "image:\n  repository: " + name + mark("ns:auto/model:name") + "  tag: " + tag + mark("ns:auto/model:tag")
		if digest != "" {
			text += "  digest: " + digest + mark("ns:auto/model:digest")
		}
		return text
	}
	moved := digest("another")
	for name, tc := range map[string]struct {
		spec   *imagev1.Image
		tags   []string
		change func(*plan.Automation)
		before string
		want   string // "" if nothing is written
	}{
		"newer":                         {spec(), []string{"1.0.0", "1.1.0"}, nil, pod(ref("1.0.0")), pod(ref("1.1.0"))},
		"same":                          {spec(), []string{"1.0.0"}, nil, pod(ref("1.0.0")), ""},
		"never backwards":               {spec(), []string{"1.0.0"}, nil, pod(ref("1.1.0")), ""},
		"never backwards, out of sight": {spec(), []string{"1.0.0"}, nil, pod(ref("2.0.0-rc.1")), ""},
		"placeholder":                   {spec(), []string{"1.0.0"}, nil, pod("x"), pod(ref("1.0.0"))},
		"another repository":            {spec(), []string{"1.0.0"}, nil, pod("other.example/model:9.0.0"), pod(ref("1.0.0"))},
		"prefix stays":                  {spec(), []string{"1.1.0"}, nil, pod("oci://" + ref("1.0.0")), pod("oci://" + ref("1.1.0"))},
		"without digest":                {spec(never), []string{"1.1.0"}, nil, pod(model + ":1.0.0"), pod(model + ":1.1.0")},
		"digest is added":               {spec(), []string{"1.0.0"}, nil, pod(model + ":1.0.0"), pod(ref("1.0.0"))},
		"digest is left alone":          {spec(never), []string{"1.0.0"}, nil, pod(ref("1.0.0")), ""},
		"tag was moved":                 {spec(), []string{"1.0.0"}, nil, pod(model + ":1.0.0@" + moved), pod(ref("1.0.0"))},
		"tag was moved, kept":           {spec(ifNotPresent), []string{"1.0.0"}, nil, pod(model + ":1.0.0@" + moved), ""},
		"parts":                         {spec(), []string{"1.1.0"}, nil, values(model, "1.0.0", digest("1.0.0")), values(model, "1.1.0", digest("1.1.0"))},
		"parts without digest":          {spec(), []string{"1.1.0"}, nil, values(model, "1.0.0", ""), values(model, "1.1.0", "")},
		"parts of another repository":   {spec(), []string{"1.0.0"}, nil, values("other", "9.0.0", ""), values(model, "1.0.0", "")},
		"spelling stays": {
			&imagev1.Image{Name: "model", Image: "docker.io/library/model", DigestReflectionPolicy: imagev1.ReflectNever, Policy: spec().Policy},
			[]string{"1.1.0"}, nil, pod("model:1.0.0"), pod("model:1.1.0"),
		},
		"two places, one behind": {
			spec(), []string{"1.1.0"}, nil,
			pod(ref("1.0.0")) + "---\n" + strings.ReplaceAll(pod(ref("1.1.0")), "name: a", "name: b"),
			pod(ref("1.1.0")) + "---\n" + strings.ReplaceAll(pod(ref("1.1.0")), "name: a", "name: b"),
		},
		"moving tag": {
			spec(func(s *imagev1.Image) { s.Policy = imagev1.ImageChoice{Digest: &imagev1.DigestPolicy{Tag: "stable"}} }), []string{"stable"}, nil,
			pod(model + ":stable@" + moved), pod(ref("stable")),
		},
		"other automation's":  {spec(), []string{"1.1.0"}, func(a *plan.Automation) { a.Images[0].Ref = "ns:other/model" }, pod(ref("1.0.0")), ""},
		"outside of the path": {spec(), []string{"1.1.0"}, func(a *plan.Automation) { a.Dir = "sub" }, pod(ref("1.0.0")), ""},
		"picked by a policy, backwards": {spec(), []string{"1.1.0"}, func(a *plan.Automation) {
			a.Audited = false
			a.Images = []*plan.Image{{Name: "p", Ref: "ns:auto/model", Text: model, Fixed: &imagev1.ImageRef{Name: model, Tag: "0.1"}, Facts: &plan.Facts{}}}
		}, pod(ref("1.0.0")), pod(model + ":0.1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit("Ada", "first", map[string]string{"file.yaml": tc.before, "sub/other.yaml": "a: 1\n"})
			a := automation(t, "1.0.0")
			a.Images = []*plan.Image{newImage(t, tc.spec, tc.tags...)}
			if tc.change != nil {
				tc.change(a)
			}
			_, files, err := w.plan(a)
			w.must(err)
			if diff := cmp.Diff(tc.want, files["file.yaml"]); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	const server = "kind: InferenceService\nmetadata:\n  name: llm\nspec:\n  uri: oci://" + model + ":1.0.0\n  repo: " + model + "\n  tag: 1.0.0\n  other: elsewhere/x:1\n"
	for name, tc := range map[string]struct {
		target imagev1.Target
		want   string
		err    string
	}{
		"whole reference":    {imagev1.Target{File: "app/llm.yaml", Path: "spec.uri", Part: imagev1.PartImage}, strings.Replace(server, "oci://"+model+":1.0.0", "oci://"+ref("1.1.0"), 1), ""},
		"tag":                {imagev1.Target{File: "app/llm.yaml", Path: "spec.tag", Part: imagev1.PartTag, RepositoryPath: "spec.repo"}, strings.Replace(server, "tag: 1.0.0", "tag: 1.1.0", 1), ""},
		"another repository": {imagev1.Target{File: "app/llm.yaml", Path: "spec.other", Part: imagev1.PartImage}, "", "names 'elsewhere/x:1', which is not the repository"},
		"no such file":       {imagev1.Target{File: "app/none.yaml", Path: "spec.uri", Part: imagev1.PartImage}, "", "app/none.yaml"},
		"no such field":      {imagev1.Target{File: "app/llm.yaml", Path: "spec.none", Part: imagev1.PartImage}, "", "spec.none"},
		"symlink":            {imagev1.Target{File: "link.yaml", Path: "spec.uri", Part: imagev1.PartImage}, "", "link.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.repo.Commit(t.Context(), testkit.GitCommit{Files: map[string]testkit.GitFile{
				"app/llm.yaml": {Content: server}, "link.yaml": {Content: "app/llm.yaml", Mode: "120000"},
			}})
			w.must(err)
			a := automation(t, "1.1.0")
			tc.target.Image = "model"
			a.Images[0].Targets = []imagev1.Target{tc.target}
			_, files, err := w.plan(a)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			w.must(err)
			if diff := cmp.Diff(tc.want, files["app/llm.yaml"]); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

// Documents of one file that cannot be told apart by name are several all the
// same.
func TestDocumentsWithoutNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc := func(tag string) string { return "image: " + ref(tag) + mark("ns:auto/model") }
	w.commit("Ada", "first", map[string]string{"values.yaml": doc("1.0.0") + "---\n" + doc("1.1.0")})
	_, files, err := w.plan(automation(t, "1.0.0", "1.1.0"))
	w.must(err)
	if diff := cmp.Diff(doc("1.1.0")+"---\n"+doc("1.1.0"), files["values.yaml"]); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	// A digest in another document pins nothing here.
	w.commit("Ada", "second", map[string]string{
		"values.yaml": "tag: 1.0.0" + mark("ns:auto/model:tag") + "---\ndigest: " + digest("1.0.0") + mark("ns:auto/model:digest"),
	})
	a := automation(t, "1.0.0", "1.1.0")
	a.Images = []*plan.Image{newImage(t, spec(gate), "1.0.0", "1.1.0")}
	_, _, err = w.plan(a)
	if refusal, refused := errors.AsType[*plan.RefusalError](err); !refused || refusal.Reason != imagev1.DigestRequiredReason {
		t.Errorf("error %v", err)
	}
}

func TestDigestHasToBePinned(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file, err string
	}{
		"whole":           {pod(ref("1.0.0")), ""},
		"tag alone":       {"image:\n  tag: 1.0.0" + mark("ns:auto/model:tag"), "file.yaml:2: image 'model' is judged by its digest"},
		"tag with digest": {"image:\n  tag: 1.0.0" + mark("ns:auto/model:tag") + "digest: " + digest("1.0.0") + mark("ns:auto/model:digest"), ""},
		"one of two": {
			"a:\n  tag: 1.0.0" + mark("ns:auto/model:tag") + "  digest: x" + mark("ns:auto/model:digest") + "b:\n  tag: 1.0.0" + mark("ns:auto/model:tag"),
			"file.yaml:5: image 'model'",
		},
		"name alone": {"a:\n  name: " + model + mark("ns:auto/model:name"), "file.yaml:2: image 'model'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit("Ada", "first", map[string]string{"file.yaml": tc.file})
			a := automation(t, "1.0.0")
			a.Images = []*plan.Image{newImage(t, spec(gate), "1.0.0")}
			_, _, err := w.plan(a)
			refusal, refused := errors.AsType[*plan.RefusalError](err)
			if refused != (tc.err != "") || refused && (refusal.Reason != imagev1.DigestRequiredReason || !strings.HasPrefix(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

func TestCandidatesAreJudgedFromTheHighestDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("Ada", "first", map[string]string{"file.yaml": pod(ref("1.0.0"))})
	a := automation(t, "1.0.0")
	img := newImage(t, spec(gate), "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")
	a.Images = []*plan.Image{img}
	img.Facts.Tags = map[string]*plan.Artifact{}

	// Nothing is known: the highest has to be found out, and the baseline when
	// there is something to compare.
	result, _, err := w.plan(a)
	w.must(err)
	if diff := cmp.Diff(plan.Needs{"model": {Tags: []string{"1.4.0"}}}, result.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	img.Facts.Tags["1.4.0"] = artifact("1.4.0", "0.5")
	result, _, err = w.plan(a)
	w.must(err)
	if diff := cmp.Diff(plan.Needs{"model": {Digests: []string{digest("1.0.0")}}}, result.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	img.Facts.Digests[digest("1.0.0")] = artifact("1.0.0", "0.9")
	// The highest fails: all below that are above what Git holds are needed.
	result, _, err = w.plan(a)
	w.must(err)
	if diff := cmp.Diff(plan.Needs{"model": {Tags: []string{"1.3.0", "1.2.0", "1.1.0", "1.0.0"}}}, result.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	img.Facts.Tags["1.3.0"] = &plan.Artifact{Tag: "1.3.0", Err: errors.New("it is gone")}
	img.Facts.Tags["1.2.0"], img.Facts.Tags["1.1.0"], img.Facts.Tags["1.0.0"] = artifact("1.2.0", "0.95"), artifact("1.1.0", "0.99"), artifact("1.0.0", "0.9")
	result, files, err := w.plan(a)
	w.must(err)
	if files["file.yaml"] != pod(ref("1.2.0")) {
		t.Errorf("file %s", files["file.yaml"])
	}
	var held []string
	for _, h := range result.Holds {
		held = append(held, h.Tag+" "+h.Reason)
	}
	if diff := cmp.Diff([]string{"1.4.0 GateFailed", "1.3.0 Unreadable"}, held); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	status := result.Images[0]
	if status.Current.Tag != "1.0.0" || status.Latest.Tag != "1.4.0" || status.Accepted.Tag != "1.2.0" || len(status.Held) != 2 {
		t.Errorf("status %+v", status)
	}

	// What Git holds is not kept out of it, though it is gone.
	w.commit("Weir", "second", map[string]string{"file.yaml": pod(ref("1.2.0"))})
	img.Facts.Tags["1.2.0"], img.Facts.Digests[digest("1.2.0")] = &plan.Artifact{Tag: "1.2.0", Err: errors.New("it is gone")}, artifact("1.2.0", "0.95")
	result, _, err = w.plan(a)
	w.must(err)
	if len(result.Holds) != 2 || result.Holds[1].Tag != "1.3.0" || result.Draft != nil {
		t.Errorf("held %+v", result.Holds)
	}
}

// A candidate whose pull request people closed keeps back those that it ranks
// above, until the annotation lets it in.
func TestClosedPullRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("Ada", "first", map[string]string{"file.yaml": pod(ref("1.0.0"))})
	for name, tc := range map[string]struct {
		closed, cleared string
		want            string // the tag that is written
	}{
		"nothing":       {"", "", "1.2.0"},
		"the highest":   {"1.2.0", "", ""},
		"another":       {"1.1.0", "", "1.2.0"},
		"let in":        {"1.2.0", "1.2.0", "1.2.0"},
		"another is in": {"1.2.0", "1.1.0", ""},
	} {
		a := automation(t, "1.0.0")
		img := newImage(t, spec(), "1.0.0", "1.1.0", "1.2.0")
		img.Refused = func(reference string) bool { return tc.closed != "" && reference == ref(tc.closed) }
		img.Cleared = func(tag, _ string) bool { return tag == tc.cleared }
		a.Images = []*plan.Image{img}
		result, files, err := w.plan(a)
		w.must(err)
		if tc.want != "" {
			if files["file.yaml"] != pod(ref(tc.want)) {
				t.Errorf("%s: %q, want %s", name, files["file.yaml"], tc.want)
			}
			continue
		}
		if len(files) != 0 || len(result.Holds) != 1 || result.Holds[0].Tag != tc.closed || result.Holds[0].Reason != imagev1.PullRequestClosedReason {
			t.Errorf("%s: %v and held %+v", name, files, result.Holds)
		}
	}
}

func TestTimeIsToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("Ada", "first", map[string]string{"file.yaml": pod(ref("1.0.0"))})
	a := automation(t, "1.0.0")
	a.Images = []*plan.Image{newImage(t, spec(func(s *imagev1.Image) { s.MinAge = &metav1.Duration{Duration: 2 * time.Hour} }), "1.1.0")}
	result, _, err := w.plan(a)
	w.must(err)
	if want := now.Add(time.Hour); !result.Recheck.Equal(want) || result.Draft != nil {
		t.Errorf("recheck %v, want %v", result.Recheck, want)
	}
}

func TestUnmarkedImagesAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("Ada", "first", map[string]string{"file.yaml": "a: 1\n"})
	result, _, err := w.plan(automation(t, "1.0.0"))
	w.must(err)
	if diff := cmp.Diff([]string{"model"}, result.Unmarked); diff != "" {
		t.Error(diff)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("Ada", "first", map[string]string{"file.yaml": pod(ref("1.0.0"))})
	a := automation(t, "1.1.0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	remote, err := git.NewRemote(w.server.URL+"/repo.git", git.Auth{}, dial.New(dial.Policy{AllowLocal: true}), git.Algorithms{})
	w.must(err)
	defer remote.Close()
	target, err := w.store.Resolve(t.Context(), remote, git.Reference{Branch: "main"})
	w.must(err)
	w.must(w.store.Read(t.Context(), remote, target, func(c *git.Commit) error {
		if _, err := a.Plan(ctx, plan.Tip{Commit: c}, now); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that it was cancelled", err)
		}
		return nil
	}))
}
