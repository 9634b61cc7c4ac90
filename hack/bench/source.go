// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// store serves artifacts in the place of source-controller.
type store struct {
	server *httptest.Server

	mu     sync.Mutex
	bodies map[string][]byte
}

func newStore() *store {
	s := &store{bodies: map[string][]byte{}}
	s.server = httptest.NewServer(s)
	return s
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	body, ok := s.bodies[r.URL.Path]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(body)
}

// publish makes a source whose artifact has one file.
func (s *store) publish(ctx context.Context, c client.Client, name, file, content string) error {
	body, err := pack(file, content)
	if err != nil {
		return fmt.Errorf("pack the artifact of %s: %w", name, err)
	}
	source := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       sourcev1.GitRepositorySpec{URL: "https://git.example/" + name, Interval: metav1.Duration{Duration: time.Hour}},
	}
	if err := c.Create(ctx, source); err != nil {
		return fmt.Errorf("create source %s: %w", name, err)
	}
	source.Status.Artifact = s.serve("/"+name+".tar.gz", body, func(digest string) string { return "main@sha1:" + digest[:40] })
	if err := c.Status().Update(ctx, source); err != nil {
		return fmt.Errorf("publish the artifact of %s: %w", name, err)
	}
	return nil
}

// publishChart makes a HelmChart whose artifact is a chart.
func (s *store) publishChart(ctx context.Context, c client.Client, chart testkit.HelmChart) error {
	body, err := chart.Archive()
	if err != nil {
		return fmt.Errorf("pack chart %s: %w", chart.Name, err)
	}
	source := &sourcev1.HelmChart{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: chart.Name},
		Spec: sourcev1.HelmChartSpec{
			Chart: chart.Name, Version: chart.Version, Interval: metav1.Duration{Duration: time.Hour},
			SourceRef: sourcev1.LocalHelmChartSourceReference{Kind: sourcev1.HelmRepositoryKind, Name: "charts"},
		},
	}
	if err := c.Create(ctx, source); err != nil {
		return fmt.Errorf("create chart %s: %w", chart.Name, err)
	}
	source.Status.ObservedGeneration = source.Generation
	source.Status.Artifact = s.serve("/"+chart.FileName(), body, func(string) string { return chart.Version })
	source.Status.Conditions = []metav1.Condition{{
		Type: fluxmeta.ReadyCondition, Status: metav1.ConditionTrue, Reason: sourcev1.ChartPullSucceededReason,
		LastTransitionTime: metav1.Now(), ObservedGeneration: source.Generation,
	}}
	if err := c.Status().Update(ctx, source); err != nil {
		return fmt.Errorf("publish chart %s: %w", chart.Name, err)
	}
	return nil
}

// serve offers body at path.
func (s *store) serve(path string, body []byte, revision func(digest string) string) *fluxmeta.Artifact {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[path] = body
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	return &fluxmeta.Artifact{
		URL: s.server.URL + path, Path: path[1:], Revision: revision(digest), Digest: "sha256:" + digest, LastUpdateTime: metav1.Now(),
	}
}

// pack makes a tar.gz of one file.
func pack(name, content string) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = archive.Write([]byte(content))
	}
	err = errors.Join(err, archive.Close(), zip.Close())
	return buf.Bytes(), err
}
