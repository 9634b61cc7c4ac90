// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDockerfiles compares what the Dockerfiles say with what this package does.
// They are not run: that takes an engine.
func TestDockerfiles(t *testing.T) {
	names, err := Controllers(root)
	if err != nil {
		t.Fatal(err)
	}
	toolchain, err := compiler{root: root}.toolchain()
	if err != nil {
		t.Fatal(err)
	}
	flags := strings.Replace(strings.Join(buildFlags, " "), "-ldflags=-s -w -buildid=", `-ldflags="-s -w -buildid="`, 1)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join(root, name, "Dockerfile"))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				"FROM --platform=$BUILDPLATFORM golang:" + strings.TrimPrefix(toolchain, "go") + " AS build\n",
				"CGO_ENABLED=0 go run ./hack/images --system /image\n",
				"CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH \\\n    go build " + flags + " -o /image/" + bin + "/ ./" + name + "\n",
				"\nFROM scratch\nCOPY --from=build /image/ /\n",
				"\nENV PATH=/" + bin + "\n", "\nUSER " + user + "\n", "\nENTRYPOINT [\"/" + bin + "/" + name + "\"]\n",
				"org.opencontainers.image.title=" + name + " ", "org.opencontainers.image.version=" + Version + " ",
				"org.opencontainers.image.source=" + Source + " ", "org.opencontainers.image.licenses=Apache-2.0\n",
			} {
				if !bytes.Contains(content, []byte(want)) {
					t.Errorf("the Dockerfile lacks %q", want)
				}
			}
		})
	}
}

// TestControllers sees to it that every Deployment has its image.
func TestControllers(t *testing.T) {
	names, err := Controllers(root)
	if err != nil {
		t.Fatal(err)
	}
	deployments, err := filepath.Glob(filepath.Join(root, "*", "config", "manager", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployed []string
	for _, file := range deployments {
		name := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(file))))
		deployed = append(deployed, name)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if image := "image: ghcr.io/weir-gitops/" + name + ":" + Version + "\n"; !bytes.Contains(content, []byte(image)) {
			t.Errorf("%s does not name %s", file, image)
		}
	}
	if diff := cmp.Diff(deployed, names); diff != "" {
		t.Error(diff)
	}
}

func TestWriteSystem(t *testing.T) {
	dir := t.TempDir()
	if err := WriteSystem(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range systemFiles() {
		info, err := os.Stat(filepath.Join(dir, f.name))
		if err != nil {
			t.Error(err)
			continue
		}
		want := os.FileMode(f.mode&0o777) | sticky(f.mode)
		if got := info.Mode() &^ os.ModeDir; got != want || info.IsDir() != (f.content == nil) {
			t.Errorf("%s has the mode %s, want %s", f.name, info.Mode(), want)
		}
	}
}
