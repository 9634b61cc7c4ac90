// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestRun(t *testing.T) {
	registry, err := testkit.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	dir := t.TempDir()
	var out bytes.Buffer
	err = run(t.Context(), []string{
		"--root", "../..", "--output", dir, "--push", registry.Host + "/mine", "--insecure", "--version", "v9.9.9", "--platform", "linux/amd64",
		"gpu-quota-controller",
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^gpu-quota-controller +v9\.9\.9 +linux/amd64 +(sha256:\w{64}) +[\d.]+ MB +[\d.]+ MB$`).FindStringSubmatch(out.String())
	if row == nil {
		t.Fatalf("printed\n%s", &out)
	}
	ref, err := name.ParseReference(registry.Host + "/mine/gpu-quota-controller:v9.9.9")
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := remote.Head(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if pushed.Digest.String() != row[1] {
		t.Errorf("the registry has %s, printed was %s", pushed.Digest, row[1])
	}
	for _, file := range []string{"gpu-quota-controller/index.json", "gpu-quota-controller.linux-amd64.spdx.json"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"controller": {[]string{"--root", "../..", "gpu"}, `there is no controller "gpu"; there are gpu-quota-controller,`},
		"platform":   {[]string{"--root", "../..", "--platform", "plan9/mips"}, "ask for linux/amd64 or linux/arm64"},
		"root":       {[]string{"--root", t.TempDir()}, "name the root of a checkout of weir"},
		"flag":       {[]string{"--registry", "ghcr.io"}, "unknown flag: --registry"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), test.args, &out); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestSystem(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--system", dir}, &out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "etc", "passwd")); err != nil {
		t.Error(err)
	}
}
