// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/chart"
)

func newCharts(limits chart.Limits) *chart.Charts {
	dialer := dial.New(dial.Policy{AllowLocal: true})
	return chart.New(chart.Options{Dialer: dialer, Registry: oci.NewClient(oci.Options{Dialer: dialer}), Limits: limits})
}

// usual are the limits by default.
func usual() chart.Limits { return chart.Limits{Index: 50 << 20, Chart: 10 << 20, File: 5 << 20} }

func newServer(t *testing.T, opts ...testkit.HelmOption) *testkit.HelmServer {
	t.Helper()
	s, err := testkit.NewHelmServer(opts...)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// httpRepository returns the repository of a server whose index is downloaded.
func httpRepository(t *testing.T, limits chart.Limits, source chart.HTTPSource) *chart.HTTPRepository {
	t.Helper()
	r, err := newCharts(limits).HTTP(source)
	must(t, err)
	t.Cleanup(r.Close)
	return r
}

// load returns the chart that a result is.
func load(t *testing.T, archive []byte) (name, version string, values map[string]any, parts []string) {
	t.Helper()
	c, err := loader.LoadArchive(bytes.NewReader(archive))
	must(t, err)
	for _, part := range c.Dependencies() {
		parts = append(parts, part.Name()+" "+part.Metadata.Version)
	}
	return c.Name(), c.Metadata.Version, c.Values, parts
}

func TestPull(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	app := testkit.HelmChart{Name: "app", Version: "1.2.3", Values: "a: 1\nb: 2\n"}.With("prod.yaml", "b: 3\n")
	must(t, server.Add(app))
	want, err := app.Archive()
	must(t, err)

	charts := newCharts(usual())
	repository, err := charts.HTTP(chart.HTTPSource{URL: server.URL})
	must(t, err)
	defer repository.Close()
	as, err := charts.Pull(t.Context(), repository, chart.Request{Chart: "app"})
	must(t, err)
	if !bytes.Equal(as.Archive, want) || as.Summary() != "pulled 'app' chart with version '1.2.3'" || as.FileName() != "app-1.2.3.tgz" || as.Origin == "" {
		t.Errorf("%s, %s, %d bytes", as.Summary(), as.FileName(), len(as.Archive))
	}
	request := chart.Request{
		Chart: "app", Version: "1.x", Metadata: "7", ValuesFiles: []string{"values.yaml", "prod.yaml", "none.yaml"}, IgnoreMissing: true,
	}
	merged, err := charts.Pull(t.Context(), repository, request)
	must(t, err)
	if got := merged.Summary(); got != "packaged 'app' chart with version '1.2.3+7' and merged values files [values.yaml prod.yaml]" {
		t.Error(got)
	}
	name, version, values, _ := load(t, merged.Archive)
	if diff := cmp.Diff([]any{"app", "1.2.3+7", map[string]any{"a": 1., "b": 3.}}, []any{name, version, values}); diff != "" {
		t.Error(diff)
	}
	again, err := charts.Pull(t.Context(), repository, request)
	must(t, err)
	if !bytes.Equal(again.Archive, merged.Archive) {
		t.Error("the same request makes other bytes")
	}
	request.IgnoreMissing = false
	if _, err := charts.Pull(t.Context(), repository, request); reasonOf(err) != chart.ValuesFiles {
		t.Errorf("error %v", err)
	}
	if got := server.Requests("index.yaml"); got != 1 {
		t.Errorf("%d requests for the index", got)
	}
}

func reasonOf(err error) chart.Reason {
	if e, ok := errors.AsType[*chart.Error](err); ok {
		return e.Reason
	}
	return ""
}

func TestPullFails(t *testing.T) {
	t.Parallel()
	good := chart.Request{Chart: "app"}
	limits := usual()
	limits.Chart = 500
	tests := map[string]struct {
		request chart.Request
		limits  chart.Limits
		prepare func(*testkit.HelmServer)
		reason  chart.Reason
		message string
	}{
		"no such chart":     {request: chart.Request{Chart: "web"}, reason: chart.Reference, message: "no chart 'web' found in the index of http:"},
		"no such version":   {request: chart.Request{Chart: "app", Version: "2.x"}, reason: chart.Reference, message: "no 'app' chart with version matching '2.x' found"},
		"no name":           {reason: chart.Reference, message: "no name set"},
		"not a name":        {request: chart.Request{Chart: "App"}, reason: chart.Reference, message: "invalid chart name 'App'"},
		"metadata":          {request: chart.Request{Chart: "odd", Metadata: "_"}, reason: chart.MetadataPatch, message: "cannot be added"},
		"archive too large": {request: good, limits: limits, reason: chart.Pull, message: "the chart has more than 500 bytes, the limit of --helm-chart-max-size"},
		"500 for the chart": {request: good, reason: chart.Pull, message: "charts/app-0.1.0.tgz: the server answers 500 Internal Server Error", prepare: func(s *testkit.HelmServer) {
			s.Inject(func(r *http.Request) testkit.HelmFault { return fault(r, "tgz", testkit.RegistryFault{Code: 500}) })
		}},
		"cut off": {request: good, reason: chart.Pull, message: "is no chart: the archive is corrupt or cut off", prepare: func(s *testkit.HelmServer) {
			s.Inject(func(r *http.Request) testkit.HelmFault {
				return fault(r, "tgz", testkit.RegistryFault{Truncate: true})
			})
		}},
		"a page": {request: good, reason: chart.Pull, message: "is no chart: it is not compressed by gzip", prepare: func(s *testkit.HelmServer) {
			s.Inject(func(r *http.Request) testkit.HelmFault {
				return fault(r, "tgz", testkit.RegistryFault{Garbage: true})
			})
		}},
		"index of another kind": {request: good, reason: chart.Pull, message: "failed to load index: it is not a valid index of a Helm repository", prepare: func(s *testkit.HelmServer) { s.SetIndex([]byte("<html>secret body</html>")) }},
		"not a chart": {request: good, reason: chart.Pull, message: "there is no Chart.yaml in it", prepare: func(s *testkit.HelmServer) {
			archive, _ := testkit.HelmArchive(map[string]string{"app/x": "y"})
			s.SetFile("charts/app-0.1.0.tgz", archive)
		}},
		"a URL of a file": {request: good, reason: chart.Pull, message: "the scheme 'file' is not http or https", prepare: func(s *testkit.HelmServer) {
			s.AddEntry(testkit.HelmEntry{Name: "app", Version: "0.1.0", URLs: []string{"file:///etc/passwd"}})
		}},
		"no URL": {request: good, reason: chart.Pull, message: "no downloadable URLs", prepare: func(s *testkit.HelmServer) {
			s.AddEntry(testkit.HelmEntry{Name: "app", Version: "0.1.0"})
		}},
		"metadata service": {request: good, reason: chart.Pull, message: "never permitted", prepare: func(s *testkit.HelmServer) {
			s.AddEntry(testkit.HelmEntry{Name: "app", Version: "0.1.0", URLs: []string{"http://169.254.169.254/latest"}})
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t)
			must(t, server.Add(testkit.HelmChart{Name: "app"}.With("README.md", strings.Repeat(name, 1000)+randomText()), testkit.HelmChart{Name: "odd", Version: "1.2.3"}))
			if tc.prepare != nil {
				tc.prepare(server)
			}
			if tc.limits == (chart.Limits{}) {
				tc.limits = usual()
			}
			charts := newCharts(tc.limits)
			_, err := charts.Pull(t.Context(), httpRepository(t, tc.limits, chart.HTTPSource{URL: server.URL}), tc.request)
			if reasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.message) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v %v, want %s", reasonOf(err), err, tc.message)
			}
		})
	}
}

// randomText does not compress well.
func randomText() string {
	var text strings.Builder
	for i, x := 0, uint32(1); i < 2000; i++ {
		x = x*1664525 + 1013904223
		text.WriteByte('!' + byte(x>>24)%90)
	}
	return text.String()
}

func fault(r *http.Request, path string, f testkit.RegistryFault) testkit.HelmFault {
	if strings.Contains(r.URL.Path, path) {
		return testkit.HelmFault{RegistryFault: f}
	}
	return testkit.HelmFault{}
}

// Credentials go to other hosts only if the repository says so.
func TestCredentialsOfARepository(t *testing.T) {
	t.Parallel()
	index, other := newServer(t, testkit.HelmBasicAuth("ada", "s3cret")), newServer(t, testkit.HelmBasicAuth("ada", "s3cret"))
	must(t, other.Add(testkit.HelmChart{Name: "app"}))
	must(t, index.Add(testkit.HelmChart{Name: "redirected"}))
	index.AddEntry(testkit.HelmEntry{Name: "app", Version: "0.1.0", URLs: []string{other.URL + "/charts/app-0.1.0.tgz?token=secret"}})
	index.Inject(func(r *http.Request) testkit.HelmFault {
		return fault(r, "redirected", testkit.RegistryFault{Redirect: other.URL + "/charts/app-0.1.0.tgz"})
	})
	tests := map[string]struct {
		chart, password string
		pass            bool
		err             string
	}{
		"withheld":               {"app", "s3cret", false, "/charts/app-0.1.0.tgz: the server answers 401 Unauthorized"},
		"passed":                 {"app", "s3cret", true, ""},
		"withheld at a redirect": {"redirected", "s3cret", false, "401 Unauthorized"},
		"wrong":                  {"app", "no", true, "index.yaml: the server answers 401 Unauthorized"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := httpRepository(t, usual(), chart.HTTPSource{
				URL: index.URL, Username: "ada", Password: tc.password, PassCredentials: tc.pass,
			})
			_, err := newCharts(usual()).Pull(t.Context(), repository, chart.Request{Chart: tc.chart})
			switch {
			case tc.err == "" && err != nil, tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("error %v, want %q", err, tc.err)
			case tc.err != "" && !errors.Is(err, chart.ErrAuthentication), err != nil && strings.Contains(err.Error(), "secret"):
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestFetchIndex(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	must(t, server.Add(testkit.HelmChart{Name: "app"}))
	limits := usual()
	limits.Index = 10_000
	repository := httpRepository(t, limits, chart.HTTPSource{URL: server.URL + "/"})
	var index bytes.Buffer
	etag, fresh, err := repository.FetchIndex(t.Context(), &index, "")
	if err != nil || !fresh || etag == "" || !strings.Contains(index.String(), "app") {
		t.Fatalf("%q %v %v", etag, fresh, err)
	}
	index.Reset()
	if same, fresh, err := repository.FetchIndex(t.Context(), &index, etag); err != nil || fresh || index.Len() > 0 || same != etag {
		t.Errorf("%q %v %v", same, fresh, err)
	}
	server.Inject(func(*http.Request) testkit.HelmFault { return testkit.HelmFault{Padding: 1 << 30} })
	if _, _, err := repository.FetchIndex(t.Context(), &index, ""); err == nil ||
		!strings.Contains(err.Error(), "the index has more than 10000 bytes, the limit of --helm-index-max-size") || index.Len() > 10_001 {
		t.Errorf("%v, %d bytes", err, index.Len())
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	registry, err := testkit.NewRegistry()
	must(t, err)
	defer registry.Close()
	for _, version := range []string{"1.0.0", "1.1.0+build", "2.0.0-rc.1"} {
		_, err = registry.PushChart("charts", testkit.HelmChart{Name: "app", Version: version})
		must(t, err)
	}
	_, err = registry.Push("charts/image", "1.0.0", testkit.RegistryImage{})
	must(t, err)
	charts := newCharts(usual())
	repository, err := charts.OCI("oci://"+registry.Host+"/charts/", func(context.Context, oci.Repository) (oci.Access, error) {
		return oci.Access{Insecure: true}, nil
	})
	must(t, err)
	for version, want := range map[string]string{"": "1.1.0+build", "1.0.0": "1.0.0", "~1": "1.1.0+build", ">1-0": "2.0.0-rc.1"} {
		got, err := charts.Pull(t.Context(), repository, chart.Request{Chart: "app", Version: version})
		must(t, err)
		if name, inside, _, _ := load(t, got.Archive); got.Version != want || name != "app" || inside != want {
			t.Errorf("%q: %s %s", version, got.Version, inside)
		}
	}
	before := registry.Requests("tags/list")
	stored := &chart.Stored{Name: "app", Version: "1.0.0"}
	first, err := charts.Pull(t.Context(), repository, chart.Request{Chart: "app", Version: "1.0.0", Stored: stored})
	must(t, err)
	if first.Archive != nil || registry.Requests("tags/list") != before {
		t.Errorf("an exact version: %d bytes, %d lists", len(first.Archive), registry.Requests("tags/list")-before)
	}
	stored.Origin = "sha256:other"
	moved, err := charts.Pull(t.Context(), repository, chart.Request{Chart: "app", Version: "1.0.0", Stored: stored})
	must(t, err)
	if moved.Archive == nil {
		t.Error("a tag that moved is not fetched")
	}
	for name, want := range map[string]string{"none": "no such repository", "image": "is no Helm chart", "../app": "is not the name of a repository"} {
		_, err := charts.Pull(t.Context(), repository, chart.Request{Chart: name, Version: "1.0.0"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
	if _, err := charts.OCI("oci://", nil); !errors.Is(err, chart.ErrURL) {
		t.Errorf("error %v", err)
	}
}

// tree is an artifact of these files.
func tree(t *testing.T, files map[string]string) chart.Tree {
	t.Helper()
	archive, err := testkit.HelmArchive(files)
	must(t, err)
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
}

// put adds a chart to files at a path.
func put(t *testing.T, files map[string]string, at string, c testkit.HelmChart) {
	t.Helper()
	inner, err := c.Files()
	must(t, err)
	for name, content := range inner {
		files[at+name] = content
	}
}

func TestPackage(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	must(t, server.Add(testkit.HelmChart{Name: "remote", Version: "1.0.0"}, testkit.HelmChart{Name: "remote", Version: "2.0.0"}))
	files := map[string]string{"prod.yaml": "size: 2\n", "charts/app/.helmignore": "*.md\nbig/\n", "charts/app/README.md": "x"}
	files["charts/app/big/file"] = strings.Repeat("x", 6<<20)
	app := testkit.HelmChart{
		Name: "app", Version: "1.0.0", Values: "size: 1\n", Subcharts: []testkit.HelmChart{{Name: "vendored"}},
		Dependencies: []testkit.HelmDependency{
			{Name: "vendored", Version: "0.x", Repository: "https://nowhere.invalid"},
			{Name: "common", Version: "0.x", Repository: "file://../common"},
			{Name: "remote", Version: "1.x", Repository: server.URL, Alias: "one"},
			{Name: "remote", Version: "2.x", Repository: server.URL + "/", Alias: "two"},
		},
	}
	put(t, files, "charts/app/", app)
	put(t, files, "charts/common/", testkit.HelmChart{Name: "common", Version: "0.3.0"})
	archived, err := app.Archive()
	must(t, err)
	files["packed/app.tgz"] = string(archived)

	charts := newCharts(usual())
	repositories := func(_ context.Context, url string) (chart.Repository, error) {
		if url != server.URL+"/" {
			t.Errorf("asked for %s", url)
		}
		return charts.HTTP(chart.HTTPSource{URL: url})
	}
	got, err := charts.Package(t.Context(), tree(t, files), repositories, chart.Request{
		Chart: "./charts/app", Metadata: "abc.1", ValuesFiles: []string{"charts/app/values.yaml", "prod.yaml"},
	})
	must(t, err)
	if got.Dependencies != 3 || !got.Packaged {
		t.Errorf("%+v", got)
	}
	name, version, values, parts := load(t, got.Archive)
	slices.Sort(parts)
	want := []any{"app", "1.0.0+abc.1", map[string]any{"size": 2.}, []string{"common 0.3.0", "remote 1.0.0", "remote 2.0.0", "vendored 0.1.0"}}
	if diff := cmp.Diff(want, []any{name, version, values, parts}); diff != "" {
		t.Error(diff)
	}
	if bytes.Contains(got.Archive, []byte("README.md")) || server.Requests("index.yaml") != 1 {
		t.Errorf("%d requests for the index", server.Requests("index.yaml"))
	}
	again, err := charts.Package(t.Context(), tree(t, files), repositories, chart.Request{
		Chart: "charts/app", Metadata: "abc.1", ValuesFiles: []string{"charts/app/values.yaml", "prod.yaml"},
	})
	must(t, err)
	if !bytes.Equal(again.Archive, got.Archive) {
		t.Error("the same request makes other bytes")
	}

	packed, err := charts.Package(t.Context(), tree(t, files), nil, chart.Request{Chart: "packed/app.tgz"})
	must(t, err)
	if !bytes.Equal(packed.Archive, archived) || packed.Packaged {
		t.Errorf("%s, %d bytes", packed.Summary(), len(packed.Archive))
	}
	merged, err := charts.Package(t.Context(), tree(t, files), nil, chart.Request{Chart: "packed/app.tgz", ValuesFiles: []string{"prod.yaml"}, Metadata: "1"})
	must(t, err)
	if _, version, values, _ := load(t, merged.Archive); version != "1.0.0+1" || values["size"] != 2. {
		t.Errorf("%s %v", version, values)
	}
	same, err := charts.Package(t.Context(), tree(t, files), nil, chart.Request{Chart: "charts/app", Stored: &chart.Stored{Name: "app", Version: "1.0.0"}})
	must(t, err)
	if same.Archive != nil {
		t.Error("packaged again what is there")
	}
}

// What an archive says is outside of it is no part of a chart at its root.
func TestNamesThatLeadOutAreNotPackaged(t *testing.T) {
	t.Parallel()
	files := map[string]string{"../outside.yaml": "a: 1"}
	put(t, files, "", testkit.HelmChart{Name: "app", Version: "1.0.0"})
	result, err := newCharts(usual()).Package(t.Context(), tree(t, files), nil, chart.Request{Chart: "."})
	must(t, err)
	load(t, result.Archive) // Helm loads none with such a name in it.
}

// A chart below the URL of a registry is not one beside it.
func TestRegistryNamesDoNotLeadOut(t *testing.T) {
	t.Parallel()
	registry, err := newCharts(usual()).OCI("oci://127.0.0.1:1/team", nil)
	must(t, err)
	for _, name := range []string{"../other/app", "a/../../b", ".."} {
		if _, err := registry.Find(t.Context(), name, "1.0.0"); reasonOf(err) != chart.Reference {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPackageFails(t *testing.T) {
	t.Parallel()
	with := func(d testkit.HelmDependency) testkit.HelmChart {
		return testkit.HelmChart{Name: "app", Dependencies: []testkit.HelmDependency{d}}
	}
	tests := map[string]struct {
		chart   testkit.HelmChart
		request chart.Request
		reason  chart.Reason
		message string
	}{
		"absolute":          {request: chart.Request{Chart: "/app"}, reason: chart.Reference, message: "is not relative"},
		"not there":         {request: chart.Request{Chart: "web"}, reason: chart.Reference, message: "no chart found at path 'web'"},
		"out of the tree":   {request: chart.Request{Chart: "../../etc"}, reason: chart.Reference, message: "no chart found at path '../../etc'"},
		"a file":            {request: chart.Request{Chart: "app/Chart.yaml"}, reason: chart.Reference, message: "is no chart: it is not compressed by gzip"},
		"not valid":         {chart: testkit.HelmChart{Name: "app", Version: "one"}, reason: chart.Reference, message: "is not valid"},
		"values":            {request: chart.Request{Chart: "app", ValuesFiles: []string{"../../etc/passwd"}}, reason: chart.ValuesFiles, message: "no values file found at path '../../etc/passwd'"},
		"broken template":   {chart: testkit.HelmChart{Name: "app", Values: "- a\n"}, reason: chart.Package, message: "Helm cannot load the chart"},
		"large file":        {chart: testkit.HelmChart{Name: "app"}.With("x", strings.Repeat("x", 5<<20+1)), reason: chart.Package, message: "more than 5242880 bytes"},
		"bad .helmignore":   {chart: testkit.HelmChart{Name: "app"}.With(".helmignore", "a/**"), reason: chart.Reference, message: ".helmignore: double-star (**) syntax is not supported"},
		"local, not there":  {chart: with(testkit.HelmDependency{Name: "x", Version: "1", Repository: "file://../../../x"}), reason: chart.DependencyBuild, message: "failed to add local dependency 'x': no chart found at '/x'"},
		"local, other":      {chart: with(testkit.HelmDependency{Name: "common", Version: "2.x", Repository: "file://../common"}), reason: chart.DependencyBuild, message: "has the version '0.1.0', which is not in '2.x'"},
		"alias of the CLI":  {chart: with(testkit.HelmDependency{Name: "x", Version: "1", Repository: "@stable"}), reason: chart.DependencyBuild, message: "is the alias of one"},
		"another scheme":    {chart: with(testkit.HelmDependency{Name: "x", Version: "1", Repository: "s3://x"}), reason: chart.DependencyBuild, message: "begins with none of"},
		"remote, not there": {chart: with(testkit.HelmDependency{Name: "x", Version: "1", Repository: "http://127.0.0.1:1"}), reason: chart.DependencyBuild, message: "failed to add remote dependency 'x': failed to load index"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.chart.Name == "" {
				tc.chart.Name = "app"
			}
			if tc.request.Chart == "" {
				tc.request.Chart = "app"
			}
			files := map[string]string{}
			put(t, files, "app/", tc.chart)
			put(t, files, "common/", testkit.HelmChart{Name: "common"})
			charts := newCharts(usual())
			_, err := charts.Package(t.Context(), tree(t, files), func(_ context.Context, url string) (chart.Repository, error) {
				return charts.HTTP(chart.HTTPSource{URL: url})
			}, tc.request)
			if reasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.message) {
				t.Errorf("%v %v, want %s", reasonOf(err), err, tc.message)
			}
		})
	}
}
