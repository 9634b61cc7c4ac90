// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestLayers(t *testing.T) {
	t.Parallel()
	server := serve(t)
	c, repo := newClient(t), repository(t, server.Host+"/m")
	annotations := map[string]string{"title": "a"}
	desc, err := server.PushArtifact("m", "v1", testkit.RegistryArtifact{
		ConfigType: "application/config", Config: `{"a":1}`, Layers: []string{"one", "twice"}, LayerType: "application/layer",
		LayerAnnotations: annotations,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Inspect(t.Context(), repo, Access{Insecure: true}, desc.Digest)
	if err != nil {
		t.Fatal(err)
	}
	wantConfig := Layer{MediaType: "application/config", Digest: digestOf([]byte(`{"a":1}`)), Size: 7}
	if diff := cmp.Diff(wantConfig, got.Config); diff != "" {
		t.Error(diff)
	}
	wantLayers := []Layer{
		{MediaType: "application/layer", Digest: digestOf([]byte("one")), Size: 3, Annotations: annotations},
		{MediaType: "application/layer", Digest: digestOf([]byte("twice")), Size: 5, Annotations: annotations},
	}
	if diff := cmp.Diff(wantLayers, got.Layers); diff != "" {
		t.Error(diff)
	}
	index, err := server.PushIndexOf("m", "index", nil, desc)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = c.Inspect(t.Context(), repo, Access{Insecure: true}, index); err != nil || got.Layers != nil || got.Config.Digest != "" {
		t.Errorf("index: %+v, %v", got, err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("weights ", 100_000)
	size := int64(len(content))
	tests := map[string]struct {
		fault  testkit.RegistryFault
		digest string
		limit  int64
		err    error
		text   string
	}{
		"whole":        {limit: size},
		"too large":    {limit: size - 1, err: ErrTooLarge, text: "more than 799999 bytes"},
		"other bytes":  {fault: testkit.RegistryFault{Tamper: true}, limit: size, err: ErrMalformed, text: "sent a blob with another digest"},
		"no length":    {fault: testkit.RegistryFault{Tamper: true}, limit: 1000, err: ErrTooLarge, text: "more than 1000 bytes"},
		"cut":          {fault: testkit.RegistryFault{Truncate: true}, limit: size, err: ErrMalformed, text: "sent a blob with another digest"},
		"unavailable":  {fault: testkit.RegistryFault{Code: http.StatusBadGateway}, limit: size, err: ErrUnavailable, text: "502 Bad Gateway"},
		"absent":       {digest: digestOf([]byte("absent")), limit: size, err: ErrNotFound, text: "read the blob " + digestOf([]byte("absent"))},
		"not a digest": {digest: "sha512:00", limit: size, err: ErrMalformed, text: "only digests of the kind sha256 are read"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t)
			blob, err := server.PushBlob("m", "application/layer", []byte(content))
			if err != nil {
				t.Fatal(err)
			}
			server.Inject(func(req *http.Request) testkit.RegistryFault {
				if strings.Contains(req.URL.Path, "/blobs/") {
					return tc.fault
				}
				return testkit.RegistryFault{}
			})
			if tc.digest == "" {
				tc.digest = blob.Digest
			}
			var got []byte
			reader, err := newClient(t).Open(t.Context(), repository(t, server.Host+"/m"), Access{Insecure: true}, tc.digest, tc.limit)
			if err == nil {
				defer reader.Close()
				got, err = io.ReadAll(reader)
			}
			if !errors.Is(err, tc.err) || err != nil && !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("error %v, want %v with %q", err, tc.err, tc.text)
			}
			if err == nil && string(got) != content {
				t.Error("other bytes than were pushed")
			}
		})
	}
}

func TestDigestWithoutHead(t *testing.T) {
	t.Parallel()
	server := serve(t)
	want, err := server.Push("m", "v1", testkit.RegistryImage{})
	if err != nil {
		t.Fatal(err)
	}
	server.Inject(func(req *http.Request) testkit.RegistryFault {
		if req.Method == http.MethodHead {
			return testkit.RegistryFault{Code: http.StatusMethodNotAllowed}
		}
		return testkit.RegistryFault{}
	})
	got, err := newClient(t).Digest(t.Context(), repository(t, server.Host+"/m"), Access{Insecure: true}, "v1")
	if err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
