// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// chartServer serves archives by path and counts.
type chartServer struct {
	*httptest.Server

	archives map[string][]byte
	count    atomic.Int32
}

func newChartServer(t *testing.T, archives map[string][]byte) *chartServer {
	t.Helper()
	s := &chartServer{archives: archives}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.count.Add(1)
		_, _ = w.Write(s.archives[strings.TrimPrefix(req.URL.Path, "/")])
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *chartServer) artifact(name string) *meta.Artifact {
	sum := sha256.Sum256(s.archives[name])
	return &meta.Artifact{Path: name, URL: s.URL + "/" + name, Digest: "sha256:" + hex.EncodeToString(sum[:])}
}

func archive(t *testing.T, chart testkit.HelmChart) []byte {
	t.Helper()
	packed, err := chart.Archive()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestChartsAreSharedByDigest(t *testing.T) {
	t.Parallel()
	s := newChartServer(t, map[string][]byte{"app": archive(t, app("1.0.0")), "bad": []byte("nothing")})
	charts := NewCharts(1<<20, artifact.NewFetcher(s.Client(), 0, 1<<20))
	open := func(source, name string) (*Chart, error) {
		return charts.Open(t.Context(), types.UID(source), s.artifact(name))
	}
	first, err := open("one", "app")
	if err != nil || first.Name != "app" || first.Version != "1.0.0" {
		t.Fatalf("%+v %v", first, err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if again, err := open("one", "app"); err != nil || again != first {
				t.Errorf("%p instead of %p, %v", again, first, err)
			}
		})
	}
	all.Wait()
	if got := s.count.Load(); got != 1 {
		t.Errorf("downloaded %d times", got)
	}
	// Who knows the digest has to have the artifact too.
	if other, err := open("two", "app"); err != nil || other != first || s.count.Load() != 2 {
		t.Errorf("%p instead of %p, %v, after %d downloads", other, first, err, s.count.Load())
	}
	stolen := s.artifact("app")
	stolen.URL = s.URL + "/bad"
	if _, err := charts.Open(t.Context(), "three", stolen); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("opened with the digest alone: %v", err)
	}
	if _, err := open("one", "bad"); err == nil || !strings.Contains(err.Error(), "load the chart of artifact bad") {
		t.Errorf("what is no chart: %v", err)
	}
}

func TestChartsAreBounded(t *testing.T) {
	t.Parallel()
	large := func(name string) []byte {
		return archive(t, testkit.HelmChart{Name: name}.With("templates/large.yaml", "# "+strings.Repeat("x", 10_000)))
	}
	s := newChartServer(t, map[string][]byte{"a": large("a"), "b": large("b"), "c": large("c")})
	charts := NewCharts(25_000, artifact.NewFetcher(s.Client(), 0, 1<<20))
	for _, name := range []string{"a", "b", "a", "c", "a", "b"} {
		if _, err := charts.Open(t.Context(), "one", s.artifact(name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.count.Load(); got != 4 || charts.bytes > charts.limit { // b twice
		t.Errorf("%d downloads, %d bytes", got, charts.bytes)
	}
}

// TestACopyIsOfOneAction processes the dependencies of copies, and compares what
// they are copies of.
func TestACopyIsOfOneAction(t *testing.T) {
	t.Parallel()
	r := &rig{T: t}
	part := testkit.HelmChart{Name: "part", Values: "exports: {up: {from: part}}\nlist: [{a: 1}]\n"}.ConfigMap("part", "x")
	whole := testkit.HelmChart{
		Name: "app", Subcharts: []testkit.HelmChart{part}, Values: "part: {enabled: true}\nother: {enabled: false}\n",
		Dependencies: []testkit.HelmDependency{
			{Name: "part", Version: "0.1.0", Condition: "part.enabled"}, {Name: "part", Version: "0.1.0", Alias: "other", Condition: "other.enabled"},
		},
	}.ConfigMap("own", "x")
	chart := r.chart(whole)
	process := func(values map[string]any) []string {
		own := copyChart(chart.parsed)
		r.must(chartutil.ProcessDependenciesWithMerge(own, values))
		names := []string{}
		for _, sub := range own.Dependencies() {
			names = append(names, sub.Name())
		}
		return names
	}
	for range 2 {
		if diff := cmp.Diff([]string{"part"}, process(nil)); diff != "" {
			t.Error(diff)
		}
		both := map[string]any{"other": map[string]any{"enabled": true}}
		if diff := cmp.Diff([]string{"part", "other"}, process(both)); diff != "" {
			t.Error(diff)
		}
	}
	if own := copyChart(chart.parsed); own.Templates[0] != chart.parsed.Templates[0] {
		t.Error("files are copied")
	}
}

func TestPinned(t *testing.T) {
	t.Parallel()
	const sum = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		version, revision string
		track             bool
		want, fails       string
	}{
		"tag":             {"1.2.3", "1.2.3@sha256:" + sum, true, "1.2.3+0123456789ab", ""},
		"digest":          {"1.2.3", "sha256:" + sum, true, "1.2.3+0123456789ab", ""},
		"not tracked":     {"1.2.3", "1.2.3@sha256:" + sum, false, "1.2.3", ""},
		"name as tag":     {"1.2.3", "latest@sha256:" + sum, true, "1.2.3+0123456789ab", ""},
		"metadata":        {"1.2.3+b1", "1.2.3_b1@sha256:" + sum, true, "1.2.3+0123456789ab", ""},
		"another version": {"1.2.3", "1.2.4@sha256:" + sum, true, "", "does not match chart version 1.2.3"},
		"no digest":       {"1.2.3", "latest", true, "", "holds no digest"},
		"no version":      {"one", "sha256:" + sum, true, "", "is not a semantic version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, digest, err := (&Chart{Name: "app", Version: c.version}).Pinned(c.revision, c.track)
			switch {
			case c.fails != "":
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("the error is %v", err)
				}
			case err != nil:
				t.Error(err)
			case got.Version != c.want, digest != "sha256:"+sum:
				t.Errorf("%s of %s", got.Version, digest)
			}
		})
	}
}
