// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/testkit/rig"
)

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: the HelmChart "app", and what its chart may come from.
type suite struct {
	rig.Objects[*sourcev1.HelmChart]

	server *testkit.HelmServer
}

func newSuite(t *testing.T, opts ...testkit.HelmOption) *suite {
	t.Helper()
	s := &suite{Objects: rig.Of(env.Suite(t), sourcev1.HelmChartKind, "app", func() *sourcev1.HelmChart { return &sourcev1.HelmChart{} })}
	var err error
	s.server, err = testkit.NewHelmServer(opts...)
	s.Must(err)
	t.Cleanup(s.server.Close)
	return s
}

func (s *suite) add(charts ...testkit.HelmChart) {
	s.Helper()
	s.Must(s.server.Add(charts...))
}

func hour() metav1.Duration { return metav1.Duration{Duration: time.Hour} }

// repository makes the HelmRepository "repo" of the server.
func (s *suite) repository(change ...func(*sourcev1.HelmRepository)) {
	s.Helper()
	obj := &sourcev1.HelmRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "repo"},
		Spec:       sourcev1.HelmRepositorySpec{URL: s.server.URL, Interval: hour()},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}

// chart makes the HelmChart "app" of the HelmRepository "repo".
func (s *suite) chart(change ...func(*sourcev1.HelmChart)) {
	s.Helper()
	obj := &sourcev1.HelmChart{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name},
		Spec: sourcev1.HelmChartSpec{
			Chart: "app", Interval: hour(),
			SourceRef: sourcev1.LocalHelmChartSourceReference{Kind: sourcev1.HelmRepositoryKind, Name: "repo"},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}

// poke asks another object for a reconcile by annotation.
func (s *suite) poke(obj client.Object, name string) {
	s.Helper()
	s.Must(s.Kube.Get(s.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, obj))
	before, _ := obj.DeepCopyObject().(client.Object)
	obj.SetAnnotations(map[string]string{fluxmeta.ReconcileRequestAnnotation: time.Now().String()})
	s.Must(s.Kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

// load returns the chart that an artifact is.
func (s *suite) load(a *fluxmeta.Artifact) *helm.Chart {
	s.Helper()
	resp, err := http.Get(a.URL)
	s.Must(err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	s.Must(err)
	if resp.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s", a.URL, resp.Status)
	}
	c, err := loader.LoadArchive(bytes.NewReader(content))
	s.Must(err)
	return c
}

// intact waits until the object is ready with a file of this digest.
func (s *suite) intact(digest string) {
	s.Helper()
	s.Await("has its file again", func(hc *sourcev1.HelmChart) bool {
		if !conditions.IsReady(hc) || !hc.Status.Artifact.HasDigest(digest) {
			return false
		}
		_, err := os.Stat(s.File(hc))
		return err == nil
	})
}
