// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	server := serve(t)
	repo := repository(t, server.Host+"/m")
	annotations := map[string]string{"ml.eval.accuracy": "0.93"}
	labels := map[string]string{"team": "ml"}
	tests := map[string]struct {
		push func() (string, error)
		want Manifest
	}{
		"OCI image": {
			func() (string, error) {
				return server.Push("m", "oci", testkit.RegistryImage{Annotations: annotations, Labels: labels})
			},
			Manifest{MediaType: MediaTypeImage, Annotations: annotations, Platforms: []Platform{{Name: "linux/amd64", Labels: labels}}},
		},
		"Docker image": {
			func() (string, error) {
				return server.Push("m", "docker", testkit.RegistryImage{Labels: labels, Docker: true, Platform: "linux/arm64/v8"})
			},
			Manifest{MediaType: MediaTypeDockerImage, Platforms: []Platform{{Name: "linux/arm64/v8", Labels: labels}}},
		},
		"index with an attestation": {
			func() (string, error) {
				return server.PushIndex("m", "index", annotations,
					testkit.RegistryImage{Labels: labels}, testkit.RegistryImage{Platform: "linux/arm64"},
					testkit.RegistryImage{Platform: "unknown/unknown"})
			},
			Manifest{MediaType: MediaTypeIndex, Annotations: annotations, Platforms: []Platform{
				{Name: "linux/amd64", Labels: labels}, {Name: "linux/arm64"},
			}},
		},
		"ModelPack": {
			func() (string, error) {
				desc, err := server.PushArtifact("m", "modelpack", testkit.RegistryArtifact{
					ArtifactType: testkit.RegistryModelPack, ConfigType: "application/vnd.cncf.model.config.v1+json",
					Config: `{"descriptor":{"name":"m"}}`, Layers: []string{"weights"}, LayerType: "application/vnd.cncf.model.weight.v1.raw",
					Annotations: annotations,
				})
				return desc.Digest, err
			},
			Manifest{MediaType: MediaTypeImage, ArtifactType: testkit.RegistryModelPack, Annotations: annotations, Platforms: []Platform{{}}},
		},
		"ModelKit": {
			func() (string, error) {
				desc, err := server.PushArtifact("m", "modelkit", testkit.RegistryArtifact{
					ConfigType: testkit.RegistryModelKit, Layers: []string{"x"}, LayerType: "application/vnd.kitops.modelkit.model.v1.tar",
				})
				return desc.Digest, err
			},
			Manifest{MediaType: MediaTypeImage, ArtifactType: testkit.RegistryModelKit, Platforms: []Platform{{}}},
		},
		"plain ORAS": {
			func() (string, error) {
				desc, err := server.PushArtifact("m", "oras", testkit.RegistryArtifact{ArtifactType: "application/vnd.acme.model"})
				return desc.Digest, err
			},
			Manifest{MediaType: MediaTypeImage, ArtifactType: "application/vnd.acme.model", Platforms: []Platform{{}}},
		},
	}
	c := newClient(t)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			digest, err := tc.push()
			if err != nil {
				t.Fatal(err)
			}
			inspect(t, server, c, repo, digest, tc.want)
		})
	}
}

// inspect compares what is at digest, whose own digests are not known before.
func inspect(t *testing.T, server *testkit.Registry, c *Client, repo Repository, digest string, want Manifest) {
	t.Helper()
	access := Access{Insecure: true}
	got, err := c.Inspect(t.Context(), repo, access, digest)
	if err != nil {
		t.Fatal(err)
	}
	want.Digest, want.Config, want.Layers = digest, got.Config, got.Layers // TestLayers has an eye on them.
	for i, platform := range got.Platforms {
		if !ValidDigest(platform.Digest) {
			t.Errorf("platform without a digest: %v", platform)
		}
		want.Platforms[i].Digest = platform.Digest
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
	before := server.Requests("")
	if again, err := c.Inspect(t.Context(), repo, access, digest); err != nil || again != got {
		t.Errorf("second time: %v, %v, want the same from memory", again, err)
	}
	if server.Requests("") != before {
		t.Error("the second time asked the registry")
	}
}

func TestCacheIsOfOneCredential(t *testing.T) {
	t.Parallel()
	server := serve(t, testkit.RegistryBasicAuth("u", "p"))
	digest, err := server.Push("m", "v1", testkit.RegistryImage{})
	if err != nil {
		t.Fatal(err)
	}
	c, repo := newClient(t), repository(t, server.Host+"/m")
	if _, err := c.Inspect(t.Context(), repo, Access{Insecure: true, Username: "u", Password: "p"}, digest); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inspect(t.Context(), repo, Access{Insecure: true}, digest); !errors.Is(err, ErrAuthentication) {
		t.Errorf("without credentials: %v, want ErrAuthentication", err)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	server := serve(t)
	first, err := server.Push("m", "v1", testkit.RegistryImage{Content: "1"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := server.Push("m", "v2", testkit.RegistryImage{Content: "2"})
	if err != nil {
		t.Fatal(err)
	}
	c, repo, access := newClient(t), repository(t, server.Host+"/m"), Access{Insecure: true}
	if got, err := c.Digest(t.Context(), repo, access, "v1"); err != nil || got != first {
		t.Errorf("%s, %v, want %s", got, err, first)
	}
	if err := server.Move("m", "v1", second); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Digest(t.Context(), repo, access, "v1"); err != nil || got != second {
		t.Errorf("after the tag moved: %s, %v, want %s", got, err, second)
	}
	if _, err := c.Digest(t.Context(), repo, access, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such tag: %v, want ErrNotFound", err)
	}
	// Deleted between the list and the read.
	if err := server.Delete("m", second); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inspect(t.Context(), repo, access, second); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v, want ErrNotFound", err)
	}
}

func TestTamperedAnswers(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/manifests/", "/blobs/"} {
		for name, fault := range map[string]testkit.RegistryFault{
			"tampered": {Tamper: true}, "truncated": {Truncate: true}, "a page": {Garbage: true},
		} {
			server := serve(t)
			digest, err := server.Push("m", "v1", testkit.RegistryImage{Labels: map[string]string{"a": "b"}})
			if err != nil {
				t.Fatal(err)
			}
			server.Inject(func(r *http.Request) testkit.RegistryFault {
				if strings.Contains(r.URL.Path, part) {
					return fault
				}
				return testkit.RegistryFault{}
			})
			c, repo, access := newClient(t), repository(t, server.Host+"/m"), Access{Insecure: true}
			if m, err := c.Inspect(t.Context(), repo, access, digest); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s of %s: %v, %v, want ErrMalformed", name, part, m, err)
			}
			server.Inject(nil)
			if _, err := c.Inspect(t.Context(), repo, access, digest); err != nil {
				t.Errorf("%s of %s: was kept: %v", name, part, err)
			}
		}
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	t.Parallel()
	server := serve(t)
	config, err := server.PushBlob("m", "application/vnd.oci.image.config.v1+json", []byte(`{"config":{"Labels":{"a":1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := map[string]struct {
		mediaType, body string
		class           error
		text            string
	}{
		"schema 1":          {"application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`, ErrUnsupported, "schema 1 of Docker"},
		"schema 1 untyped":  {"text/plain", `{"schemaVersion":1}`, ErrUnsupported, "schema 1 of Docker"},
		"image and index":   {MediaTypeImage, `{"schemaVersion":2,"config":{},"manifests":[]}`, ErrMalformed, "both an image and an index"},
		"another type":      {MediaTypeImage, `{"schemaVersion":2, "mediaType":"` + MediaTypeIndex + `","manifests":[]}`, ErrMalformed, "is served as another"},
		"index with config": {"text/plain", `{"schemaVersion":2,"mediaType":"` + MediaTypeIndex + `","config":{}}`, ErrMalformed, "has layers or a config"},
		"no config":         {MediaTypeImage, `{"schemaVersion":2}`, ErrMalformed, "no config"},
		"odd type":          {"text/plain", `{"schemaVersion":2,"mediaType":"application/x"}`, ErrUnsupported, "neither an image, an index nor an artifact"},
		"empty index":       {"text/plain", `{"schemaVersion":2,"mediaType":"` + MediaTypeIndex + `","manifests":[]}`, ErrMalformed, "holds no image"},
		"annotations":       {MediaTypeImage, `{"schemaVersion":2,"annotations":{"a":1},"config":{}}`, ErrMalformed, "not valid JSON of its kind"},
		"labels":            {MediaTypeImage, `{"schemaVersion":2,"config":` + encode(config) + `}`, ErrMalformed, "not valid JSON of its kind"},
		"large config": {
			MediaTypeImage, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + someDigest + `","size":99999999}}`,
			ErrTooLarge, "more than 8388608 bytes",
		},
		"large": {MediaTypeImage, `{"schemaVersion":2,"config":{},"x":"` + strings.Repeat("x", maxManifest) + `"}`, ErrTooLarge, "more than 4194304 bytes"},
	}
	c, repo, access := newClient(t), repository(t, server.Host+"/m"), Access{Insecure: true}
	for name, tc := range tests {
		desc, err := server.PushManifest("m", "", tc.mediaType, []byte(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Inspect(t.Context(), repo, access, desc.Digest)
		if !errors.Is(err, tc.class) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v, %v, want %q", name, m, err, tc.text)
		}
	}
}

func TestNestedIndexes(t *testing.T) {
	t.Parallel()
	server := serve(t)
	c, repo, access := newClient(t), repository(t, server.Host+"/m"), Access{Insecure: true}
	image, err := server.Push("m", "v1", testkit.RegistryImage{Platform: "linux/riscv64"})
	if err != nil {
		t.Fatal(err)
	}
	desc := testkit.RegistryDescriptor{MediaType: MediaTypeImage, Digest: image}
	for depth := 1; depth <= maxDepth+1; depth++ {
		digest, err := server.PushIndexOf("m", fmt.Sprint("deep", depth), nil, desc)
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Inspect(t.Context(), repo, access, digest)
		if depth > maxDepth {
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d deep: %v, want ErrTooLarge", depth, err)
			}
			break
		}
		if err != nil || len(m.Platforms) != 1 || m.Platforms[0].Name != "linux/riscv64" || m.Platforms[0].Digest != image {
			t.Errorf("%d deep: %v, %v", depth, m, err)
		}
		desc = testkit.RegistryDescriptor{MediaType: MediaTypeIndex, Digest: digest}
	}
	wide := slices.Repeat([]testkit.RegistryDescriptor{{MediaType: MediaTypeImage, Digest: image}}, maxPlatforms+1)
	digest, err := server.PushIndexOf("m", "wide", nil, wide...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inspect(t.Context(), repo, access, digest); !errors.Is(err, ErrTooLarge) {
		t.Errorf("wide: %v, want ErrTooLarge", err)
	}
}

func TestReferrers(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]testkit.RegistryOption{"API": nil, "tag": {testkit.RegistryNoReferrers()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, options...)
			c, repo, access := newClient(t), repository(t, server.Host+"/m"), Access{Insecure: true}
			digest, err := server.Push("m", "v1", testkit.RegistryImage{})
			if err != nil {
				t.Fatal(err)
			}
			if found, err := c.Referrers(t.Context(), repo, access, digest); err != nil || len(found) != 0 {
				t.Errorf("%v, %v, want none", found, err)
			}
			if err := server.SignBundle("m", digest, testkit.RegistrySignature{Key: newKey(t)}); err != nil {
				t.Fatal(err)
			}
			found, err := c.Referrers(t.Context(), repo, access, digest)
			if err != nil || len(found) != 1 || !ValidDigest(found[0].Digest) {
				t.Errorf("%v, %v, want one", found, err)
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(8000)
	for i := range 100 {
		c.put(fmt.Sprint(i), i, 500)
	}
	if c.size > 8000 || len(c.items) != c.order.Len() || len(c.items) < 5 {
		t.Errorf("%d bytes in %d items", c.size, len(c.items))
	}
	if _, found := c.get("0"); found {
		t.Error("the oldest one is still there")
	}
	if value, found := c.get("99"); !found || value != 99 {
		t.Errorf("the newest one: %v, %v", value, found)
	}
	c.put("large", 0, 1001)
	if _, found := c.get("large"); found {
		t.Error("a value takes more than an eighth")
	}
}

// What is held of each candidate is bounded, whatever one platform may have.
func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	server := serve(t)
	c, repo, access := newClient(t), repository(t, server.Host+"/m"), Access{Insecure: true}
	large := map[string]string{"large": strings.Repeat("x", maxFacts/3)}
	for platforms, want := range map[int]error{1: nil, 3: ErrTooLarge} {
		digest, err := server.PushIndex("m", fmt.Sprint("v", platforms), nil, slices.Repeat([]testkit.RegistryImage{{Labels: large}}, platforms)...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Inspect(t.Context(), repo, access, digest); !errors.Is(err, want) {
			t.Errorf("%d platforms: %v, want %v", platforms, err, want)
		}
	}
	digest, err := server.Push("m", "annotated", testkit.RegistryImage{Annotations: map[string]string{"large": strings.Repeat("x", maxFacts)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inspect(t.Context(), repo, access, digest); !errors.Is(err, ErrTooLarge) {
		t.Errorf("annotations: %v", err)
	}
}
