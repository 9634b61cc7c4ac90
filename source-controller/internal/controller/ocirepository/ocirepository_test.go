// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	consumer "github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

func TestAnImageBecomesAnArtifact(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	want := map[string]string{"infra/a.yaml": "a: 1", "b.yaml": "b: 1"}
	content, err := testkit.HelmArchive(want)
	s.Must(err)
	annotations := map[string]string{
		"org.opencontainers.image.source":   "https://bob:s3cret@git.example.com/app",
		"org.opencontainers.image.revision": "main@sha1:d63b5e9",
	}
	first := s.pushArtifact("latest", testkit.RegistryArtifact{Layers: []string{string(content)}, Annotations: annotations})
	s.Start()
	s.create()

	o := s.AwaitRevision("latest@" + first)
	a := o.Status.Artifact
	if a.Path != "ocirepository/"+s.Namespace+"/app/"+first+".tar.gz" || !strings.HasPrefix(a.Digest, "sha256:") || *a.Size == 0 {
		t.Errorf("artifact %+v", a)
	}
	if diff := cmp.Diff(want, s.Download(a)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(annotations, a.Metadata); diff != "" {
		t.Error(diff)
	}
	s.CheckConditions(o, map[string]string{
		"Ready":             "True Succeeded stored artifact for digest 'latest@" + first + "'",
		"ArtifactInStorage": "True Succeeded stored artifact for digest 'latest@" + first + "'",
	})
	s.CheckStatus(o, status.CurrentStatus)
	s.AwaitEvent("NewArtifact", "stored artifact with revision 'latest@"+first+"' from 'oci://"+s.registry.Host+"/"+repository+
		"', origin source 'https://git.example.com/app', origin revision 'main@sha1:d63b5e9'")
	if !strings.HasSuffix(o.Status.URL, "/ocirepository/"+s.Namespace+"/app/latest.tar.gz") {
		t.Errorf("status.url %s", o.Status.URL)
	}
	if _, etag := s.FetchURL(o.Status.URL); etag != `"`+a.Digest+`"` {
		t.Errorf("%s is at status.url, want %s", etag, a.Digest)
	}

	// As the controllers that apply it read it.
	cache, err := consumer.NewCache(t.TempDir(), 1<<20, consumer.NewFetcher(http.DefaultClient, 0, 1<<20))
	s.Must(err)
	tree, err := cache.Open(t.Context(), o.UID, a)
	s.Must(err)
	defer tree.Close()
	if got, err := os.ReadFile(filepath.Join(tree.Dir(), "infra/a.yaml")); err != nil || string(got) != "a: 1" {
		t.Errorf("unpacked %q, %v", got, err)
	}

	second := s.push("latest", map[string]string{"b.yaml": "b: 2"})
	o = s.Request()
	if !o.Status.Artifact.HasRevision("latest@"+second) || o.Status.Artifact.Metadata != nil {
		t.Fatalf("artifact %+v", o.Status.Artifact)
	}
	if _, etag := s.FetchURL(o.Status.URL); etag != `"`+o.Status.Artifact.Digest+`"` {
		t.Errorf("%s is at status.url, want %s", etag, o.Status.Artifact.Digest)
	}
	s.Download(a) // who is about to fetch the one before still can
}

func TestReferences(t *testing.T) {
	t.Parallel()
	chart := &sourcev1.OCILayerSelector{MediaType: fluxContent}
	tests := map[string]struct {
		ref      *sourcev1.OCIRepositoryRef
		selector *sourcev1.OCILayerSelector
		revision string
	}{
		"none":              {nil, nil, "latest@DIGEST"},
		"empty":             {&sourcev1.OCIRepositoryRef{}, nil, "latest@DIGEST"},
		"tag":               {&sourcev1.OCIRepositoryRef{Tag: "1.0.0"}, nil, "1.0.0@DIGEST"},
		"semver over tag":   {&sourcev1.OCIRepositoryRef{Tag: "1.0.0", SemVer: ">=1.0.0"}, nil, "v1.2.0@DIGEST"},
		"semver with rc":    {&sourcev1.OCIRepositoryRef{SemVer: ">=1.0.0-0"}, nil, "2.0.0-rc.1@DIGEST"},
		"filter":            {&sourcev1.OCIRepositoryRef{SemVer: "1.x", SemverFilter: `^[0-9]`}, nil, "1.1.0@DIGEST"},
		"digest over all":   {&sourcev1.OCIRepositoryRef{Tag: "nope", SemVer: "nope", Digest: "DIGEST"}, nil, "DIGEST"},
		"not a chart's tag": {&sourcev1.OCIRepositoryRef{SemVer: "3.x"}, chart, ""},
	}
	s := newSuite(t)
	digest := s.push("latest", map[string]string{"a": "1"})
	for _, tag := range []string{"1.0.0", "1.1.0", "v1.2.0", "2.0.0-rc.1", "not-a-version", "3.0.0_1"} {
		s.Must(s.registry.Move(repository, tag, digest))
	}
	s.create(func(o *sourcev1.OCIRepository) { o.Spec.Suspend = true })
	s.Start()
	for name, tc := range tests {
		t.Log(name)
		s.Edit(func(o *sourcev1.OCIRepository) {
			if tc.ref != nil && tc.ref.Digest != "" {
				tc.ref.Digest = digest
			}
			o.Spec.Reference, o.Spec.LayerSelector, o.Spec.Suspend = tc.ref, tc.selector, false
		})
		if tc.revision == "" {
			s.AwaitFailure("ReadOperationFailed", "no match found for semver: 3.x")
			continue
		}
		s.AwaitRevision(strings.ReplaceAll(tc.revision, "DIGEST", digest))
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	chart := testkit.HelmChart{Name: "app", Version: "1.2.0+build.5"}.ConfigMap("c", "v")
	digest, err := s.registry.PushChart("team", chart)
	s.Must(err)
	_, err = s.registry.PushChart("team", testkit.HelmChart{Name: "app", Version: "1.1.0"}.ConfigMap("c", "v"))
	s.Must(err)
	s.create(withRef(sourcev1.OCIRepositoryRef{SemVer: "1.x"}), func(o *sourcev1.OCIRepository) {
		o.Spec.LayerSelector = &sourcev1.OCILayerSelector{MediaType: chartContent, Operation: sourcev1.OCILayerCopy}
	})
	s.Start()
	o := s.AwaitRevision("1.2.0_build.5@" + digest)
	want, err := chart.Archive()
	s.Must(err)
	if got := s.Fetch(o.Status.Artifact); !bytes.Equal(got, want) {
		t.Error("the copy is not what was pushed")
	}
	if !strings.HasSuffix(o.Status.Artifact.Path, "/"+digest+".tar.gz") || *o.Status.Artifact.Size != int64(len(want)) {
		t.Errorf("artifact %+v", o.Status.Artifact)
	}
	if diff := cmp.Diff(o.Spec.LayerSelector, o.Status.ObservedLayerSelector); diff != "" {
		t.Error(diff)
	}

	s.Edit(func(o *sourcev1.OCIRepository) { o.Spec.LayerSelector.Operation = sourcev1.OCILayerExtract })
	o = s.Await("is extracted", func(o *sourcev1.OCIRepository) bool {
		return conditions.IsReady(o) && o.Status.ObservedLayerSelector.Operation == sourcev1.OCILayerExtract
	})
	if _, found := s.Download(o.Status.Artifact)["app/Chart.yaml"]; !found {
		t.Error("no app/Chart.yaml in what was extracted")
	}
}

func TestLayerSelector(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	var layers []string
	for _, name := range []string{"first", "second", "third"} {
		content, err := testkit.HelmArchive(map[string]string{name: name})
		s.Must(err)
		layers = append(layers, string(content))
	}
	digest := s.pushArtifact("latest", testkit.RegistryArtifact{Layers: layers, LayerTypes: []string{"application/a", "application/b", "application/b"}})
	s.create()
	s.Start()
	o := s.AwaitRevision("latest@" + digest)
	check := func(want string) {
		t.Helper()
		if diff := cmp.Diff(map[string]string{want: want}, s.Download(o.Status.Artifact)); diff != "" {
			t.Error(diff)
		}
	}
	check("first")
	choose := func(mediaType string) {
		s.Edit(func(o *sourcev1.OCIRepository) {
			o.Spec.LayerSelector = &sourcev1.OCILayerSelector{MediaType: mediaType}
		})
	}
	choose("application/b")
	o = s.Await("has the second layer", func(o *sourcev1.OCIRepository) bool {
		return conditions.IsReady(o) && o.Status.ObservedLayerSelector != nil && o.Status.ObservedGeneration == o.Generation
	})
	check("second")
	choose("application/c")
	o = s.AwaitFailure("OCIArtifactLayerOperationFailed", "failed to find layer with media type 'application/c' in artifact")
	check("second")
}

func TestPollsWithoutNewsPullAndWriteNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t, testkit.RegistryTokenAuth("u", "p"))
	digest := s.push("latest", map[string]string{"a": "1"})
	s.dockerConfig("creds", "u", "p")
	s.create(func(o *sourcev1.OCIRepository) {
		o.Spec.Interval.Duration = 10 * time.Millisecond
		o.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "creds"}
	})
	s.Start()
	before := s.AwaitRevision("latest@" + digest)
	heads, all, pulls := s.registry.Requests("HEAD "), s.registry.Requests(""), s.pulls()
	s.Eventually("100 polls", func() bool { return s.registry.Requests("HEAD ") >= heads+100 })
	s.Stop()
	if s.pulls() != pulls || pulls != 2 {
		t.Errorf("%d and then %d pulls, want 2: the manifest and the layer", pulls, s.pulls())
	}
	if got, want := s.registry.Requests("")-all, s.registry.Requests("HEAD ")-heads; got != want {
		t.Errorf("%d requests, %d of them HEAD", got, want)
	}
	if after := s.Get(); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the object was written: %s", cmp.Diff(before, after))
	}
	if got := s.Events("NewArtifact"); len(got) != 1 {
		t.Errorf("events %v", got)
	}
}

func TestADigestAsksNobody(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("latest", map[string]string{"a": "1"})
	s.create(withRef(sourcev1.OCIRepositoryRef{Digest: digest}))
	s.Start()
	s.AwaitRevision(digest)
	before := s.registry.Requests("")
	s.Request()
	if got := s.registry.Requests(""); got != before {
		t.Errorf("%d requests for what cannot change", got-before)
	}
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("latest", map[string]string{"a.yaml": "1", "b.md": "2", "docs/.sourceignore": "*.txt", "docs/c.txt": "3"})
	s.create()
	s.Start()
	o := s.AwaitRevision("latest@" + digest)
	want := map[string]string{"a.yaml": "1", "b.md": "2", "docs/.sourceignore": "*.txt"}
	if diff := cmp.Diff(want, s.Download(o.Status.Artifact)); diff != "" {
		t.Error(diff)
	}
	ignore := "*.md\n.sourceignore"
	s.Edit(func(o *sourcev1.OCIRepository) { o.Spec.Ignore = &ignore })
	o = s.Await("has another artifact", func(o *sourcev1.OCIRepository) bool {
		return conditions.IsReady(o) && o.Status.ObservedIgnore != nil && *o.Status.ObservedIgnore == ignore
	})
	if diff := cmp.Diff(map[string]string{"a.yaml": "1"}, s.Download(o.Status.Artifact)); diff != "" {
		t.Error(diff)
	}
	if !o.Status.Artifact.HasRevision("latest@" + digest) {
		t.Errorf("artifact %+v", o.Status.Artifact)
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	content, err := testkit.HelmArchive(map[string]string{"a": "amd64"})
	s.Must(err)
	index, err := s.registry.PushIndex(repository, "latest", nil,
		testkit.RegistryImage{Platform: "linux/arm64", Content: "no archive"}, testkit.RegistryImage{Content: string(content)})
	s.Must(err)
	s.create()
	s.Start()
	o := s.AwaitRevision("latest@" + index)
	if diff := cmp.Diff(map[string]string{"a": "amd64"}, s.Download(o.Status.Artifact)); diff != "" {
		t.Error(diff)
	}
	_, err = s.registry.PushIndex(repository, "latest", nil, testkit.RegistryImage{Platform: "linux/arm64", Content: "x"})
	s.Must(err)
	s.Ask()
	s.AwaitFailure("OCIArtifactPullFailed", "holds no manifest for linux/amd64")
}

func TestUnsupportedFieldsStall(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("latest", map[string]string{"a": "1"})
	s.create()
	s.Start()
	s.AwaitRevision("latest@" + digest)
	for field, set := range map[string]func(*sourcev1.OCIRepositorySpec){
		"spec.provider: aws": func(o *sourcev1.OCIRepositorySpec) { o.Provider = "aws" },
		"spec.provider: gcp": func(o *sourcev1.OCIRepositorySpec) { o.Provider = "gcp" },
		"spec.verify": func(o *sourcev1.OCIRepositorySpec) {
			o.Verify = &sourcev1.OCIRepositoryVerification{Provider: "cosign"}
		},
	} {
		var good sourcev1.OCIRepositorySpec
		s.Edit(func(o *sourcev1.OCIRepository) { good = *o.Spec.DeepCopy(); set(&o.Spec) })
		o := s.AwaitStall(artifact.UnsupportedFieldReason, "this version of source-controller does not support "+field+"; remove it from the spec")
		if o.Status.ObservedGeneration != o.Generation || conditions.IsReady(o) || !o.Status.Artifact.HasRevision("latest@"+digest) {
			t.Errorf("%s: status %+v", field, o.Status)
		}
		s.Edit(func(o *sourcev1.OCIRepository) { o.Spec = good })
		s.AwaitRevision("latest@" + digest)
	}
}

func TestSuspendAndDelete(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("latest", map[string]string{"a": "1"})
	s.create()
	s.Start()
	s.AwaitRevision("latest@" + first)
	s.Edit(func(o *sourcev1.OCIRepository) { o.Spec.Suspend = true })
	second := s.push("latest", map[string]string{"a": "2"})
	before := s.registry.Requests("")
	if o := s.Request(); !o.Status.Artifact.HasRevision("latest@"+first) || s.registry.Requests("") != before {
		t.Errorf("suspended, and yet: %+v", o.Status)
	}
	s.Edit(func(o *sourcev1.OCIRepository) { o.Spec.Suspend = false })
	o := s.AwaitRevision("latest@" + second)
	if diff := cmp.Diff([]string{sourcev1.SourceFinalizer}, o.Finalizers); diff != "" {
		t.Error(diff)
	}
	s.Must(s.Kube.Delete(t.Context(), o))
	s.Eventually("the object is gone", s.IsGone)
	if files := s.Files("*"); len(files) > 0 {
		t.Errorf("left on disk: %v", files)
	}
}

func TestRegistriesThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	s, hanging := newSuite(t), newSuite(t)
	hanging.registry.Inject(func(*http.Request) testkit.RegistryFault { return testkit.RegistryFault{Hang: true} })
	for _, name := range []string{"hangs-1", "hangs-2", "hangs-3", "hangs-4", "hangs-5"} {
		s.create(func(o *sourcev1.OCIRepository) {
			o.Name, o.Spec.Timeout = name, &metav1.Duration{Duration: 59 * time.Minute}
			o.Spec.URL = "oci://" + hanging.registry.Host + "/" + repository
		})
	}
	s.Start("--concurrent=1")
	s.Eventually("all of them hang", func() bool { return hanging.registry.Widest() >= 5 })
	digest := s.push("latest", map[string]string{"a": "1"})
	s.create()
	s.AwaitRevision("latest@" + digest)
}

func TestATakeoverFromFlux(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("latest", map[string]string{"a": "1"})
	s.create()
	// As Flux leaves an object: its artifact is on a disk that is gone, and
	// there is the verdict on a signature that nobody asks for any more.
	o := s.Get()
	o.Status = sourcev1.OCIRepositoryStatus{
		ObservedGeneration: o.Generation,
		URL:                "http://source-controller.flux-system.svc.cluster.local./ocirepository/x/app/latest.tar.gz",
		Artifact: &fluxmeta.Artifact{
			Path: "ocirepository/" + s.Namespace + "/app/" + digest + ".tar.gz", URL: "http://x/y", Revision: "latest@" + digest,
			Digest: digest, LastUpdateTime: metav1.Now(),
		},
		SourceVerificationFingerprint: "sha256:00",
	}
	conditions.MarkTrue(o, fluxmeta.ReadyCondition, "Succeeded", "stored artifact for digest 'latest@%s'", digest)
	conditions.MarkTrue(o, sourcev1.SourceVerifiedCondition, "Succeeded", "verified signature of revision latest@%s", digest)
	s.Must(s.Kube.Status().Update(t.Context(), o))
	s.Start()
	o = s.Await("is built anew", func(o *sourcev1.OCIRepository) bool {
		return conditions.IsReady(o) && o.Status.Artifact != nil && o.Status.Artifact.URL != "http://x/y"
	})
	if conditions.Has(o, sourcev1.SourceVerifiedCondition) || o.Status.SourceVerificationFingerprint != "" || s.Download(o.Status.Artifact)["a"] != "1" {
		t.Errorf("status %+v", o.Status)
	}
}
