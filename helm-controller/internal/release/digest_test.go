// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package release_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

func load(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("read %s: %v", file, err)
	}
}

// stored returns the documents in a file of Secrets, by version.
func stored(t *testing.T, file string) map[int][]byte {
	t.Helper()
	var list struct {
		Items []struct {
			Data map[string][]byte `json:"data"`
		} `json:"items"`
	}
	load(t, file, &list)
	documents := map[int][]byte{}
	for _, item := range list.Items {
		packed, err := base64.StdEncoding.DecodeString(string(item.Data["release"]))
		if err != nil {
			t.Fatal(err)
		}
		reader, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		document, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		documents[decode(t, document).Version] = document
	}
	return documents
}

func decode(t *testing.T, document []byte) *release.Release {
	t.Helper()
	r, err := release.Decode(document)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSnapshotsOfFluxAreVerified(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"flux-installed", "flux-upgraded", "flux-uninstalled"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			var history helmv2.Snapshots
			load(t, state+"-history.json", &history)
			documents := stored(t, state+"-secrets.json")
			if len(history) == 0 || len(history) != len(documents) {
				t.Fatalf("got %d snapshots of %d records", len(history), len(documents))
			}
			for _, want := range history {
				r := decode(t, documents[want.Version])
				if err := release.Verify(want, r); err != nil {
					t.Errorf("v%d: %v", want.Version, err)
				}
				got := release.Snapshot(r, want.Action, want.OCIDigest)
				// A status holds seconds.
				trim(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("v%d: (-Flux +ours)\n%s", want.Version, diff)
				}
			}
		})
	}
}

func trim(s *helmv2.Snapshot) {
	for _, at := range []*time.Time{&s.FirstDeployed.Time, &s.LastDeployed.Time, &s.Deleted.Time} {
		*at = at.Truncate(time.Second)
	}
}

func TestAChangedReleaseIsNotVerified(t *testing.T) {
	t.Parallel()
	document := stored(t, "flux-upgraded-secrets.json")[2]
	snapshot := release.Snapshot(decode(t, document), helmv2.ReleaseActionUpgrade, "sha256:1")
	tests := map[string]struct {
		snapshot func(*helmv2.Snapshot)
		release  func(*release.Release)
		want     error
	}{
		"nothing":               {},
		"status":                {release: func(r *release.Release) { r.Status = release.Superseded }, want: release.ErrChanged},
		"description":           {release: func(r *release.Release) { r.Description = "Rollback to 1" }, want: release.ErrChanged},
		"manifest":              {release: func(r *release.Release) { r.Manifest += "\n" }, want: release.ErrChanged},
		"value":                 {release: func(r *release.Release) { r.Config["ratio"] = 0.5 }, want: release.ErrChanged},
		"later version":         {release: func(r *release.Release) { r.Version++ }, want: release.ErrChanged},
		"hook":                  {release: func(r *release.Release) { r.Hooks[2].Weight = 1 }, want: release.ErrChanged},
		"a test that ran":       {release: func(r *release.Release) { r.Hooks[0].LastRun.Phase = release.HookFailed }},
		"another artifact":      {snapshot: func(s *helmv2.Snapshot) { s.OCIDigest = "sha256:2" }, want: release.ErrChanged},
		"an older form":         {snapshot: func(s *helmv2.Snapshot) { s.APIVersion = "" }, release: func(r *release.Release) { r.Manifest = "" }},
		"another algorithm":     {snapshot: func(s *helmv2.Snapshot) { s.Digest = "blake3:00" }},
		"a digest that is none": {snapshot: func(s *helmv2.Snapshot) { s.Digest = "00" }, want: release.ErrChanged},
		"a wrong SHA-512":       {snapshot: func(s *helmv2.Snapshot) { s.Digest = "sha512:00" }, want: release.ErrChanged},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := decode(t, document), snapshot.DeepCopy()
			if test.release != nil {
				test.release(r)
			}
			if test.snapshot != nil {
				test.snapshot(s)
			}
			if got := release.Verify(s, r); !errors.Is(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestConfigDigestIsFluxs(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Name   string          `json:"name"`
		Values json.RawMessage `json:"values"`
		Digest string          `json:"digest"`
	}
	load(t, "config.json", &cases)
	for _, test := range cases {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			var values map[string]any
			if test.Name == "typed" {
				values = map[string]any{"int": 5, "int64": int64(1) << 60, "float": 2.0, "nil": nil}
			} else if err := json.Unmarshal(test.Values, &values); err != nil {
				t.Fatal(err)
			}
			if got := release.ConfigDigest(values); got != test.Digest {
				t.Errorf("got %s, want %s", got, test.Digest)
			}
		})
	}
}

func TestDigestsOfRenderingAreFluxs(t *testing.T) {
	t.Parallel()
	var cases []struct {
		PostRenderers  []helmv2.PostRenderer `json:"postRenderers"`
		Digest         string                `json:"digest"`
		CommonMetadata *meta.CommonMetadata  `json:"commonMetadata"`
		CommonDigest   string                `json:"commonDigest"`
	}
	load(t, "rendering.json", &cases)
	for i, test := range cases {
		if got := release.PostRenderersDigest(test.PostRenderers); got != test.Digest {
			t.Errorf("%d: post-renderers: got %s, want %s", i, got, test.Digest)
		}
		if got := release.CommonMetadataDigest(test.CommonMetadata); got != test.CommonDigest {
			t.Errorf("%d: common metadata: got %s, want %s", i, got, test.CommonDigest)
		}
	}
	if got := release.PostRenderersDigest(nil) + release.CommonMetadataDigest(nil); got != "" {
		t.Errorf("without any: got %q, want nothing", got)
	}
}
