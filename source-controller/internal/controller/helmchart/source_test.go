// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// gitSuite has a Git repository and a GitRepository "repo" for it.
type gitSuite struct {
	*suite

	repo  *testkit.GitRepo
	files map[string]string
}

func newGitSuite(t *testing.T, opts ...testkit.HelmOption) *gitSuite {
	t.Helper()
	s := &gitSuite{suite: newSuite(t, opts...), files: map[string]string{}}
	dir := t.TempDir()
	var err error
	s.repo, err = testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	s.Must(err)
	server, err := testkit.NewGitServer(dir)
	s.Must(err)
	t.Cleanup(server.Close)
	s.Must(s.Kube.Create(t.Context(), &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "repo"},
		Spec: sourcev1.GitRepositorySpec{
			URL: server.URL + "/repo.git", Interval: hour(), Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}))
	return s
}

// commit writes charts at paths and more files, and returns the hash.
func (s *gitSuite) commit(charts map[string]testkit.HelmChart, more map[string]string) string {
	s.Helper()
	for at, c := range charts {
		inner, err := c.Files()
		s.Must(err)
		for name, content := range inner {
			s.files[at+"/"+name] = content
		}
	}
	maps.Copy(s.files, more)
	hash, err := s.repo.Commit(s.Context(), testkit.GitCommit{Message: "Change", Files: testkit.Files(s.files)})
	s.Must(err)
	return hash
}

func fromGit(hc *sourcev1.HelmChart) {
	hc.Spec.Chart, hc.Spec.SourceRef.Kind = "./charts/app", sourcev1.GitRepositoryKind
}

// parts returns the names and versions of what a chart has inside.
func (s *suite) parts(a *fluxmeta.Artifact) []string {
	s.Helper()
	var parts []string
	for _, part := range s.load(a).Dependencies() {
		parts = append(parts, part.Name()+" "+part.Metadata.Version)
	}
	slices.Sort(parts)
	return parts
}

func TestChartOfAGitRepository(t *testing.T) {
	t.Parallel()
	s := newGitSuite(t)
	app := testkit.HelmChart{Name: "app", Version: "1.0.0", Values: "a: 1\n"}
	s.commit(map[string]testkit.HelmChart{"charts/app": app}, map[string]string{"prod.yaml": "a: 2\n"})
	s.chart(fromGit)
	s.Start()
	first := s.AwaitRevision("1.0.0")
	if got := conditions.GetMessage(first, fluxmeta.ReadyCondition); got != "packaged 'app' chart with version '1.0.0'" {
		t.Error(got)
	}

	// By default a chart is another one when its version is.
	hash := s.commit(map[string]testkit.HelmChart{"charts/app": app.ConfigMap("a", "b")}, nil)
	s.poke(&sourcev1.GitRepository{}, "repo")
	second := s.Await("has seen the commit", func(hc *sourcev1.HelmChart) bool {
		return conditions.IsReady(hc) && strings.HasSuffix(hc.Status.ObservedSourceArtifactRevision, hash)
	})
	if diff := cmp.Diff(first.Status.Artifact, second.Status.Artifact); diff != "" {
		t.Error(diff)
	}
	app.Version = "1.1.0"
	hash = s.commit(map[string]testkit.HelmChart{"charts/app": app}, nil)
	s.poke(&sourcev1.GitRepository{}, "repo")
	s.AwaitRevision("1.1.0")

	s.Edit(func(hc *sourcev1.HelmChart) {
		hc.Spec.ReconcileStrategy, hc.Spec.ValuesFiles = sourcev1.ReconcileStrategyRevision, []string{"charts/app/values.yaml", "prod.yaml"}
	})
	hc := s.AwaitRevision("1.1.0+" + hash[:12] + ".2")
	if got := s.load(hc.Status.Artifact).Values["a"]; got != 2. {
		t.Errorf("a is %v", got)
	}
	hash = s.commit(nil, map[string]string{"prod.yaml": "a: 3\n"})
	s.poke(&sourcev1.GitRepository{}, "repo")
	hc = s.AwaitRevision("1.1.0+" + hash[:12] + ".2")
	if got := s.load(hc.Status.Artifact).Values["a"]; got != 3. {
		t.Errorf("a is %v", got)
	}

	s.commit(nil, map[string]string{"charts/app/Chart.yaml": "name: ["})
	s.poke(&sourcev1.GitRepository{}, "repo")
	s.AwaitStall("InvalidChartReference", "cannot load 'Chart.yaml'")
	s.commit(map[string]testkit.HelmChart{"charts/app": {Name: "app", Version: "1.2.0"}}, nil)
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.ReconcileStrategy, hc.Spec.ValuesFiles = "ChartVersion", nil })
	s.poke(&sourcev1.GitRepository{}, "repo")
	digest := s.AwaitRevision("1.2.0").Status.Artifact.Digest

	s.Stop()
	s.LoseDisk()
	s.Start()
	s.intact(digest)
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	s := newGitSuite(t, testkit.HelmBasicAuth("bob", "s3cret"))
	anonymous, err := testkit.NewHelmServer()
	s.Must(err)
	t.Cleanup(anonymous.Close)
	s.add(testkit.HelmChart{Name: "private", Version: "1.0.0"}, testkit.HelmChart{Name: "private", Version: "1.5.0"})
	s.Must(anonymous.Add(testkit.HelmChart{Name: "public", Version: "2.0.0"}))
	registry, err := testkit.NewRegistry(testkit.RegistryBasicAuth("ada", "pa55"))
	s.Must(err)
	t.Cleanup(registry.Close)
	_, err = registry.PushChart("charts", testkit.HelmChart{Name: "pushed", Version: "3.0.0"})
	s.Must(err)

	app := testkit.HelmChart{Name: "app", Version: "1.0.0", Dependencies: []testkit.HelmDependency{
		{Name: "common", Version: "*", Repository: "file://../../lib/common"},
		{Name: "private", Version: "1.x", Repository: s.server.URL},
		{Name: "public", Version: "^2", Repository: anonymous.URL},
		{Name: "pushed", Version: "3.x", Repository: "oci://" + registry.Host + "/charts"},
	}}
	s.commit(map[string]testkit.HelmChart{"charts/app": app, "lib/common": {Name: "common"}}, nil)
	s.chart(fromGit)
	s.Start()
	hc := s.AwaitFailure("DependencyBuildError", "dependency build error: failed to add remote dependency 'private': failed to load index: fetch "+
		s.server.URL+"/index.yaml: the server answers 401 Unauthorized: check the credentials")
	if conditions.IsStalled(hc) || conditions.GetReason(hc, sourcev1.BuildFailedCondition) != "DependencyBuildError" {
		t.Errorf("status %+v", hc.Status)
	}
	s.Secret("creds", map[string]string{"username": "bob", "password": "s3cret"})
	s.repository(func(r *sourcev1.HelmRepository) { r.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "creds"} })
	s.AwaitFailure("DependencyBuildError", "failed to add remote dependency 'pushed'")
	s.Secret("pull", map[string]string{"username": "ada", "password": "pa55"})
	s.repository(func(r *sourcev1.HelmRepository) {
		r.Name, r.Spec.Type, r.Spec.URL, r.Spec.Insecure = "registry", sourcev1.HelmRepositoryTypeOCI, "oci://"+registry.Host+"/charts/", true
		r.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "pull"}
	})
	hc = s.AwaitRevision("1.0.0")
	want := []string{"common 0.1.0", "private 1.5.0", "public 2.0.0", "pushed 3.0.0"}
	if diff := cmp.Diff(want, s.parts(hc.Status.Artifact)); diff != "" {
		t.Error(diff)
	}
}

func TestChartOfARegistry(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	registry, err := testkit.NewRegistry(testkit.RegistryTokenAuth("ada", "pa55"))
	s.Must(err)
	t.Cleanup(registry.Close)
	push := func(c testkit.HelmChart) {
		_, err := registry.PushChart("team", c)
		s.Must(err)
	}
	push(testkit.HelmChart{Name: "app", Version: "1.0.0"})
	push(testkit.HelmChart{Name: "app", Version: "1.1.0+build"})
	s.repository(func(r *sourcev1.HelmRepository) {
		r.Spec.Type, r.Spec.URL, r.Spec.Insecure = sourcev1.HelmRepositoryTypeOCI, "oci://"+registry.Host+"/team", true
		r.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "pull"}
	})
	s.chart(func(hc *sourcev1.HelmChart) { hc.Spec.Version = "~1" })
	s.Start()
	s.AwaitFailure("AuthenticationFailed", "failed to authenticate with the Helm repository: authentication failed: failed to get secret")
	config, err := json.Marshal(map[string]any{"auths": map[string]any{registry.Host: map[string]string{"username": "ada", "password": "wrong"}}})
	s.Must(err)
	secret := s.Secret("pull", map[string]string{corev1.DockerConfigJsonKey: string(config)})
	s.AwaitFailure("AuthenticationFailed", "does not accept the credentials")
	good := strings.ReplaceAll(string(config), "wrong", "pa55")
	s.Must(s.Kube.Patch(t.Context(), secret, client.RawPatch(client.Merge.Type(), []byte(`{"stringData":{".dockerconfigjson":`+string(quote(good))+`}}`))))
	hc := s.AwaitRevision("1.1.0+build")
	if got := conditions.GetMessage(hc, fluxmeta.ReadyCondition); got != "pulled 'app' chart with version '1.1.0+build'" {
		t.Error(got)
	}
	if c := s.load(hc.Status.Artifact); c.Metadata.Version != "1.1.0+build" {
		t.Errorf("chart %+v", c.Metadata)
	}
	blobs := registry.Requests("/blobs/")
	s.Request()
	if got := registry.Requests("/blobs/"); got != blobs {
		t.Errorf("%d blobs were read again", got-blobs)
	}
	// A tag that is moved.
	push(testkit.HelmChart{Name: "app", Version: "1.1.0+build"}.ConfigMap("a", "b"))
	s.Ask()
	s.Await("has the new content", func(got *sourcev1.HelmChart) bool {
		return conditions.IsReady(got) && !got.Status.Artifact.HasDigest(hc.Status.Artifact.Digest)
	})
	push(testkit.HelmChart{Name: "app", Version: "1.2.0"})
	s.Ask()
	s.AwaitRevision("1.2.0")

	// Another place wakes the chart, though there is no artifact to tell of it.
	_, err = registry.PushChart("other", testkit.HelmChart{Name: "app", Version: "1.0.5"})
	s.Must(err)
	repo := &sourcev1.HelmRepository{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "repo"}}
	s.Must(s.Kube.Patch(t.Context(), repo, client.RawPatch(client.Merge.Type(), []byte(`{"spec":{"url":"oci://`+registry.Host+`/other"}}`))))
	s.AwaitRevision("1.0.5")
}

// A registry does not tell of a better chart, so what is wrong with the present
// one is not final.
func TestBadChartOfARegistryIsNotFinal(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	registry, err := testkit.NewRegistry()
	s.Must(err)
	t.Cleanup(registry.Close)
	_, err = registry.PushChart("team", testkit.HelmChart{Name: "app", Version: "1.0.0"})
	s.Must(err)
	s.repository(func(r *sourcev1.HelmRepository) {
		r.Spec.Type, r.Spec.URL, r.Spec.Insecure = sourcev1.HelmRepositoryTypeOCI, "oci://"+registry.Host+"/team", true
	})
	s.chart(func(hc *sourcev1.HelmChart) { hc.Spec.ValuesFiles = []string{"production.yaml"} })
	s.Start()
	s.AwaitFailure("ValuesFilesError", "no values file found at path 'production.yaml'")
	_, err = registry.PushChart("team", testkit.HelmChart{Name: "app", Version: "1.1.0"}.With("production.yaml", "replicas: 3\n"))
	s.Must(err)
	s.AwaitRevision("1.1.0+1")
}

// quote writes a text in JSON.
func quote(text string) []byte {
	quoted, _ := json.Marshal(text) // a string
	return quoted
}

// Nobody gets at another one's artifact by what a status says.
func TestArtifactsOfOthersAreNotRead(t *testing.T) {
	t.Parallel()
	s, other := newSuite(t), newSuite(t)
	other.add(testkit.HelmChart{Name: "app", Version: "6.6.6"})
	other.repository()
	other.chart()
	other.Start()
	stolen := &sourcev1.HelmRepository{}
	other.AwaitRevision("6.6.6")
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: other.Namespace, Name: "repo"}, stolen))
	other.Stop()

	s.Storage = other.Storage
	s.Flags = slices.Clone(s.Flags)
	for i, flag := range s.Flags {
		if strings.HasPrefix(flag, "--storage-path=") {
			s.Flags[i] = "--storage-path=" + other.Storage
		}
	}
	s.repository(func(r *sourcev1.HelmRepository) { r.Spec.Suspend = true })
	repo := &sourcev1.HelmRepository{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "repo"}, repo))
	before := repo.DeepCopy()
	repo.Status.Artifact = stolen.Status.Artifact
	s.Must(s.Kube.Status().Patch(t.Context(), repo, client.MergeFrom(before)))
	s.chart()
	s.Start()
	s.AwaitFailure("NoSourceArtifact", "no artifact available for HelmRepository source 'repo'")
}

// Nor at what is remembered of another one's index.
func TestIndexesOfOthersAreNotRemembered(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.add(testkit.HelmChart{Name: "app", Version: "1.0.0"})
	s.repository(func(r *sourcev1.HelmRepository) { r.Name = "other" })
	s.chart(func(hc *sourcev1.HelmChart) { hc.Name, hc.Spec.SourceRef.Name = "first", "other" })
	s.Start("--helm-cache-max-size=10")
	first := &sourcev1.HelmChart{}
	s.Eventually("the index is in the cache", func() bool {
		s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "first"}, first))
		return conditions.IsReady(first)
	})
	other, repo := &sourcev1.HelmRepository{}, &sourcev1.HelmRepository{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "other"}, other))
	s.repository(func(r *sourcev1.HelmRepository) { r.Spec.Suspend = true })
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "repo"}, repo))
	before := repo.DeepCopy()
	repo.Status.Artifact = other.Status.Artifact
	s.Must(s.Kube.Status().Patch(t.Context(), repo, client.MergeFrom(before)))
	s.chart()
	s.AwaitFailure("NoSourceArtifact", "no artifact available for HelmRepository source 'repo'")
}
