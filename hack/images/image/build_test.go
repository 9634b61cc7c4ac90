// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// root is that of the checkout, and controller the one that is built here: it
// has the fewest dependencies.
const (
	root       = "../../.."
	controller = "gpu-quota-controller"
)

func TestBuild(t *testing.T) {
	images, err := Build(t.Context(), absolute(t, root), Options{}, controller)
	if err != nil {
		t.Fatal(err)
	}
	img := images[0]
	t.Run("is valid", func(t *testing.T) {
		if err := validate.Image(img); err != nil {
			t.Error(err)
		}
	})
	t.Run("is configured", func(t *testing.T) { checkConfig(t, img) })
	t.Run("has these files", func(t *testing.T) { checkFiles(t, img) })
	t.Run("runs", func(t *testing.T) { checkProgram(t, img) })
	t.Run("has an SBOM", func(t *testing.T) { checkSBOM(t, img) })
	t.Run("is what its Dockerfile builds", func(t *testing.T) { checkDockerfile(t, img) })
	t.Run("is the same elsewhere", func(t *testing.T) { checkSame(t, img) })
}

func checkConfig(t *testing.T, img *Image) {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		User: "65534:65534", Env: []string{"PATH=/usr/local/bin"}, Entrypoint: []string{"/usr/local/bin/" + controller},
		Labels: map[string]string{
			"org.opencontainers.image.title": controller, "org.opencontainers.image.version": "v0.1.0",
			"org.opencontainers.image.source": "https://github.com/weir-gitops/weir", "org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Error(diff)
	}
	if !config.Created.Equal(time.Unix(0, 0)) || config.OS != "linux" || config.Architecture != img.Platform.Architecture {
		t.Errorf("created %s for %s/%s", config.Created, config.OS, config.Architecture)
	}
}

// An entry is what an archive says of a file.
type entry struct {
	Mode   int64
	Kind   byte
	Owners [2]int
	Time   int64
}

func checkFiles(t *testing.T, img *Image) {
	t.Helper()
	dir := entry{Mode: 0o755, Kind: tar.TypeDir}
	text := entry{Mode: 0o644, Kind: tar.TypeReg}
	want := map[string]entry{
		"etc/": dir, "etc/group": text, "etc/passwd": text, "etc/ssl/": dir, "etc/ssl/certs/": dir,
		"etc/ssl/certs/ca-certificates.crt": text, "tmp/": {Mode: 0o1777, Kind: tar.TypeDir},
		"usr/": dir, "usr/local/": dir, "usr/local/bin/": dir, "usr/local/bin/" + controller: {Mode: 0o755, Kind: tar.TypeReg},
	}
	got := map[string]entry{}
	each(t, img, func(header *tar.Header, _ io.Reader) {
		got[header.Name] = entry{header.Mode, header.Typeflag, [2]int{header.Uid, header.Gid}, header.ModTime.Unix()}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	pool := x509.NewCertPool()
	if certificates := content(t, img, "etc/ssl/certs/ca-certificates.crt"); !pool.AppendCertsFromPEM(certificates) ||
		bytes.Count(certificates, []byte("BEGIN CERTIFICATE")) < 100 {
		t.Error("there are no certificates of public authorities, or very few")
	}
}

func checkProgram(t *testing.T, img *Image) {
	t.Helper()
	program := extract(t, img)
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, header := range file.Progs {
		if header.Type == elf.PT_INTERP {
			t.Error("the program needs a dynamic linker, which the image lacks")
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "--help")
	cmd.Env = []string{"PATH=/usr/local/bin"}
	output, err := cmd.CombinedOutput()
	if !strings.Contains(string(output), "--log-level") {
		t.Errorf("%s --help: %v\n%s", controller, err, output)
	}
}

// checkSame builds once more: of a copy that is younger and elsewhere, and in an
// environment that would have the go command build something else.
func checkSame(t *testing.T, img *Image) {
	t.Helper()
	copied := copyCheckout(t)
	for name, value := range map[string]string{
		"GOFLAGS": "-tags=other -ldflags=-X=main.x=y", "GOAMD64": "v3", "GOARM64": "v9.0", "GOOS": "windows", "GOEXPERIMENT": "nogreenteagc", "TMPDIR": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	again, err := Build(t.Context(), copied, Options{}, controller)
	if err != nil {
		t.Fatal(err)
	}
	one, two := t.TempDir(), t.TempDir()
	if err := errors.Join(Write(one, img), Write(two, again...)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, one), tree(t, two)); diff != "" {
		t.Errorf("the same sources, another image: %s", diff)
	}
}

func TestBuildRefuses(t *testing.T) {
	checkout := absolute(t, root)
	for name, test := range map[string]struct {
		root, controller string
		platform         v1.Platform
		want             string
	}{
		"no such controller": {checkout, "notification-controller", v1.Platform{}, "gpu-quota-controller, helm-controller, image-automation-controller"},
		"no checkout":        {t.TempDir(), controller, v1.Platform{}, "name the root of a checkout of weir"},
		"other platform":     {checkout, controller, v1.Platform{OS: "windows", Architecture: "amd64"}, "ask for linux/amd64 or linux/arm64"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Build(t.Context(), test.root, Options{Platform: test.platform}, test.controller)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// each calls do for all files of an image, those of lower layers first.
func each(t *testing.T, img v1.Image, do func(*tar.Header, io.Reader)) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		stream, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(stream)
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			do(header, archive)
		}
		stream.Close()
	}
}

// content returns that of one file.
func content(t *testing.T, img v1.Image, name string) []byte {
	t.Helper()
	var found []byte
	each(t, img, func(header *tar.Header, r io.Reader) {
		if header.Name != name {
			return
		}
		var err error
		if found, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	})
	return found
}

// extract unpacks an image as a container engine does, and returns the path of
// its program.
func extract(t *testing.T, img *Image) string {
	t.Helper()
	stream := mutate.Extract(img)
	defer stream.Close()
	want := "usr/local/bin/" + img.Name
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if header.Name != want {
			continue
		}
		program, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), img.Name)
		if err := os.WriteFile(path, program, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// tree returns the sums of all files below dir.
func tree(t *testing.T, dir string) map[string]v1.Hash {
	t.Helper()
	sums := map[string]v1.Hash{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		sums[strings.TrimPrefix(path, dir)], _, err = v1.SHA256(f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}
