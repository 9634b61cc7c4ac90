// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestDockerfiles compares what the Dockerfiles say with what this package does.
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
				"CGO_ENABLED=0 go run ./hack/images --system /rootfs\n",
				"CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH \\\n    go build " + flags + " -o /rootfs/" + bin + "/ ./" + name + "\n",
				"\nFROM scratch\nCOPY --from=build /rootfs/ /\n",
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

var (
	run   = regexp.MustCompile(`(?m)^RUN ((?:.*\\\n)*.*)$`)
	mount = regexp.MustCompile(`--mount=\S+`)
)

// checkDockerfile runs the commands of the Dockerfile, which is not what an
// engine does with it, on the files that an engine would be given.
func checkDockerfile(t *testing.T, img *Image) {
	t.Helper()
	checkout := copyCheckout(t)
	dockerfile, err := os.ReadFile(filepath.Join(checkout, img.Name, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	commands := run.FindAllStringSubmatch(string(dockerfile), -1)
	if len(commands) != 2 {
		t.Fatalf("%d commands, want two", len(commands))
	}
	toolchain, err := compiler{root: root}.toolchain()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, command := range commands {
		script := strings.ReplaceAll(mount.ReplaceAllString(command[1], ""), "/rootfs", dir)
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
		cmd.Dir = checkout
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain, "TARGETARCH="+img.Platform.Architecture)
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, output)
		}
	}
	want := map[string]string{}
	each(t, img, func(header *tar.Header, r io.Reader) {
		if header.Typeflag != tar.TypeReg {
			return
		}
		hash, _, err := v1.SHA256(io.NopCloser(r))
		if err != nil {
			t.Fatal(err)
		}
		want["/"+header.Name] = hash.String()
	})
	got := map[string]string{}
	for name, hash := range tree(t, dir) {
		got[name] = hash.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// copyCheckout copies the files that .dockerignore does not name.
func copyCheckout(t *testing.T) string {
	t.Helper()
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	patterns := slices.DeleteFunc(strings.Split(string(ignored), "\n"), func(line string) bool { return line == "" || line[0] == '#' })
	dir := t.TempDir()
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		skip := slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
		switch {
		case skip && d.IsDir():
			return filepath.SkipDir
		case skip || !d.IsDir() && !d.Type().IsRegular():
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// matches says whether a pattern of .dockerignore names a file. Those in ours
// begin with "**/" or are names at the root.
func matches(pattern, name string) bool {
	if anywhere, found := strings.CutPrefix(pattern, "**/"); found {
		pattern, name = anywhere, filepath.Base(name)
	}
	matched, err := filepath.Match(pattern, name)
	return err == nil && matched
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

// TestDocumentedCommands sees to it that what people are told to run inside a
// container is the program, which is all that there is.
func TestDocumentedCommands(t *testing.T) {
	command := regexp.MustCompile(`kubectl .*\bexec\b.* deploy(?:ment)?/(\S+) .*-- (\S+)`)
	found := 0
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "*/docs/*.md", "README.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range command.FindAllStringSubmatch(string(content), -1) {
				found++
				if names, err := Controllers(root); err != nil || slices.Contains(names, match[1]) && match[1] != match[2] {
					t.Errorf("%s: the image of %s has no %s", file, match[1], match[2])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no command was found, though there is one on the page of HelmReleases")
	}
}
