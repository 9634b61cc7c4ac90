// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// A worse model is held with the values of the gate, and a better one is
// committed.
func TestWorseModelIsHeld(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("1.0.0", "0.93")
	worse := s.push("1.1.0", "0.8")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0@"+first)})
	s.create(s.automation("auto", gated))
	s.Start()

	a := s.awaitHeld("auto", imagev1.GateFailedReason, "model 1.1.0 is held: gate accuracy is not met: ")
	if message := conditions.GetMessage(a, imagev1.HeldCondition); !strings.Contains(message, "0.8") || !strings.Contains(message, "0.925") {
		t.Errorf("the message names not both values: %s", message)
	}
	held := a.Status.Weir.Images[0].Held
	if len(held) != 1 || held[0].Digest != worse || held[0].Gate != "accuracy" {
		t.Errorf("held %+v", held)
	}
	if latest := a.Status.Weir.Images[0].Latest; latest == nil || latest.Digest != worse {
		t.Errorf("latest %+v", latest)
	}
	version := s.of("auto").Request().ResourceVersion
	if again := s.of("auto").Request(); again.ResourceVersion == version || s.told(imagev1.GateFailedReason, "1.1.0") != 1 {
		t.Errorf("%d events for the hold, want one", s.told(imagev1.GateFailedReason, "1.1.0"))
	}

	better := s.push("1.2.0", "0.94")
	s.of("auto").Request()
	s.awaitFile("pod.yaml", ":1.2.0@"+better)
	a = s.of("auto").Await("holds nothing", func(a *imagev1.ImageUpdateAutomation) bool { return !conditions.Has(a, imagev1.HeldCondition) })
	if len(a.Status.Weir.Images[0].Held) != 0 {
		t.Errorf("held %+v below what Git holds", a.Status.Weir.Images[0].Held)
	}
}

// A lower candidate that passes is written while a higher one is held.
func TestNextBestIsWritten(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("1.0.0", "0.93")
	good := s.push("1.1.0", "0.95")
	s.push("1.2.0", "0.5")
	s.push("1.3.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0@"+first)})
	s.create(s.automation("auto", gated))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+good)
	a := s.of("auto").Await("holds two", func(a *imagev1.ImageUpdateAutomation) bool {
		return isReady(a) && len(a.Status.Weir.Images[0].Held) == 2
	})
	if held := a.Status.Weir.Images[0].Held; held[0].Tag != "1.3.0" || held[1].Tag != "1.2.0" {
		t.Errorf("held %+v, want the highest first", held)
	}
}

func TestNoBaselineNeedsApproval(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.0.0", "0.9")
	s.commit("Serve a model to come", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":none")})
	s.create(s.automation("auto", gated, func(a *imagev1.ImageUpdateAutomation) { a.Spec.Weir.Images[0].Gates[0].OnNoBaseline = "" }))
	s.Start()
	s.awaitHeld("auto", imagev1.NoBaselineReason, "weir.dev/approve: model@"+digest)

	// Only for that digest.
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) {
		annotate(a, imagev1.ApproveAnnotation, "model@sha256:00, other@"+digest)
	})
	s.awaitHeld("auto", imagev1.NoBaselineReason, "model@"+digest)
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { annotate(a, imagev1.ApproveAnnotation, "x@y,model@"+digest) })
	s.awaitFile("pod.yaml", ":1.0.0@"+digest)
	if message := s.log("main")[0]; !strings.Contains(message, "\nApproved-By-Annotation: model@"+digest+"\n") {
		t.Errorf("message %s", message)
	}
}

func TestMinAgeIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.0.0", "0.9")
	s.commit("Serve a model to come", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":0.1.0")})
	s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.Images[0].MinAge = &metav1.Duration{Duration: 3 * time.Second}
	}))
	s.Start()
	a := s.awaitHeld("auto", imagev1.TooYoungReason, "minAge is 3s")
	if seen := a.Status.Weir.Images[0].Seen; len(seen) != 1 || seen[0].Digest != digest {
		t.Errorf("seen %+v", seen)
	}
	// The interval is an hour: time alone brings it back.
	s.awaitFile("pod.yaml", ":1.0.0@"+digest)
}

func TestDigestRequired(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push("0.1.0", "0.9")
	s.push("1.0.0", "0.9")
	marker := func(part string) string {
		return " # {\"$imagepolicy\": \"" + s.Namespace + ":auto/model" + part + "\"}\n"
	}
	s.commit("Values", map[string]string{"values.yaml": "image:\n  repository: x" + marker(":name") + "  tag: 0.1.0" + marker(":tag")})
	s.create(s.automation("auto", gated))
	s.Start()
	a := s.of("auto").AwaitFailure(imagev1.DigestRequiredReason, "values.yaml:2: image 'model' is judged by its digest")
	if !conditions.IsStalled(a) {
		t.Error("not stalled")
	}
	// A commit that mends it is noticed, without an edit of the automation.
	s.commit("Pin", map[string]string{"values.yaml": "image:\n  repository: " + s.image("model") + marker(":name") + "  tag: 0.1.0" + marker(":tag") + "  digest: sha256:0" + marker(":digest")})
	s.of("auto").Request()
	s.awaitFile("values.yaml", "tag: 1.0.0 #")

	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.Images[0].DigestReflectionPolicy = imagev1.ReflectNever
	})
	s.of("auto").AwaitFailure(imagev1.DigestRequiredReason, "spec.weir.images[0].digestReflectionPolicy")
}

func TestSignatureIsRequired(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.Must(err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	s.Must(err)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	digest := s.push("1.0.0", "0.9")
	s.commit("Serve a model to come", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":0.1.0")})
	s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.Images[0].Verify = &imagev1.Verification{Provider: "cosign", SecretRef: s.secret("keys", map[string]string{"ml.pub": public})}
	}))
	s.Start()
	s.awaitHeld("auto", imagev1.SignatureReason, "model 1.0.0 is held: not signed: there is no cosign signature of "+digest)
	s.Must(s.Registry.Sign("model", digest, testkit.RegistrySignature{Key: key}))
	s.of("auto").Request()
	s.awaitFile("pod.yaml", ":1.0.0@"+digest)
	if message := s.log("main")[0]; !strings.Contains(message, "\nSignature: cosign ml.pub\n") {
		t.Errorf("message %s", message)
	}
}

// What is judged is what is written, though the tag is moved between the two.
func TestTagMovedBetweenGateAndCommit(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("1.0.0", "0.9")
	judged := s.push("1.1.0", "0.95")
	bad, err := s.Registry.Push("model", "bad", testkit.RegistryImage{Content: "bad", Annotations: map[string]string{"ml.eval.accuracy": "0.1"}})
	s.Must(err)
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0@"+first)})
	// Somebody moves the tag as soon as its manifest was read by digest.
	s.Registry.Inject(func(r *http.Request) testkit.RegistryFault {
		if strings.HasSuffix(r.URL.Path, "/manifests/"+judged) && r.Method == http.MethodGet {
			go func() { _ = s.Registry.Move("model", "1.1.0", bad) }()
		}
		return testkit.RegistryFault{}
	})
	s.create(s.automation("auto", gated))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+judged)
	s.of("auto").Request()
	s.awaitHeld("auto", imagev1.GateFailedReason, "0.1")
	if !strings.Contains(s.file("main", "pod.yaml"), judged) {
		t.Error("the moved tag was written")
	}
}

// Manifests that are gone are held, and do not keep others back.
func TestManifestDeleted(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("1.0.0", "0.9")
	good := s.push("1.1.0", "0.95")
	gone := s.push("1.2.0", "0.96")
	s.Registry.Inject(func(r *http.Request) testkit.RegistryFault {
		if strings.HasSuffix(r.URL.Path, "/manifests/"+gone) {
			return testkit.RegistryFault{Code: http.StatusNotFound}
		}
		return testkit.RegistryFault{}
	})
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0@"+first)})
	s.create(s.automation("auto", gated))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+good)
	s.awaitHeld("auto", imagev1.UnreadableReason, "1.2.0")
}
