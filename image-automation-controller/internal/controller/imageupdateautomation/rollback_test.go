// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// What somebody reverts stays back, also without a status, until something
// higher comes or somebody lets it in again.
func TestRevertStaysBack(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	model := s.image("model")
	first := s.push("1.0.0", "")
	before := s.pod("auto", model+":1.0.0@"+first)
	s.commit("Serve the model", map[string]string{"pod.yaml": before})
	second := s.push("1.1.0", "")
	s.create(s.automation("auto"))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)

	revert := s.commit("Back to what worked", map[string]string{"pod.yaml": before})
	// The source tells of the commit; nobody asks.
	source := &sourcev1.GitRepository{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "repo"}, source))
	s.of("auto").Request()
	a := s.awaitHeld("auto", imagev1.RejectedReason, "Ada took 1.1.0 out of Git in commit "+revert[:7]+"; the next candidate has to rank above it, or set the annotation weir.dev/unreject: model@"+second)
	rejected := a.Status.Weir.Images[0].Rejected
	if len(rejected) != 1 || rejected[0].Digest != second || rejected[0].Commit != revert || rejected[0].Author != "Ada" {
		t.Errorf("rejected %+v", rejected)
	}

	// Nothing in memory and nothing in the status: history tells.
	s.Stop()
	lost := s.of("auto").Get()
	lost.Status = imagev1.ImageUpdateAutomationStatus{ObservedGeneration: -1}
	s.Must(s.Kube.Status().Update(t.Context(), lost))
	s.Start()
	s.awaitHeld("auto", imagev1.RejectedReason, "commit "+revert[:7])
	if s.file("main", "pod.yaml") != before {
		t.Error("what was reverted came back")
	}

	third := s.push("1.2.0", "")
	s.of("auto").Request()
	s.awaitFile("pod.yaml", ":1.2.0@"+third)

	s.commit("Back again", map[string]string{"pod.yaml": before})
	s.of("auto").Request()
	s.awaitHeld("auto", imagev1.RejectedReason, "1.2.0")
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { annotate(a, imagev1.UnrejectAnnotation, "model@"+third) })
	s.awaitFile("pod.yaml", ":1.2.0@"+third)
}

// A commit of ours that was forced off the branch is no revert.
func TestForcedHistoryIsNoRevert(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("1.0.0", "")
	base := s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0@"+first)})
	second := s.push("1.1.0", "")
	s.create(s.automation("auto"))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.of("auto").Await("is ready", isReady)
	_, err := s.repo.Git(t.Context(), "update-ref", "refs/heads/main", base)
	s.Must(err)
	s.of("auto").Request()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	if a := s.of("auto").Get(); conditions.Has(a, imagev1.HeldCondition) {
		t.Errorf("conditions %+v", a.Status.Conditions)
	}
}

// Two writers of one field are told apart from a person, and both are named.
func TestWriteConflict(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	model := s.image("model")
	first := s.push("1.0.0", "")
	before := s.pod("auto", model+":1.0.0@"+first)
	s.commit("Serve the model", map[string]string{"pod.yaml": before})
	second := s.push("1.1.0", "")
	s.create(s.automation("auto"))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.of("auto").Await("is ready", isReady)
	s.commit("Update\n\nAutomation: other/writer (1234)\nImage: "+model+":1.0.0@"+first, map[string]string{"pod.yaml": before})
	s.of("auto").Request()
	a := s.of("auto").AwaitFailure(imagev1.WriteConflictReason, "other/writer (1234)")
	if message := conditions.GetMessage(a, imagev1.ReadyCondition); !conditions.IsStalled(a) || !strings.Contains(message, s.Namespace+"/auto (") {
		t.Errorf("conditions %+v", a.Status.Conditions)
	}
	if pushes := s.git.Stats().Pushes; pushes != 1 {
		t.Errorf("%d pushes, want no more", pushes)
	}
}

// Two automations write one branch with one push and a commit each.
func TestTwoAutomationsOnOneBranch(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push("1.0.0", "")
	second := s.push("1.1.0", "")
	s.commit("Serve the models", map[string]string{
		"a.yaml": s.pod("a", s.image("model")+":1.0.0"), "b.yaml": s.pod("b", s.image("model")+":1.0.0"),
	})
	s.create(s.automation("a"))
	s.create(s.automation("b"))
	s.Start()
	s.awaitFile("a.yaml", ":1.1.0@"+second)
	s.awaitFile("b.yaml", ":1.1.0@"+second)
	a, b := s.of("a").Await("is ready", isReady), s.of("b").Await("is ready", isReady)
	if a.Status.LastPushCommit == b.Status.LastPushCommit || len(s.log("main")) != 3 {
		t.Errorf("commits %s and %s of %q", a.Status.LastPushCommit, b.Status.LastPushCommit, s.log("main"))
	}
}
