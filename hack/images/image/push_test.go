// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestPush(t *testing.T) {
	img := buildTestbed(t, Options{Version: "1.0.0"})
	for title, options := range map[string][]testkit.RegistryOption{
		"registry with referrers":    nil,
		"registry without referrers": {testkit.RegistryNoReferrers()},
	} {
		t.Run(title, func(t *testing.T) {
			registry, err := testkit.NewRegistry(options...)
			if err != nil {
				t.Fatal(err)
			}
			defer registry.Close()
			prefix := registry.Host + "/weir-gitops"
			if err := (Registry{Prefix: prefix, Insecure: true}).Push(t.Context(), img); err != nil {
				t.Fatal(err)
			}
			pulled, err := remote.Image(refer(t, prefix+"/testbed:1.0.0"), remote.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(pulled); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(digest(t, img), digest(t, pulled)); diff != "" {
				t.Error(diff)
			}
			checkReferrer(t, prefix+"/testbed", img)
		})
	}
}

// checkReferrer finds the SBOM of an image in a registry.
func checkReferrer(t *testing.T, repository string, img *Image) {
	t.Helper()
	subject := digest(t, img)
	index, err := remote.Referrers(refer(t, repository+"@"+subject.String()).(name.Digest), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Manifests) != 1 {
		t.Fatalf("%d referrers, want the SBOM", len(list.Manifests))
	}
	sbom, err := remote.Image(refer(t, repository+"@"+list.Manifests[0].Digest.String()), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := sbom.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Subject == nil || manifest.Subject.Digest != subject || manifest.ArtifactType != "application/spdx+json" {
		t.Errorf("the manifest of the SBOM is %+v", manifest)
	}
	blob, err := sbom.LayerByDigest(manifest.Layers[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := blob.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if content, err := io.ReadAll(stream); err != nil || !bytes.Equal(content, img.SBOM) {
		t.Errorf("the SBOM in the registry is another: %v", err)
	}
}

func TestPushRefuses(t *testing.T) {
	img := buildTestbed(t, Options{})
	registry, err := testkit.NewRegistry(testkit.RegistryBasicAuth("somebody", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for name, test := range map[string]struct{ prefix, want string }{
		"no credentials": {registry.Host + "/weir", "push testbed to " + registry.Host + "/weir/testbed"},
		"no name":        {"Not A Name", "say where to as in ghcr.io/weir-gitops"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Registry{Prefix: test.prefix}.Push(t.Context(), img)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestPlatforms(t *testing.T) {
	images := []*Image{
		buildTestbed(t, Options{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}}),
		buildTestbed(t, Options{Platform: v1.Platform{OS: "linux", Architecture: "arm64"}}),
	}
	dir := t.TempDir()
	for range 2 { // the second time in place of the first
		if err := Write(dir, images...); err != nil {
			t.Fatal(err)
		}
	}
	written, err := layout.ImageIndexFromPath(filepath.Join(dir, "testbed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(Indexes(images...)[0].Content); err != nil {
		t.Error(err)
	}
	manifest, err := written.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 5 {
		t.Errorf("the layout lists %d manifests, want two images, their SBOMs and an index", len(manifest.Manifests))
	}
	registry, err := testkit.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	if err := (Registry{Prefix: registry.Host + "/weir"}).Push(t.Context(), images...); err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		pulled, err := remote.Image(refer(t, registry.Host+"/weir/testbed:"+Version), remote.WithPlatform(img.Platform), remote.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(digest(t, img), digest(t, pulled)); diff != "" {
			t.Errorf("for %s: %s", img.Platform, diff)
		}
		checkReferrer(t, registry.Host+"/weir/testbed", img)
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "testbed", "precious")
	if err := os.MkdirAll(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, buildTestbed(t, Options{})); err == nil || !strings.Contains(err.Error(), "has other files") {
		t.Errorf("got %v, want a complaint of other files", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

func TestTestbed(t *testing.T) {
	base := buildTestbed(t, Options{})
	one, err := base.With("VERSION", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	two, err := one.With("VERSION", "2.0.0")
	if err != nil {
		t.Fatal(err)
	}
	config, err := two.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"PATH=/usr/local/bin", "VERSION=2.0.0"}, config.Config.Env); diff != "" {
		t.Error(diff)
	}
	if digest(t, one) == digest(t, two) {
		t.Error("two versions are one image")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, extract(t, two))
	cmd.Env = slices.Concat(config.Config.Env, []string{"ADDRESS=127.0.0.1:0"})
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(line[strings.LastIndex(line, " ")+1:])
	for path, want := range map[string]string{"/": "2.0.0\n", "/healthz": "ok\n"} {
		if got := get(t, "http://"+address+path); got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to end: %v", err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func buildTestbed(t *testing.T, o Options) *Image {
	t.Helper()
	img, err := Testbed(t.Context(), absolute(t, root), o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func refer(t *testing.T, text string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}
