// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrepository_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/testkit/rig"
)

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: the HelmRepository "repo", and a server of charts.
type suite struct {
	rig.Objects[*sourcev1.HelmRepository]

	server *testkit.HelmServer
}

func newSuite(t *testing.T, opts ...testkit.HelmOption) *suite {
	t.Helper()
	s := &suite{Objects: rig.Of(env.Suite(t), sourcev1.HelmRepositoryKind, "repo", func() *sourcev1.HelmRepository { return &sourcev1.HelmRepository{} })}
	var err error
	s.server, err = testkit.NewHelmServer(opts...)
	s.Must(err)
	t.Cleanup(s.server.Close)
	return s
}

// create makes the HelmRepository; change may adjust it.
func (s *suite) create(change ...func(*sourcev1.HelmRepository)) {
	s.Helper()
	obj := &sourcev1.HelmRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name},
		Spec:       sourcev1.HelmRepositorySpec{URL: s.server.URL, Interval: metav1.Duration{Duration: time.Hour}},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}

// add puts a chart into the index, and returns the revision of the new index.
func (s *suite) add(version string) string {
	s.Helper()
	s.Must(s.server.Add(testkit.HelmChart{Name: "app", Version: version}))
	return s.revision()
}

// revision is that of what the server serves now.
func (s *suite) revision() string {
	s.Helper()
	recorder := &answer{header: http.Header{}}
	req, err := http.NewRequest(http.MethodGet, s.server.URL+"/index.yaml", http.NoBody)
	s.Must(err)
	req.SetBasicAuth("bob", "s3cret")
	s.server.ServeHTTP(recorder, req)
	sum := sha256.Sum256(recorder.body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// answer keeps what a server writes.
type answer struct {
	header http.Header
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(int) {}

func (a *answer) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

// read returns what a URL of the storage serves.
func (s *suite) read(url string) string {
	s.Helper()
	resp, err := http.Get(url)
	s.Must(err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	s.Must(err)
	if resp.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s", url, resp.Status)
	}
	return string(content)
}

func named(name string) *fluxmeta.LocalObjectReference {
	return &fluxmeta.LocalObjectReference{Name: name}
}
