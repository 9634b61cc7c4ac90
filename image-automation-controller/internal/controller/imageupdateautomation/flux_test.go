// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
)

// flux makes an automation one that was written for Flux.
func flux(a *imagev1.ImageUpdateAutomation) { a.Spec.Weir = nil }

// policy is an ImagePolicy that is suspended, so that only the test says what
// it picks.
func (s *suite) policy(name string, labels map[string]string) {
	s.Helper()
	s.create(&imagev1.ImagePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name, Labels: labels},
		Spec: imagev1.ImagePolicySpec{
			ImageRepositoryRef: meta.NamespacedObjectReference{Name: name}, Suspend: true,
			Policy: imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: "*"}},
		},
	})
}

func (s *suite) pick(name string, ref imagev1.ImageRef) {
	s.Helper()
	obj := &imagev1.ImagePolicy{}
	s.Must(s.Kube.Get(s.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, obj))
	before := obj.DeepCopy()
	obj.Status.LatestRef = &ref
	s.Must(s.Kube.Status().Patch(s.Context(), obj, client.MergeFrom(before)))
}

// marked is a manifest whose image an ImagePolicy picks.
func (s *suite) marked(policy, reference string) string {
	return strings.ReplaceAll(s.pod("X", reference), s.Namespace+":X/model", s.Namespace+":"+policy)
}

func TestFluxForm(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.commit("Serve", map[string]string{"a.yaml": s.marked("a", "x/a:1.0.0"), "b.yaml": s.marked("b", "x/b:1.0.0")})
	s.policy("a", map[string]string{"team": "ml"})
	s.policy("b", nil)
	s.create(s.automation("auto", flux, func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.PolicySelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "ml"}}
		a.Spec.GitSpec.Commit.MessageTemplate = "{{ range .Changed.Changes }}{{ .OldValue }} -> {{ .NewValue }}{{ end }}"
	}))
	s.Start()
	s.of("auto").Await("is ready", isReady)
	s.pick("b", imagev1.ImageRef{Name: "x/b", Tag: "2.0.0"})
	s.pick("a", imagev1.ImageRef{Name: "x/a", Tag: "1.1.0", Digest: "sha256:" + strings.Repeat("a", 64)})
	s.awaitFile("a.yaml", "image: x/a:1.1.0@sha256:"+strings.Repeat("a", 64)+" #")
	a := s.of("auto").Await("is ready", func(a *imagev1.ImageUpdateAutomation) bool { return isReady(a) && a.Status.LastPushCommit != "" })
	if diff := cmp.Diff([]string{"x/a:1.0.0 -> x/a:1.1.0@sha256:" + strings.Repeat("a", 64), "Serve"}, s.log("main")); diff != "" {
		t.Errorf("messages, which have no trailers (-want +got):\n%s", diff)
	}
	want := imagev1.ObservedPolicies{"a": {Name: "x/a", Tag: "1.1.0", Digest: "sha256:" + strings.Repeat("a", 64)}}
	if diff := cmp.Diff(want, a.Status.ObservedPolicies); diff != "" || a.Status.Weir != nil {
		t.Errorf("status %+v: %s", a.Status, diff)
	}
	if !strings.Contains(s.file("main", "b.yaml"), "x/b:1.0.0") {
		t.Error("a policy that is not selected was followed")
	}
	// What the policy says wins, also backwards.
	s.pick("a", imagev1.ImageRef{Name: "x/a", Tag: "1.0.5"})
	s.awaitFile("a.yaml", "image: x/a:1.0.5 #")
}

// Changes within the delay share a commit.
func TestPolicyChangeDelay(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.commit("Serve", map[string]string{"a.yaml": s.marked("a", "x/a:1.0.0"), "b.yaml": s.marked("b", "x/b:1.0.0")})
	s.policy("a", nil)
	s.policy("b", nil)
	s.create(s.automation("auto", flux, func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.PolicyChangeDelay = &metav1.Duration{Duration: 2 * time.Second}
	}))
	s.Start()
	s.of("auto").Await("is ready", isReady)
	begin := time.Now()
	s.pick("a", imagev1.ImageRef{Name: "x/a", Tag: "1.1.0"})
	s.pick("b", imagev1.ImageRef{Name: "x/b", Tag: "1.1.0"})
	s.awaitFile("b.yaml", "x/b:1.1.0")
	if took := time.Since(begin); took < 1500*time.Millisecond {
		t.Errorf("committed after %s", took)
	}
	if got := s.log("main"); len(got) != 2 || !strings.Contains(s.file("main", "a.yaml"), "x/a:1.1.0") {
		t.Errorf("commits %q, want one for both", got)
	}
}

func TestPushBranchAndRefspec(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	base := s.commit("Serve", map[string]string{"a.yaml": s.marked("a", "x/a:1.0.0")})
	s.policy("a", nil)
	s.pick("a", imagev1.ImageRef{Name: "x/a", Tag: "1.1.0"})
	s.create(s.automation("auto", flux, func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.GitSpec.Push = &imagev1.PushSpec{Branch: "auto", Refspec: "refs/heads/auto:refs/heads/copy"}
	}))
	s.Start()
	a := s.of("auto").Await("is ready", func(a *imagev1.ImageUpdateAutomation) bool { return isReady(a) && a.Status.LastPushCommit != "" })
	for _, branch := range []string{"auto", "copy"} {
		if head, err := s.repo.Git(t.Context(), "rev-parse", branch); err != nil || head != a.Status.LastPushCommit {
			t.Errorf("%s is at %s, %v; want %s", branch, head, err, a.Status.LastPushCommit)
		}
	}
	if head, _ := s.repo.Git(t.Context(), "rev-parse", "main"); head != base || a.Status.ObservedSourceRevision != "main@sha1:"+base {
		t.Errorf("main at %s, observed %s; want %s", head, a.Status.ObservedSourceRevision, base)
	}
	if got := s.of("auto").Events(imagev1.SucceededReason); len(got) == 0 || !strings.Contains(got[0], "to branch 'auto' and refspecs 'refs/heads/auto:refs/heads/copy'") {
		t.Errorf("events %q", got)
	}
	pushes := s.git.Stats().Pushes
	if again := s.of("auto").Request(); again.Status.LastPushCommit != a.Status.LastPushCommit || s.git.Stats().Pushes != pushes {
		t.Error("the same proposal was pushed again")
	}
	s.of("auto").Request()
	if got := s.told(imagev1.SucceededReason, "pushed commit"); got != 1 {
		t.Errorf("%d events for one push", got)
	}
}

// What no retry can help, with Flux's reasons.
func TestStalls(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.commit("Serve", map[string]string{"a.yaml": "a: 1\n"})
	s.Start("--no-cross-namespace-refs")
	image := func(change func(*imagev1.Image)) func(*imagev1.ImageUpdateAutomation) {
		return func(a *imagev1.ImageUpdateAutomation) { change(&a.Spec.Weir.Images[0]) }
	}
	for name, tc := range map[string]struct {
		change          func(*imagev1.ImageUpdateAutomation)
		reason, message string
	}{
		"git":       {func(a *imagev1.ImageUpdateAutomation) { a.Spec.GitSpec = nil }, imagev1.InvalidSourceConfigReason, "source kind 'GitRepository' necessitates field .spec.git"},
		"namespace": {func(a *imagev1.ImageUpdateAutomation) { a.Spec.SourceRef.Namespace = "other" }, imagev1.AccessDeniedReason, "can't access 'GitRepository/other/repo', cross-namespace references have been blocked"},
		"selector": {func(a *imagev1.ImageUpdateAutomation) {
			a.Spec.PolicySelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
		}, imagev1.InvalidPolicySelectorReason, "failed to parse policy selector"},
		"branch": {func(a *imagev1.ImageUpdateAutomation) {
			a.Spec.GitSpec.Checkout = &imagev1.GitCheckoutSpec{Reference: sourcev1.GitRepositoryRef{Tag: "v1"}}
		}, imagev1.InvalidSourceConfigReason, "push spec not provided, and cannot be inferred"},
		"template": {func(a *imagev1.ImageUpdateAutomation) { a.Spec.GitSpec.Commit.MessageTemplate = "{{ .Updated }}" }, imagev1.RemovedTemplateFieldReason, "template uses removed '.Updated' field"},
		"path":     {func(a *imagev1.ImageUpdateAutomation) { a.Spec.Update.Path = "../x" }, imagev1.InvalidSpecReason, "spec.update.path: '../x' leads out"},
		"image":    {image(func(i *imagev1.Image) { i.Image = "https://x/y" }), imagev1.ImageURLInvalidReason, "spec.weir.images[0].image: value should not start with URL scheme"},
		"gate":     {image(func(i *imagev1.Image) { i.Gates = []imagev1.Gate{{Name: "a", Expression: "candidate.nothing"}} }), imagev1.InvalidSpecReason, "spec.weir.images[0].gates[0]"},
		"window": {image(func(i *imagev1.Image) {
			i.Windows = &imagev1.Windows{Deny: []imagev1.Window{{Schedule: "often", Duration: metav1.Duration{Duration: time.Hour}}}}
		}), imagev1.InvalidSpecReason, "spec.weir.images[0].windows.deny[0].schedule"},
		"range":     {image(func(i *imagev1.Image) { i.Policy.SemVer.Range = "new" }), imagev1.InvalidSpecReason, "spec.weir.images[0].policy.semver"},
		"exclusion": {image(func(i *imagev1.Image) { i.ExclusionList = []string{"("} }), imagev1.InvalidSpecReason, "spec.weir.images[0].exclusionList[0]"},
		"provider":  {image(func(i *imagev1.Image) { i.Provider = "aws" }), imagev1.UnsupportedFieldReason, "provider 'aws' is not supported"},
		"target": {func(a *imagev1.ImageUpdateAutomation) {
			a.Spec.Weir.Targets = []imagev1.Target{{Image: "none", File: "a", Path: "b"}}
		}, imagev1.InvalidSpecReason, "spec.weir.targets[0].image: spec.weir.images has no entry 'none'"},
		"target's file": {func(a *imagev1.ImageUpdateAutomation) {
			a.Spec.Weir.Targets = []imagev1.Target{{Image: "model", File: "../a", Path: "b"}}
		}, imagev1.InvalidSpecReason, "spec.weir.targets[0].file: '../a' leads out"},
		"pull request": {func(a *imagev1.ImageUpdateAutomation) {
			a.Spec.Weir.PullRequest = &imagev1.PullRequest{Provider: imagev1.ForgeGitea, SecretRef: meta.LocalObjectReference{Name: "x"}}
			a.Spec.GitSpec.Push = &imagev1.PushSpec{Branch: "main"}
		}, imagev1.InvalidSourceConfigReason, "a pull request goes from one branch to another"},
	} {
		t.Run(name, func(t *testing.T) {
			object := strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", "")
			s.create(s.automation(object, tc.change))
			a := s.of(object).AwaitFailure(tc.reason, tc.message)
			if !conditions.IsStalled(a) || a.Status.ObservedGeneration != a.Generation {
				t.Errorf("status %+v, want that it is stalled", a.Status)
			}
		})
	}
}
