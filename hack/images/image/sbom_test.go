// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checkSBOM reads the document as any tool does, against what SPDX 2.3 demands.
func checkSBOM(t *testing.T, img *Image) {
	t.Helper()
	d := parseSBOM(t, img.SBOM)
	checkHeader(t, d)
	known := map[string]bool{d.ID: true}
	for _, p := range d.Packages {
		if known[p.ID] {
			t.Errorf("there are two elements %s", p.ID)
		}
		known[p.ID] = true
		checkPackage(t, p)
	}
	described := false
	for _, r := range d.Relationships {
		if !known[r.Element] || !known[r.Related] {
			t.Errorf("%+v names an element that is not there", r)
		}
		described = described || r.Element == d.ID && r.Type == "DESCRIBES"
	}
	if !described {
		t.Error("the document describes nothing")
	}
	checkAgainstProgram(t, d, img)
}

func checkHeader(t *testing.T, d *document) {
	t.Helper()
	if d.Version != "SPDX-2.3" || d.License != "CC0-1.0" || d.ID != "SPDXRef-DOCUMENT" || d.Name == "" {
		t.Errorf("the document is %s under %s, %s %q", d.Version, d.License, d.ID, d.Name)
	}
	if !strings.HasPrefix(d.Namespace, "https://") || strings.Contains(d.Namespace, "#") {
		t.Errorf("the namespace %q is no URI without a fragment", d.Namespace)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", d.Creation.Created); err != nil || len(d.Creation.Creators) == 0 {
		t.Errorf("created %+v", d.Creation)
	}
}

var (
	identifier = regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)
	locator    = regexp.MustCompile(`^pkg:(golang|oci)/[^@\s]+@[^@\s]+$`)
)

func checkPackage(t *testing.T, p component) {
	t.Helper()
	if !identifier.MatchString(p.ID) || p.Name == "" || p.Version == "" || p.FilesAnalyzed {
		t.Errorf("the package is %+v", p)
	}
	for _, required := range []string{p.DownloadLocation, p.LicenseConcluded, p.LicenseDeclared, p.Copyright, p.Purpose} {
		if required == "" {
			t.Errorf("%s lacks a required field: %+v", p.Name, p)
		}
	}
	for _, sum := range p.Checksums {
		if value, err := hex.DecodeString(sum.Value); sum.Algorithm != "SHA256" || err != nil || len(value) != sha256.Size {
			t.Errorf("%s has the sum %+v", p.Name, sum)
		}
	}
	if len(p.References) != 1 || p.References[0].Category != "PACKAGE-MANAGER" || p.References[0].Type != "purl" || !locator.MatchString(p.References[0].Locator) {
		t.Errorf("%s refers to %+v", p.Name, p.References)
	}
}

// checkAgainstProgram compares with what the program itself says.
func checkAgainstProgram(t *testing.T, d *document, img *Image) {
	t.Helper()
	info, err := buildinfo.ReadFile(extract(t, img))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		img.Name:                                 "v0.1.0",
		info.Path:                                "v0.1.0",
		"stdlib":                                 strings.TrimPrefix(info.GoVersion, "go"),
		"github.com/weir-gitops/weir/api":        "v0.1.0",
		"github.com/weir-gitops/weir/pkg":        "v0.1.0",
		"golang.org/x/crypto/x509roots/fallback": "",
	}
	for _, dep := range info.Deps {
		if _, own := want[dep.Path]; !own {
			want[dep.Path] = dep.Version
		}
	}
	got := map[string]string{}
	for _, p := range d.Packages {
		got[p.Name] = p.Version
		if p.Name == rootsPath {
			want[rootsPath] = p.Version
		}
		if p.Name == info.Path && p.Checksums[0].Value != sum(content(t, img, "usr/local/bin/"+img.Name)) {
			t.Error("the sum of the program is another's")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestModuleComponent(t *testing.T) {
	sum := "h1:K6j46C81hXtZQfuX60cVWQFBJahKSE2gfRbNuvr5bFs="
	hexSum := "2ba8f8e82f35857b5941fb97eb471559014125a84a484da07d16cdbafaf96c5b"
	for name, test := range map[string]struct {
		module debug.Module
		want   component
	}{
		"of others": {
			debug.Module{Path: "github.com/Masterminds/semver/v3", Version: "v3.5.0+incompatible", Sum: sum},
			component{
				Name: "github.com/Masterminds/semver/v3", Version: "v3.5.0+incompatible", Purpose: "LIBRARY",
				DownloadLocation: "https://proxy.golang.org/github.com/!masterminds/semver/v3/@v/v3.5.0+incompatible.zip",
				References:       purl("pkg:golang/github.com/Masterminds/semver/v3@v3.5.0%2Bincompatible"),
				Checksums:        []checksum{{"SHA256", hexSum}}, SourceInfo: "go.sum: " + sum,
			},
		},
		"replaced": {
			debug.Module{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new", Version: "v1.1.0"}},
			component{
				Name: "example.com/new", Version: "v1.1.0", Purpose: "LIBRARY",
				DownloadLocation: "https://proxy.golang.org/example.com/new/@v/v1.1.0.zip", References: purl("pkg:golang/example.com/new@v1.1.0"),
			},
		},
		"ours": {
			debug.Module{Path: "github.com/weir-gitops/weir/pkg", Version: "(devel)"},
			component{
				Name: "github.com/weir-gitops/weir/pkg", Version: "v1.2.3", Purpose: "LIBRARY", LicenseDeclared: "Apache-2.0",
				References: purl("pkg:golang/github.com/weir-gitops/weir/pkg@v1.2.3"),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, moduleComponent(&test.module, "v1.2.3", "LIBRARY")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func parseSBOM(t *testing.T, content []byte) *document {
	t.Helper()
	d := &document{}
	if err := json.Unmarshal(content, d); err != nil {
		t.Fatal(err)
	}
	return d
}

func sum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
