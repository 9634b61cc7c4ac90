// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// chartSource stands in for source-controller: every HelmChart gets the archive
// that a test has published under its namespace and the name of its chart.
type chartSource struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	// artifacts by namespace and chart.
	artifacts map[string]*fluxmeta.Artifact
}

func newChartSource(ctx context.Context) (*chartSource, error) {
	s := &chartSource{files: map[string][]byte{}, artifacts: map[string]*fluxmeta.Artifact{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		body, ok := s.files[r.URL.Path]
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	watched, err := kube.Watch(ctx, &sourcev1.HelmChartList{})
	for end := time.Now().Add(deadline); meta.IsNoMatchError(err) && time.Now().Before(end); { // the definitions are new
		watched, err = kube.Watch(ctx, &sourcev1.HelmChartList{})
	}
	if err != nil {
		return nil, err
	}
	go func() {
		for event := range watched.ResultChan() {
			if chart, ok := event.Object.(*sourcev1.HelmChart); ok && chart.DeletionTimestamp == nil {
				s.settle(ctx, chart)
			}
		}
	}()
	return s, nil
}

// store serves an archive and returns where.
func (s *chartSource) store(archive []byte, revision string) *fluxmeta.Artifact {
	sum := sha256.Sum256(archive)
	digest := hex.EncodeToString(sum[:])
	path := digest + ".tgz"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files["/"+path] = archive
	return &fluxmeta.Artifact{
		URL: s.URL + "/" + path, Path: path, Digest: "sha256:" + digest, Revision: revision, LastUpdateTime: metav1.Now(),
	}
}

// settle gives a HelmChart its artifact.
func (s *chartSource) settle(ctx context.Context, chart *sourcev1.HelmChart) {
	s.mu.Lock()
	artifact := s.artifacts[chart.Namespace+"/"+chart.Spec.Chart]
	s.mu.Unlock()
	if artifact == nil || chart.Status.Artifact.HasDigest(artifact.Digest) && chart.Status.ObservedGeneration == chart.Generation {
		return
	}
	before := chart.DeepCopy()
	chart.Status.Artifact, chart.Status.ObservedGeneration = artifact, chart.Generation
	conditions.MarkTrue(chart, fluxmeta.ReadyCondition, "ChartPullSucceeded", "pulled chart")
	_ = kube.Status().Patch(ctx, chart, client.MergeFrom(before))
}
