// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"
)

// distribution runs the registry that most others are made of, Debian's package
// docker-registry, with a user and a password, and returns its host.
func distribution(t *testing.T, user, password string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "weir", "docker-registry", "usr", "bin", "docker-registry")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: make deps-test brings it", err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, content := range map[string]string{
		"htpasswd": user + ":" + string(hash) + "\n",
		"config.yml": fmt.Sprintf(`version: 0.1
storage: {filesystem: {rootdirectory: %[1]s/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0"}
auth: {htpasswd: {realm: test, path: %[1]s/htpasswd}}
`, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "serve", filepath.Join(dir, "config.yml"))
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	listening := make(chan string, 1)
	go func() {
		pattern := regexp.MustCompile(`listening on (127\.0\.0\.1:[0-9]+)`)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if found := pattern.FindStringSubmatch(lines.Text()); found != nil {
				listening <- found[1]
			}
		}
	}()
	select {
	case host := <-listening:
		return host
	case <-time.After(30 * time.Second):
		t.Fatal("the registry does not listen")
		return ""
	}
}

// labelled returns an image with annotations and labels of its own.
func labelled(t *testing.T, texts map[string]string) v1.Image {
	t.Helper()
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Labels = texts
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		t.Fatal(err)
	}
	annotated, ok := mutate.Annotations(image, texts).(v1.Image)
	if !ok {
		t.Fatal("annotations made something else of an image")
	}
	return annotated
}

func TestDistribution(t *testing.T) {
	t.Parallel()
	host := distribution(t, "u", "p")
	credentials := remote.WithAuth(&authn.Basic{Username: "u", Password: "p"})
	target, err := name.NewRepository(host+"/team/model", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"ml.eval.accuracy": "0.93"}
	image := labelled(t, texts)
	for i := range 20 {
		if err := remote.Write(target.Tag(fmt.Sprint("v", i)), image, credentials, remote.WithContext(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}},
	})
	if err := remote.WriteIndex(target.Tag("index"), index, credentials, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}

	c, repo := newClient(t), repository(t, host+"/team/model")
	access := Access{Username: "u", Password: "p", Insecure: true}
	tags, _, _, err := c.Tags(t.Context(), repo, access, nil)
	if err != nil || count(tags) != 21 {
		t.Fatalf("%d tags, %v, want 21", len(tags), err)
	}
	for tag, platform := range map[string]string{"v7": "linux/amd64", "index": "linux/arm64"} {
		digest, err := c.Digest(t.Context(), repo, access, tag)
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Inspect(t.Context(), repo, access, digest)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Platforms) != 1 || m.Platforms[0].Name != platform || !maps.Equal(m.Platforms[0].Labels, texts) {
			t.Errorf("%s: %+v, want labels of %s", tag, m, platform)
		}
		if tag == "v7" && !maps.Equal(m.Annotations, texts) {
			t.Errorf("%s: annotations %v, want %v", tag, m.Annotations, texts)
		}
		if found, err := c.Referrers(t.Context(), repo, access, digest); err != nil || len(found) != 0 {
			t.Errorf("%s: referrers %v, %v, want none", tag, found, err)
		}
	}
	distributionRefuses(t, host, target, image)
}

// distributionRefuses tries what has to fail.
func distributionRefuses(t *testing.T, host string, target name.Repository, image v1.Image) {
	t.Helper()
	access := Access{Username: "u", Password: "p", Insecure: true}
	c, repo := newClient(t), repository(t, host+"/team/model")
	for _, wrong := range []Access{{Insecure: true}, {Insecure: true, Username: "u", Password: "x"}} {
		if _, _, _, err := c.Tags(t.Context(), repo, wrong, nil); !errors.Is(err, ErrAuthentication) {
			t.Errorf("wrong credentials: %v, want ErrAuthentication", err)
		}
	}
	if _, _, _, err := c.Tags(t.Context(), repository(t, host+"/none"), access, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such repository: %v, want ErrNotFound", err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	credentials := remote.WithAuth(&authn.Basic{Username: "u", Password: "p"})
	if err := remote.Delete(target.Digest(digest.String()), credentials, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inspect(t.Context(), repo, access, digest.String()); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v, want ErrNotFound", err)
	}
	if _, err := c.Digest(t.Context(), repo, access, "v7"); !errors.Is(err, ErrNotFound) {
		t.Errorf("tag of what was deleted: %v, want ErrNotFound", err)
	}
}
