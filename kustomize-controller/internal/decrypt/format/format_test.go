// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package format_test

import (
	"testing"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/sopstest"
)

func TestDetectWhatSOPSWrites(t *testing.T) {
	_, key := sopstest.Age(t)
	for in, plain := range map[format.Format]string{
		format.Binary: "any\x01text\n",
		format.Dotenv: "A=b\n",
		format.INI:    "[s]\na = b\n",
		format.JSON:   `{"a": "b"}`,
		format.YAML:   "# a comment\na: b\n---\na: c\n",
	} {
		t.Run(string(in), func(t *testing.T) {
			want := in
			if in == format.Binary {
				want = format.JSON
			}
			sealed := sopstest.Encrypt(t, in, plain, "", key)
			if got, ok := format.Detect([]byte(sealed)); !ok || got != want {
				t.Errorf("Detect = %q, %t, want %q", got, ok, want)
			}
			if got, ok := format.Detect([]byte(plain)); ok {
				t.Errorf("Detect of the plaintext = %q", got)
			}
		})
	}
}

func TestDetectLeavesOthersAlone(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":                       "",
		"prose about sops":              "write ENC[ and mac: ENC[ into a file\n",
		"a section called sops":         "[sops]\nmac = none\nother = ENC[\n",
		"metadata without a code":       "sops:\n  version: 3\nvalue: ENC[\n",
		"a code somewhere in a comment": "{} # ENC[",
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := format.Detect([]byte(data)); ok {
				t.Errorf("Detect = %q, want nothing", got)
			}
		})
	}
}

func TestOf(t *testing.T) {
	for name, want := range map[string]format.Format{
		"a.yaml": format.YAML, "a.yml": format.YAML, "a.json": format.JSON, ".dockerconfigjson": format.JSON,
		".env": format.Dotenv, "prod.env": format.Dotenv, "a.ini": format.INI, "token": format.Binary, "a.yaml.enc": format.Binary,
	} {
		if got := format.Of(name); got != want {
			t.Errorf("Of(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		object map[string]any
		want   bool
	}{
		"encrypted":         {map[string]any{"sops": map[string]any{"mac": "ENC["}}, true},
		"another sops":      {map[string]any{"sops": map[string]any{"version": "3"}}, false},
		"a field of itself": {map[string]any{"sops": "yes"}, false},
		"none":              {map[string]any{}, false},
	} {
		if got := format.Whole(tc.object); got != tc.want {
			t.Errorf("%s: Whole = %t, want %t", name, got, tc.want)
		}
	}
}
