// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"net/http"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/testkit/rig"
)

// TestChartsAreCopiedToo: after the repository has gone for good, index and
// chart are served, also under the names that do not change.
func TestChartsAreCopiedToo(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	server, err := testkit.NewHelmServer()
	s.Must(err)
	s.Must(server.Add(testkit.HelmChart{Name: "app", Version: "1.0.0"}.ConfigMap("c", "1")))
	repositories := rig.Of(s.Suite, sourcev1.HelmRepositoryKind, "charts", func() *sourcev1.HelmRepository { return &sourcev1.HelmRepository{} })
	charts := rig.Of(s.Suite, sourcev1.HelmChartKind, "app", func() *sourcev1.HelmChart { return &sourcev1.HelmChart{} })
	s.Must(s.Kube.Create(t.Context(), &sourcev1.HelmRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "charts", Labels: s.labels()},
		Spec:       sourcev1.HelmRepositorySpec{URL: server.URL, Interval: metav1.Duration{Duration: time.Hour}},
	}))
	s.Must(s.Kube.Create(t.Context(), &sourcev1.HelmChart{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "app", Labels: s.labels()},
		Spec: sourcev1.HelmChartSpec{
			Chart: "app", Interval: metav1.Duration{Duration: time.Hour},
			SourceRef: sourcev1.LocalHelmChartSourceReference{Kind: sourcev1.HelmRepositoryKind, Name: "charts"},
		},
	}))
	first := s.replica("first")
	before := charts.AwaitRevision("1.0.0")
	index := repositories.Await("has an index", func(r *sourcev1.HelmRepository) bool { return r.Status.Artifact != nil })
	_, wantChart := s.get(before.Status.Artifact.URL)
	_, wantIndex := s.get(index.Status.Artifact.URL)
	second := s.replica("second")
	second.awaitReady()
	server.Close()
	first.kill()
	second.awaitLead()
	for address, want := range map[string]string{
		before.Status.Artifact.URL: wantChart, before.Status.URL: wantChart,
		index.Status.Artifact.URL: wantIndex, index.Status.URL: wantIndex,
	} {
		s.Eventually(address+" is served", func() bool {
			code, body := s.get(address)
			return code == http.StatusOK && body == want
		})
	}
	after := charts.Request()
	if diff := cmp.Diff(before.Status.Artifact, after.Status.Artifact); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(index.Status.Artifact, repositories.Get().Status.Artifact); diff != "" {
		t.Error(diff)
	}
}

// TestWithoutCopies: the flag turns copies off, and a replica is ready at once.
func TestWithoutCopies(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	first := s.replica("first")
	first.awaitLead()
	s.create()
	before := s.AwaitRevision("main@sha1:" + hash)
	second := s.replica("second", "--mirror-artifacts=false")
	second.awaitReady()
	first.kill()
	second.awaitLead()
	s.Await("is fetched again", func(g *sourcev1.GitRepository) bool {
		a := g.Status.Artifact
		return a != nil && a.Digest == before.Status.Artifact.Digest && a.LastUpdateTime.After(before.Status.Artifact.LastUpdateTime.Time)
	})
}
