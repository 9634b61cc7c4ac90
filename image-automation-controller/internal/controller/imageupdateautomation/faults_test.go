// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// The process ends between the push and the status: nothing is pushed twice,
// and the status finds the commit again.
func TestDiesBetweenPushAndStatus(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	proxy, err := testkit.NewFaultProxy(account)
	s.must(err)
	t.Cleanup(proxy.Close)
	s.config = proxy.Config(account)
	second := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	proxy.Inject(func(r *http.Request) testkit.Fault {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/imageupdateautomations/auto/status") {
			return testkit.Fault{Code: http.StatusInternalServerError}
		}
		return testkit.Fault{}
	})
	s.create(s.automation("auto"))
	s.start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.stop()
	if got := s.get("auto").Status.LastPushCommit; got != "" {
		t.Fatalf("the status knows of %s", got)
	}
	proxy.Inject(nil)
	s.start()
	a := s.await("auto", "is ready", isReady)
	head, err := s.repo.Git(t.Context(), "rev-parse", "main")
	s.must(err)
	if a.Status.LastPushCommit != head || a.Status.LastPushTime == nil || s.git.Stats().Pushes != 1 {
		t.Errorf("status %+v after %d pushes, want the one commit %s", a.Status, s.git.Stats().Pushes, head)
	}
}

func TestPushIsDeclined(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	second := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	s.must(s.repo.Hook("pre-receive", "echo secret of the hook >&2; exit 1"))
	s.create(s.automation("auto"))
	s.start()
	a := s.awaitFailure("auto", imagev1.GitOperationFailedReason, "failed to update source: ")
	if message := conditions.GetMessage(a, imagev1.ReadyCondition); strings.Contains(message, "secret of the hook") {
		t.Errorf("the message quotes the server: %s", message)
	}
	if conditions.IsStalled(a) || !conditions.IsReconciling(a) {
		t.Errorf("conditions %+v, want another try", a.Status.Conditions)
	}
	s.must(s.repo.Hook("pre-receive", ""))
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.await("auto", "is ready", isReady)
}

func TestBranchIsDeleted(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push("1.0.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	s.create(s.automation("auto"))
	s.start()
	s.await("auto", "is ready", isReady)
	_, err := s.repo.Git(t.Context(), "update-ref", "-d", "refs/heads/main")
	s.must(err)
	s.edit("auto", func(a *imagev1.ImageUpdateAutomation) { a.Spec.Interval.Duration = 2 * time.Hour })
	s.awaitFailure("auto", imagev1.GitOperationFailedReason, "failed to checkout source: ")
	if a := s.get("auto"); conditions.IsStalled(a) {
		t.Error("stalled: the branch may come back")
	}
}

// A dead registry keeps neither the other images nor other automations back.
func TestRegistryFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]testkit.RegistryFault{
		"500": {Code: http.StatusInternalServerError}, "429": {Code: http.StatusTooManyRequests, RetryAfter: 1},
		"401": {Code: http.StatusUnauthorized}, "truncated": {Truncate: true}, "hangs": {Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			digest := s.push("1.1.0", "")
			other, err := s.registry.Push("other", "1.1.0", testkit.RegistryImage{Content: "other"})
			s.must(err)
			s.registry.Inject(func(r *http.Request) testkit.RegistryFault {
				if strings.Contains(r.URL.Path, "/model/") {
					return fault
				}
				return testkit.RegistryFault{}
			})
			// The same registry by another name: who is throttled is so at all of
			// a host.
			elsewhere := strings.Replace(s.image("other"), "127.0.0.1", "localhost", 1)
			s.commit("Serve the models", map[string]string{
				"pod.yaml":   s.pod("auto", s.image("model")+":1.0.0"),
				"other.yaml": strings.ReplaceAll(s.pod("auto", elsewhere+":1.0.0"), "auto/model", "auto/other"),
			})
			s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) {
				image := *a.Spec.Weir.Images[0].DeepCopy()
				image.Name, image.Image = "other", elsewhere
				a.Spec.Weir.Images[0].Timeout = &metav1.Duration{Duration: time.Second}
				a.Spec.Weir.Images = append(a.Spec.Weir.Images, image)
			}))
			s.start()
			s.awaitFile("other.yaml", ":1.1.0@"+other)
			reason := imagev1.ReadOperationFailedReason
			if name == "401" {
				reason = imagev1.AuthenticationFailedReason
			}
			s.awaitFailure("auto", reason, "image 'model': list the tags of "+s.image("model"))
			s.registry.Inject(nil)
			s.awaitFile("pod.yaml", ":1.1.0@"+digest)
			s.await("auto", "is ready", isReady)
		})
	}
}

func TestSecretsAreMissing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	source := &sourcev1.GitRepository{}
	s.must(kube.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: "repo"}, source))
	before := source.DeepCopy()
	source.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "git"}
	s.must(kube.Patch(t.Context(), source, client.MergeFrom(before)))
	s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.Images[0].SecretRef = &meta.LocalObjectReference{Name: "registry"}
		a.Spec.GitSpec.Commit.SigningKey = &imagev1.SigningKey{Type: imagev1.SigningKeyTypeSSH, SecretRef: meta.LocalObjectReference{Name: "key"}}
	}))
	s.start()
	s.awaitFailure("auto", imagev1.SourceManagerFailedReason, "failed to get auth secret '"+s.ns+"/git': it does not exist")
	s.secret("git", map[string]string{"username": "a", "password": "b"})
	s.awaitFailure("auto", imagev1.SourceManagerFailedReason, "could not find signing key secret '"+s.ns+"/key': it does not exist")
	s.edit("auto", func(a *imagev1.ImageUpdateAutomation) { a.Spec.GitSpec.Commit.SigningKey = nil })
	s.awaitFailure("auto", imagev1.AuthenticationFailedReason, "the Secret '"+s.ns+"/registry' does not exist")
	s.edit("auto", func(a *imagev1.ImageUpdateAutomation) { a.Spec.Weir.Images[0].SecretRef = nil })
	s.awaitFile("pod.yaml", ":1.1.0@"+digest)
}

// Runs without news ask Git for a reference and write nothing.
func TestIdleRunsWriteNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push("1.0.0", "0.9")
	s.push("1.1.0", "0.5")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	s.create(s.automation("auto", gated, func(a *imagev1.ImageUpdateAutomation) { a.Spec.Interval.Duration = 20 * time.Millisecond }))
	s.start()
	s.awaitHeld("auto", imagev1.GateFailedReason, "0.5")
	before, start := s.request("auto"), s.git.Stats()
	s.poll("20 more runs", func() bool { return s.git.Stats().Requests >= start.Requests+40 }, func() string { return "" })
	if after := s.git.Stats(); after.Fetches != start.Fetches {
		t.Errorf("%d fetches without news", after.Fetches-start.Fetches)
	}
	if after := s.get("auto"); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the object was written without news:\n%+v\n%+v", before.Status, after.Status)
	}
}

func TestSuspendAndDelete(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) { a.Spec.Suspend = true }))
	s.create(s.automation("other", func(a *imagev1.ImageUpdateAutomation) { a.Spec.SourceRef.Name = "none" }))
	s.start()
	s.awaitFailure("other", imagev1.SourceManagerFailedReason, "referenced git repository does not exist")
	if a := s.get("auto"); a.Status.ObservedGeneration != -1 || s.git.Stats().Requests != 0 {
		t.Errorf("a suspended automation ran: %+v", a.Status)
	}
	s.edit("auto", func(a *imagev1.ImageUpdateAutomation) { a.Spec.Suspend = false })
	s.awaitFile("pod.yaml", ":1.1.0@"+digest)
	for _, name := range []string{"auto", "other"} {
		s.must(kube.Delete(t.Context(), s.get(name)))
		s.poll(name+" is gone", func() bool {
			return apierrors.IsNotFound(kube.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, &imagev1.ImageUpdateAutomation{}))
		}, func() string { return "" })
	}
}

// What everybody forgets: no field refers to the image.
func TestNothingIsMarked(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": "a: 1\n"})
	s.create(s.automation("auto"))
	s.start()
	a := s.await("auto", "is ready", isReady)
	if got := conditions.GetMessage(a, imagev1.ReadyCondition); !strings.HasPrefix(got, "repository up-to-date; no field below './' is marked for image 'model'") {
		t.Errorf("Ready says %q", got)
	}
}
