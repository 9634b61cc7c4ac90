// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHelmServer(t *testing.T) {
	t.Parallel()
	s, err := NewHelmServer(HelmMutualTLS(), HelmBasicAuth("ada", "s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	chart := HelmChart{Name: "app", Version: "1.2.3", Values: "size: 1\n", Subcharts: []HelmChart{{Name: "part"}}}.
		ConfigMap("settings", "{{ .Values.size }}").Hook("before", "pre-install", -1, "").
		Test("ping", "pause", "true").CRD("example.com", "Widget")
	if err := s.Add(chart); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(s.ClientCert, s.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{pair},
	}}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	get := func(path, password, etag string) (int, []byte, http.Header) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("ada", password)
		req.Header.Set("If-None-Match", etag)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body, resp.Header
	}

	if code, _, _ := get("/index.yaml", "wrong", ""); code != http.StatusUnauthorized {
		t.Errorf("a wrong password gave %d", code)
	}
	code, index, header := get("/index.yaml", "s3cret", "")
	if code != http.StatusOK || !strings.Contains(string(index), "charts/app-1.2.3.tgz") {
		t.Errorf("%d %s", code, index)
	}
	if code, _, _ := get("/index.yaml", "s3cret", header.Get("ETag")); code != http.StatusNotModified {
		t.Errorf("the same ETag gave %d", code)
	}
	_, archive, _ := get("/charts/app-1.2.3.tgz", "s3cret", "")
	want := []string{
		"app/Chart.yaml", "app/charts/part/Chart.yaml", "app/crds/widget.yaml", "app/templates/before.yaml",
		"app/templates/settings.yaml", "app/templates/tests/ping.yaml", "app/values.yaml",
	}
	if diff := cmp.Diff(want, paths(t, archive)); diff != "" {
		t.Error(diff)
	}

	s.Inject(func(*http.Request) HelmFault {
		return HelmFault{RegistryFault: RegistryFault{Truncate: true}, Padding: 1000}
	})
	if _, body, _ := get("/index.yaml", "s3cret", ""); len(body) != len(index)/2+1000 || !bytes.HasPrefix(index, body[:len(index)/2]) {
		t.Errorf("%d bytes of %d", len(body), len(index))
	}
	s.Inject(nil)
	s.Remove("app", "1.2.3")
	if _, body, _ := get("/index.yaml", "s3cret", ""); strings.Contains(string(body), "app") {
		t.Errorf("index %s", body)
	}
	if code, _, _ := get("/charts/app-1.2.3.tgz", "s3cret", ""); code != http.StatusNotFound {
		t.Errorf("the archive gave %d", code)
	}
	if got := s.Requests("GET /index.yaml"); got != 5 {
		t.Errorf("%d requests for the index", got)
	}
}

// paths lists the files of an archive.
func paths(t *testing.T, archive []byte) []string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for reader := tar.NewReader(zip); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

func TestPushChart(t *testing.T) {
	t.Parallel()
	r, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	digest, err := r.PushChart("charts", HelmChart{Name: "app", Version: "1.2.3+build"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+"/v2/charts/app/manifests/1.2.3_build", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Docker-Content-Digest"); got != digest || digest == "" {
		t.Errorf("digest %q, want %q", got, digest)
	}
}
