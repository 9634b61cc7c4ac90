// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// tap writes down what a controller asks the API server, apart from watches and
// from reads of Kustomizations: these are read live if the cache has not seen
// our own last patch of them yet.
type tap struct {
	mu       sync.Mutex
	requests []string
}

// note is for a proxy that lets everything pass.
func (p *tap) note(r *http.Request) testkit.Fault {
	ownRead := r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/kustomizations")
	if r.URL.Query().Get("watch") != "true" && !ownRead {
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		p.mu.Unlock()
	}
	return testkit.Fault{}
}

// since returns what was asked since the last call, sorted.
func (p *tap) since() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	requests := slices.Sorted(slices.Values(p.requests))
	p.requests = nil
	return requests
}

func withFile(files map[string]string, name, content string) map[string]string {
	changed := maps.Clone(files)
	changed[name] = content
	return changed
}

// Two directories of one source: a commit that touches one of them costs the
// Kustomization of the other a status patch and nothing else.
func TestRevisionThatChangesNothingForAKustomization(t *testing.T) {
	t.Parallel()
	s, requests := newFaulty(t), &tap{}
	s.proxy.Inject(requests.note)
	files := map[string]string{
		"one/a.yaml": configMap("a", "x"), "docs/readme.md": "x",
		"two/kustomization.yaml": "resources: [b.yaml, ../base]\nnamePrefix: p-\n", "two/b.yaml": configMap("b", "${value}"),
		"base/kustomization.yaml": "resources: [c.yaml]\n", "base/c.yaml": configMap("c", "x"),
	}
	first := s.push(files)
	s.start("one")
	s.start("two", func(k *kustomizev1.Kustomization) {
		// An apply asks whether the tenant may see this, which is not its own.
		k.Spec.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "kube-root-ca.crt"}}
		k.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{"value": "x"}}
	})
	s.awaitReady("one", first)
	s.awaitReady("two", first)
	s.eventually("two has told of its success", func() bool {
		return slices.ContainsFunc(s.events("two"), func(message string) bool { return strings.HasPrefix(message, "Reconciliation finished") })
	})
	events := len(s.events("two"))
	status := func(name string) string {
		return "PATCH /apis/kustomize.toolkit.fluxcd.io/v1/namespaces/" + s.ns + "/kustomizations/" + name + "/status"
	}
	advance := func(revision string) {
		t.Helper()
		for _, name := range []string{"one", "two"} {
			obj := s.awaitReady(name, revision)
			if obj.Status.LastAttemptedRevision != revision || conditions.GetMessage(obj, fluxmeta.ReadyCondition) != "Applied revision: "+revision {
				t.Errorf("%s: attempted %s, %q", name, obj.Status.LastAttemptedRevision, conditions.GetMessage(obj, fluxmeta.ReadyCondition))
			}
		}
	}

	requests.since()
	files = withFile(files, "docs/readme.md", "y")
	advance(s.push(files))
	if diff := cmp.Diff([]string{status("one"), status("two")}, requests.since()); diff != "" {
		t.Errorf("a commit that concerns neither (-want +got):\n%s", diff)
	}

	files = withFile(files, "one/a.yaml", configMap("a", "y"))
	advance(s.push(files))
	if field(s.live("v1/ConfigMap", "a"), "data", "key") != "y" {
		t.Error("the directory that was touched is not applied")
	}
	others := slices.DeleteFunc(requests.since(), func(request string) bool {
		return strings.Contains(request, "/kustomizations/one/") || strings.HasSuffix(request, "/configmaps/a") || strings.Contains(request, "/events")
	})
	if diff := cmp.Diff([]string{status("two")}, others); diff != "" {
		t.Errorf("a commit that concerns the other (-want +got):\n%s", diff)
	}
	if got := len(s.events("two")); got != events {
		t.Errorf("%d events more", got-events)
	}

	// What is skipped is still held, and what it reads is still seen.
	s.patch("kubectl-edit", "v1/ConfigMap", "p-b", "data: {key: by hand}")
	s.eventually("the change by hand is put back", func() bool { return field(s.live("v1/ConfigMap", "p-b"), "data", "key") == "x" })
	advance(s.push(withFile(files, "base/c.yaml", configMap("c", "y"))))
	if field(s.live("v1/ConfigMap", "p-c"), "data", "key") != "y" {
		t.Error("a base that was touched is not applied")
	}
}

// A revision that could not be applied is no ground to skip the next one, even
// if that brings back what was applied before.
func TestNothingIsSkippedAfterAFailure(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	files := map[string]string{"app/a.yaml": configMap("a", "x")}
	revision := s.push(files)
	s.create("app", inPath("app"))
	s.awaitReady("app", revision)
	s.push(map[string]string{"app/a.yaml": configMap("a", "y"), "app/kustomization.yaml": "resources: [a.yaml, b.yaml]\n"})
	if message := s.awaitFailure("app", "BuildFailed"); !strings.Contains(message, "app/b.yaml") {
		t.Errorf("message %q", message)
	}
	s.awaitReady("app", s.push(withFile(files, "docs/readme.md", "x")))
	s.awaitReady("app", s.push(withFile(files, "app/a.yaml", configMap("a", "z"))))
	if field(s.live("v1/ConfigMap", "a"), "data", "key") != "z" {
		t.Error("the last revision is not applied")
	}
}

// Remote bases are refused with the flag, and named.
func TestNoRemoteBases(t *testing.T) {
	t.Parallel()
	s := newFaulty(t, "--no-remote-bases")
	s.push(map[string]string{"app/kustomization.yaml": "resources: [\"https://user:hunter2@git.example/base?ref=v1\"]\n"})
	s.start("app")
	want := `resources in app/kustomization.yaml: "https://git.example/base" is remote, and this controller does not fetch remote bases; copy it into the source`
	if message := s.awaitFailure("app", "BuildFailed"); message != want {
		t.Errorf("message %q, want %q", message, want)
	}
}
