// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// KServe's form: a field that takes no marker.
func TestTarget(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first, second := s.push("1.0.0", "0.9"), s.push("1.1.0", "0.92")
	service := func(reference string) string {
		return "kind: InferenceService\nspec:\n  predictor:\n    model:\n      storageUri: \"oci://" + s.image("model") + reference + "\" # by hand\n"
	}
	s.commit("Serve the model", map[string]string{"ml/service.yaml": service(":1.0.0@" + first)})
	s.create(s.automation("auto", gated, func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Update.Path = "./ml"
		a.Spec.Weir.Targets = []imagev1.Target{{Image: "model", File: "service.yaml", Path: "spec.predictor.model.storageUri"}}
	}))
	s.Start()
	s.awaitFile("ml/service.yaml", second)
	if got, want := s.file("main", "ml/service.yaml"), service(":1.1.0@"+second); got != want {
		t.Errorf("file:\n%s\nwant:\n%s", got, want)
	}
}

// What the target's field names decides whether it is written.
func TestTargetOfAnotherRepository(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push("1.1.0", "")
	s.commit("Serve another model", map[string]string{"a.yaml": "uri: oci://ghcr.io/other/model:1\n"})
	s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.Targets = []imagev1.Target{{Image: "model", File: "a.yaml", Path: "uri"}}
	}))
	s.Start()
	s.of("auto").AwaitFailure(imagev1.UpdateFailedReason, "a.yaml:1: uri names 'oci://ghcr.io/other/model:1', which is not the repository")
	if pushes := s.git.Stats().Pushes; pushes != 0 {
		t.Errorf("%d pushes", pushes)
	}
}

// With images of its own an automation follows ImagePolicies only if it selects
// them.
func TestPoliciesBesideImages(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.1.0", "")
	s.commit("Serve", map[string]string{"model.yaml": s.pod("auto", s.image("model")+":1.0.0"), "other.yaml": s.marked("other", "x/other:1.0.0")})
	s.policy("other", map[string]string{"team": "ml"})
	s.pick("other", imagev1.ImageRef{Name: "x/other", Tag: "2.0.0"})
	s.create(s.automation("auto"))
	s.Start()
	s.awaitFile("model.yaml", ":1.1.0@"+digest)
	a := s.of("auto").Request()
	if got := s.file("main", "other.yaml"); strings.Contains(got, "2.0.0") || len(a.Status.ObservedPolicies) != 0 {
		t.Errorf("an ImagePolicy was followed that nobody selected: %s%v", got, a.Status.ObservedPolicies)
	}
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.PolicySelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "ml"}}
	})
	s.awaitFile("other.yaml", "x/other:2.0.0")
}

// Small losses do not add up: the best that Git has held is what counts.
func TestBestAccepted(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("1.0.0", "0.95")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0@"+first)})
	s.create(s.automation("auto", gated, func(a *imagev1.ImageUpdateAutomation) {
		gate := &a.Spec.Weir.Images[0].Gates[0]
		gate.Baseline, gate.Best = imagev1.BaselineBestAccepted, "num(candidate.annotations['ml.eval.accuracy'])"
	}))
	s.Start()
	s.of("auto").Await("is ready", isReady)
	second := s.push("1.1.0", "0.946")
	s.of("auto").Request()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.push("1.2.0", "0.942")
	s.of("auto").Request()
	a := s.awaitHeld("auto", imagev1.GateFailedReason, "model 1.2.0 is held: gate accuracy is not met: 0.942>=0.945 is false")
	if best := a.Status.Weir.Images[0].Best; len(best) != 1 || best[0].Digest != first || best[0].Gate != "accuracy" {
		t.Errorf("best %+v, want %s", best, first)
	}
}
