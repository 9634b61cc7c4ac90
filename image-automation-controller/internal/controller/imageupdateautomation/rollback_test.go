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
	s.start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)

	revert := s.commit("Back to what worked", map[string]string{"pod.yaml": before})
	// The source tells of the commit; nobody asks.
	source := &sourcev1.GitRepository{}
	s.must(kube.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: "repo"}, source))
	s.request("auto")
	a := s.awaitHeld("auto", imagev1.RejectedReason, "Ada took 1.1.0 out of Git in commit "+revert[:7]+"; the next candidate has to rank above it, or set the annotation weir.dev/unreject: model@"+second)
	rejected := a.Status.Weir.Images[0].Rejected
	if len(rejected) != 1 || rejected[0].Digest != second || rejected[0].Commit != revert || rejected[0].Author != "Ada" {
		t.Errorf("rejected %+v", rejected)
	}

	// Nothing in memory and nothing in the status: history tells.
	s.stop()
	lost := s.get("auto")
	lost.Status = imagev1.ImageUpdateAutomationStatus{ObservedGeneration: -1}
	s.must(kube.Status().Update(t.Context(), lost))
	s.start()
	s.awaitHeld("auto", imagev1.RejectedReason, "commit "+revert[:7])
	if s.file("main", "pod.yaml") != before {
		t.Error("what was reverted came back")
	}

	third := s.push("1.2.0", "")
	s.request("auto")
	s.awaitFile("pod.yaml", ":1.2.0@"+third)

	s.commit("Back again", map[string]string{"pod.yaml": before})
	s.request("auto")
	s.awaitHeld("auto", imagev1.RejectedReason, "1.2.0")
	s.edit("auto", func(a *imagev1.ImageUpdateAutomation) { annotate(a, imagev1.UnrejectAnnotation, "model@"+third) })
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
	s.start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.await("auto", "is ready", isReady)
	_, err := s.repo.Git(t.Context(), "update-ref", "refs/heads/main", base)
	s.must(err)
	s.request("auto")
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	if a := s.get("auto"); conditions.Has(a, imagev1.HeldCondition) {
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
	s.start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.await("auto", "is ready", isReady)
	s.commit("Update\n\nAutomation: other/writer (1234)\nImage: "+model+":1.0.0@"+first, map[string]string{"pod.yaml": before})
	s.request("auto")
	a := s.awaitFailure("auto", imagev1.WriteConflictReason, "other/writer (1234)")
	if message := conditions.GetMessage(a, imagev1.ReadyCondition); !conditions.IsStalled(a) || !strings.Contains(message, s.ns+"/auto (") {
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
	s.start()
	s.awaitFile("a.yaml", ":1.1.0@"+second)
	s.awaitFile("b.yaml", ":1.1.0@"+second)
	a, b := s.await("a", "is ready", isReady), s.await("b", "is ready", isReady)
	if a.Status.LastPushCommit == b.Status.LastPushCommit || len(s.log("main")) != 3 {
		t.Errorf("commits %s and %s of %q", a.Status.LastPushCommit, b.Status.LastPushCommit, s.log("main"))
	}
}
