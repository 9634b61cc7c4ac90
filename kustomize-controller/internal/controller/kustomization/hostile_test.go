// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"fmt"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// pushRaw publishes bytes as the source's next revision.
func (s *suite) pushRaw(body []byte, change func(*fluxmeta.Artifact)) {
	s.Helper()
	artifact := artifacts.put(body)
	change(artifact)
	repo := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "repo"}}
	s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(repo), repo))
	repo.Status.Artifact = artifact
	s.must(kube.Status().Update(s.Context(), repo))
}

func manyLines(format string, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

// Whatever a source holds, its own Kustomization says what is wrong, and that
// of another source is served meanwhile.
func TestHostileSources(t *testing.T) {
	t.Parallel()
	packed := (&suite{T: t}).pack
	good := packed(map[string]string{"a.yaml": "kind: X"})
	as := func(*fluxmeta.Artifact) {}
	yaml := func(text string) []byte { return packed(map[string]string{"a.yaml": text}) }
	for name, tc := range map[string]struct {
		body   []byte
		change func(*fluxmeta.Artifact)
		reason string
		want   string
	}{
		"cut off":               {good[:len(good)-30], as, "ArtifactFailed", "the archive is cut off"},
		"no archive":            {[]byte("<html>a page</html>"), as, "ArtifactFailed", "it is not compressed by gzip"},
		"other than its digest": {good, func(a *fluxmeta.Artifact) { a.Digest = "sha256:" + strings.Repeat("0", 64) }, "ArtifactFailed", "its digest is"},
		"a digest of its own":   {good, func(a *fluxmeta.Artifact) { a.Digest = "md5:" + strings.Repeat("0", 32) }, "ArtifactFailed", "the algorithm is none of sha1, sha256, sha384, sha512, blake3"},
		"climbs out":            {packed(map[string]string{"../a.yaml": "x"}), as, "ArtifactFailed", `the entry "../a.yaml" leads out of the archive`},
		"an object of 10 MB":    {yaml(strings.ReplaceAll(configMap("a", strings.Repeat("x", 10<<20)), "$NS", "default")), as, "ReconciliationFailed", "(a.yaml:1): "},
		"100,000 keys":          {yaml("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n" + manyLines("  k%d: v\n", 100_000)), as, "BuildFailed", "decode a.yaml: it has a map with more than 10000 keys"},
		"aliases":               {yaml("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n"), as, "BuildFailed", "its YAML aliases expand to more than 250000 nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.pushRaw(tc.body, tc.change)
			s.create("app")
			if message := s.awaitFailure("app", tc.reason); !strings.Contains(message, tc.want) || len(message) > 2000 {
				t.Errorf("message %.2000q, want %q in it", message, tc.want)
			}
			other := newSuite(t)
			other.awaitReadyApp(map[string]string{"a.yaml": configMap("a", "x")})
			// And the victim recovers.
			s.awaitReady("app", s.push(map[string]string{"a.yaml": configMap("a", "x")}))
		})
	}
}

// A value with YAML in it can make a map of one field, as in Flux, and neither
// another field beside it nor another object.
func TestVariablesThatHoldYAML(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	evil := "x\nother: y\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}"
	files := map[string]string{"a.yaml": configMap("a", "pre-${value}")}
	s.push(files)
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{"value": evil}}
	})
	if message := s.awaitFailure("app", "BuildFailed"); !strings.Contains(message, "ConfigMap "+s.ns+"/a in a.yaml:1: with the variables replaced it is not valid YAML") || strings.Contains(message, "evil") {
		t.Errorf("message %q", message)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.PostBuild.Substitute["value"] = "x\n---\nkind- ConfigMap" })
	s.await("app", "is applied", func(*kustomizev1.Kustomization) bool { return s.live("v1/ConfigMap", "a") != nil })
	if got := field(s.live("v1/ConfigMap", "a"), "data", "key"); got != "pre-x---kind- ConfigMap" {
		t.Errorf("key is %q", got)
	}
	if inventory := s.get("app").Status.Inventory; inventory == nil || len(inventory.Entries) != 1 {
		t.Errorf("inventory %+v, want one object", inventory)
	}
}
