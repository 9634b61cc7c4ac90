// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestChartOfARepository(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.add(testkit.HelmChart{Name: "app", Version: "1.0.0"})
	s.repository()
	s.chart()
	s.Start()
	hc := s.AwaitRevision("1.0.0")
	if !strings.HasSuffix(hc.Status.Artifact.Path, "/app/app-1.0.0.tgz") || !strings.HasSuffix(hc.Status.URL, "/app/latest.tar.gz") ||
		hc.Status.ObservedChartName != "app" || hc.Status.ObservedSourceArtifactRevision == "" {
		t.Errorf("status %+v", hc.Status)
	}
	if c := s.load(hc.Status.Artifact); c.Metadata.Version != "1.0.0" {
		t.Errorf("chart %+v", c.Metadata)
	}
	message := "pulled 'app' chart with version '1.0.0'"
	s.CheckConditions(hc, map[string]string{
		"Ready": "True ChartPullSucceeded " + message, "ArtifactInStorage": "True ChartPullSucceeded " + message,
	})
	s.CheckStatus(hc, status.CurrentStatus)
	s.AwaitEvent("ChartPullSucceeded", message)

	// What is there is not fetched again, for whatever the chart is asked.
	s.Request()
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.Interval.Duration *= 2 })
	s.AwaitRevision("1.0.0")
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.Version = "1.0.0" })
	s.AwaitRevision("1.0.0")
	if got := s.server.Requests(".tgz"); got != 1 {
		t.Errorf("%d charts were fetched", got)
	}

	// Another index wakes the chart, which has nothing to fetch before there is
	// another version in it.
	s.add(testkit.HelmChart{Name: "web"})
	s.poke(&sourcev1.HelmRepository{}, "repo")
	s.Await("has seen the new index", func(got *sourcev1.HelmChart) bool {
		return got.Status.ObservedSourceArtifactRevision != hc.Status.ObservedSourceArtifactRevision && conditions.IsReady(got)
	})
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.Version = "1.x" })
	s.add(testkit.HelmChart{Name: "app", Version: "1.1.0"}, testkit.HelmChart{Name: "app", Version: "2.0.0"})
	s.poke(&sourcev1.HelmRepository{}, "repo")
	s.AwaitRevision("1.1.0")
	if got := s.server.Requests(".tgz"); got != 2 {
		t.Errorf("%d charts were fetched", got)
	}

	// The same version with other content.
	before := s.Get().Status.Artifact.Digest
	s.add(testkit.HelmChart{Name: "app", Version: "1.1.0"}.ConfigMap("a", "b"))
	s.poke(&sourcev1.HelmRepository{}, "repo")
	s.Await("has the new content", func(hc *sourcev1.HelmChart) bool {
		return conditions.IsReady(hc) && !hc.Status.Artifact.HasDigest(before)
	})

	// One whose archive is not what the index says is taken, as Flux does, and
	// told of.
	s.server.AddEntry(testkit.HelmEntry{Name: "app", Version: "1.2.0", URLs: []string{"charts/app-1.1.0.tgz"}, Digest: strings.Repeat("0", 64)})
	s.poke(&sourcev1.HelmRepository{}, "repo")
	s.AwaitRevision("1.2.0")
	s.AwaitEvent("ChartDigestMismatch", "the archive of 'app' chart with version '1.2.0' does not have the digest '000")

	s.Must(s.Kube.Delete(t.Context(), s.Get()))
	s.Eventually("the object is gone", s.IsGone)
	if left := s.Files("*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Charts of one repository share its index, and its credentials.
func TestChartsShareAnIndex(t *testing.T) {
	t.Parallel()
	s := newSuite(t, testkit.HelmMutualTLS(), testkit.HelmBasicAuth("bob", "s3cret"))
	s.add(testkit.HelmChart{Name: "app", Version: "1.0.0"})
	s.Secret("login", map[string]string{"username": "bob", "password": "s3cret"})
	s.Secret("certs", map[string]string{
		"ca.crt": string(s.server.CA), "tls.crt": string(s.server.ClientCert), "tls.key": string(s.server.ClientKey),
	})
	s.repository(func(r *sourcev1.HelmRepository) {
		r.Spec.SecretRef, r.Spec.CertSecretRef = &fluxmeta.LocalObjectReference{Name: "login"}, &fluxmeta.LocalObjectReference{Name: "certs"}
	})
	s.chart()
	for i := range 5 {
		s.chart(func(hc *sourcev1.HelmChart) { hc.Name = fmt.Sprint("other-", i) })
	}
	s.Start("--helm-cache-max-size=10")
	for i := range 5 {
		other := *s
		other.Name = fmt.Sprint("other-", i)
		other.AwaitRevision("1.0.0")
	}
	s.AwaitRevision("1.0.0")
	if got := s.server.Requests("index.yaml"); got != 1 {
		t.Errorf("%d requests for the index", got)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	for _, version := range []string{"0.9.0", "1.2.0", "1.10.0", "2.0.0-rc.1"} {
		s.add(testkit.HelmChart{Name: "app", Version: version})
	}
	s.repository()
	s.chart()
	s.Start()
	s.AwaitRevision("1.10.0")
	for _, tc := range [][2]string{{"~1.2", "1.2.0"}, {"<1", "0.9.0"}, {">1-0", "2.0.0-rc.1"}, {"1.2.0", "1.2.0"}, {"*", "1.10.0"}} {
		s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.Version = tc[0] })
		s.AwaitRevision(tc[1])
	}
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.Version = "3.x" })
	hc := s.AwaitStall("InvalidChartReference", "invalid chart reference: no 'app' chart with version matching '3.x' found")
	if !hc.Status.Artifact.HasRevision("1.10.0") {
		t.Errorf("status %+v", hc.Status)
	}
	// An index that has it is what a stalled chart waits for.
	s.add(testkit.HelmChart{Name: "app", Version: "3.1.0"})
	s.poke(&sourcev1.HelmRepository{}, "repo")
	s.AwaitRevision("3.1.0")

	// A chart that is taken out of the index stays.
	s.server.Remove("app", "3.1.0")
	s.poke(&sourcev1.HelmRepository{}, "repo")
	hc = s.AwaitStall("InvalidChartReference", "no 'app' chart with version matching '3.x' found")
	if s.load(hc.Status.Artifact).Metadata.Version != "3.1.0" {
		t.Errorf("artifact %+v", hc.Status.Artifact)
	}
}

func TestValuesFiles(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.add(testkit.HelmChart{Name: "app", Version: "1.0.0", Values: "a: 1\nb: {c: 1, d: 1}\n"}.With("prod.yaml", "b: {c: 2}\n"))
	s.repository()
	s.chart(func(hc *sourcev1.HelmChart) { hc.Spec.ValuesFiles = []string{"values.yaml", "prod.yaml"} })
	s.Start()
	hc := s.AwaitRevision("1.0.0+1")
	message := "packaged 'app' chart with version '1.0.0+1' and merged values files [values.yaml prod.yaml]"
	s.CheckConditions(hc, map[string]string{
		"Ready": "True ChartPackageSucceeded " + message, "ArtifactInStorage": "True ChartPackageSucceeded " + message,
	})
	want := map[string]any{"a": 1., "b": map[string]any{"c": 2., "d": 1.}}
	if diff := cmp.Diff(want, s.load(hc.Status.Artifact).Values); diff != "" {
		t.Error(diff)
	}
	fetched := s.server.Requests(".tgz")
	s.Request()
	if got := s.server.Requests(".tgz"); got != fetched {
		t.Errorf("fetched %d times more", got-fetched)
	}
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.ValuesFiles = []string{"prod.yaml", "none.yaml"} })
	hc = s.AwaitStall("ValuesFilesError", "values files merge error: no values file found at path 'none.yaml'")
	if got := conditions.GetReason(hc, sourcev1.BuildFailedCondition); got != "ValuesFilesError" {
		t.Errorf("BuildFailed has the reason %q", got)
	}
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.IgnoreMissingValuesFiles = true })
	hc = s.AwaitRevision("1.0.0+3")
	if diff := cmp.Diff([]string{"prod.yaml"}, hc.Status.ObservedValuesFiles); diff != "" {
		t.Error(diff)
	}
	s.Request()
	if got := conditions.GetMessage(s.Get(), fluxmeta.ReadyCondition); got != "packaged 'app' chart with version '1.0.0+3' and merged values files [prod.yaml]" {
		t.Error(got)
	}
	s.Edit(func(hc *sourcev1.HelmChart) { hc.Spec.ValuesFiles = []string{"values.yaml"} })
	s.AwaitRevision("1.0.0")
}

func TestRepositoryIsDownAndBack(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.add(testkit.HelmChart{Name: "app", Version: "1.0.0"})
	s.chart()
	s.Start()
	s.AwaitFailure("SourceUnavailable", "failed to get source: HelmRepository '"+s.Namespace+"/repo' does not exist")
	down := func(*http.Request) testkit.HelmFault {
		return testkit.HelmFault{RegistryFault: testkit.RegistryFault{Code: 503}}
	}
	s.server.Inject(down)
	s.repository()
	hc := s.AwaitFailure("NoSourceArtifact", "no artifact available for HelmRepository source 'repo'")
	s.CheckStatus(hc, status.InProgressStatus)
	s.server.Inject(nil)
	s.AwaitRevision("1.0.0")

	s.add(testkit.HelmChart{Name: "app", Version: "1.1.0"})
	s.server.Inject(func(r *http.Request) testkit.HelmFault {
		if strings.HasSuffix(r.URL.Path, ".tgz") {
			return down(r)
		}
		return testkit.HelmFault{}
	})
	s.poke(&sourcev1.HelmRepository{}, "repo")
	message := "chart pull error: fetch " + s.server.URL + "/charts/app-1.1.0.tgz: the server answers 503 Service Unavailable"
	hc = s.AwaitFailure("ChartPullError", message)
	if conditions.IsStalled(hc) || !hc.Status.Artifact.HasRevision("1.0.0") || conditions.GetReason(hc, sourcev1.FetchFailedCondition) != "ChartPullError" {
		t.Errorf("status %+v", hc.Status)
	}
	if got := conditions.GetMessage(hc, sourcev1.ArtifactOutdatedCondition); got != "new 'app' chart with version '1.1.0'" {
		t.Errorf("ArtifactOutdated says %q", got)
	}
	s.AwaitEvent("ChartPullError", message)
	s.server.Inject(nil)
	s.AwaitRevision("1.1.0") // by its own retry
}

func TestRestartWithAnEmptyDisk(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.add(testkit.HelmChart{Name: "app", Version: "1.0.0", Values: "a: 1\n"}.With("prod.yaml", "a: 2\n"))
	s.repository()
	s.chart(func(hc *sourcev1.HelmChart) { hc.Spec.ValuesFiles = []string{"prod.yaml"} })
	s.Start()
	digest := s.AwaitRevision("1.0.0+1").Status.Artifact.Digest
	s.Stop()
	s.LoseDisk()
	s.Start()
	s.intact(digest)
}

func TestSpecErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change          func(*sourcev1.HelmChartSpec)
		reason, message string
	}{
		"verify": {func(hc *sourcev1.HelmChartSpec) {
			hc.Verify = &sourcev1.HelmChartVerification{Provider: "cosign"}
		}, "UnsupportedField", "this version of source-controller does not support spec.verify; remove it from the spec"},
		"Bucket":  {func(hc *sourcev1.HelmChartSpec) { hc.SourceRef.Kind = "Bucket" }, "UnsupportedSourceKind", "failed to get source: unsupported source kind 'Bucket', must be one of: HelmRepository, GitRepository"},
		"name":    {func(hc *sourcev1.HelmChartSpec) { hc.Chart = "App" }, "InvalidChartReference", "invalid chart name 'App'"},
		"chart":   {func(hc *sourcev1.HelmChartSpec) { hc.Chart = "none" }, "InvalidChartReference", "no chart 'none' found in the index of http:"},
		"range":   {func(hc *sourcev1.HelmChartSpec) { hc.Version = "one" }, "InvalidChartReference", "'one' is neither a version of the chart 'app' nor a range of versions"},
		"cloud":   {func(hc *sourcev1.HelmChartSpec) { hc.SourceRef.Name = "cloud" }, "UnsupportedField", "this version of source-controller does not support spec.provider: aws of HelmRepository"},
		"no host": {func(hc *sourcev1.HelmChartSpec) { hc.SourceRef.Name = "odd" }, "URLInvalid", "invalid Helm repository URL: it is not of the form oci://host/path"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.add(testkit.HelmChart{Name: "app"})
			s.repository()
			registry := func(name, provider, url string) {
				s.repository(func(r *sourcev1.HelmRepository) {
					r.Name, r.Spec.Type, r.Spec.Provider, r.Spec.URL = name, sourcev1.HelmRepositoryTypeOCI, provider, url
				})
			}
			registry("cloud", "aws", "oci://127.0.0.1/x")
			registry("odd", "generic", "oci://")
			s.chart(func(hc *sourcev1.HelmChart) { tc.change(&hc.Spec) })
			s.Start()
			if hc := s.AwaitStall(tc.reason, tc.message); hc.Status.Artifact != nil {
				t.Errorf("status %+v", hc.Status)
			}
			s.Edit(func(hc *sourcev1.HelmChart) {
				hc.Spec.Verify, hc.Spec.Chart, hc.Spec.Version = nil, "app", "*"
				hc.Spec.SourceRef = sourcev1.LocalHelmChartSourceReference{Kind: sourcev1.HelmRepositoryKind, Name: "repo"}
			})
			s.AwaitRevision("0.1.0")
		})
	}
}
