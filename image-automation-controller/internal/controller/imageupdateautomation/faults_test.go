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
	proxy, err := testkit.NewFaultProxy(env.Account)
	s.Must(err)
	t.Cleanup(proxy.Close)
	s.Config = proxy.Config(env.Account)
	second := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	proxy.Inject(func(r *http.Request) testkit.Fault {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/imageupdateautomations/auto/status") {
			return testkit.Fault{Code: http.StatusInternalServerError}
		}
		return testkit.Fault{}
	})
	s.create(s.automation("auto"))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.Stop()
	if got := s.of("auto").Get().Status.LastPushCommit; got != "" {
		t.Fatalf("the status knows of %s", got)
	}
	proxy.Inject(nil)
	s.Start()
	a := s.of("auto").Await("is ready", isReady)
	head, err := s.repo.Git(t.Context(), "rev-parse", "main")
	s.Must(err)
	if a.Status.LastPushCommit != head || a.Status.LastPushTime == nil || s.git.Stats().Pushes != 1 {
		t.Errorf("status %+v after %d pushes, want the one commit %s", a.Status, s.git.Stats().Pushes, head)
	}
}

func TestPushIsDeclined(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	second := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	s.Must(s.repo.Hook("pre-receive", "echo secret of the hook >&2; exit 1"))
	s.create(s.automation("auto"))
	s.Start()
	a := s.of("auto").AwaitFailure(imagev1.GitOperationFailedReason, "failed to update source: ")
	if message := conditions.GetMessage(a, imagev1.ReadyCondition); strings.Contains(message, "secret of the hook") {
		t.Errorf("the message quotes the server: %s", message)
	}
	if conditions.IsStalled(a) || !conditions.IsReconciling(a) {
		t.Errorf("conditions %+v, want another try", a.Status.Conditions)
	}
	s.Must(s.repo.Hook("pre-receive", ""))
	s.awaitFile("pod.yaml", ":1.1.0@"+second)
	s.of("auto").Await("is ready", isReady)
}

func TestBranchIsDeleted(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.push("1.0.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	s.create(s.automation("auto"))
	s.Start()
	s.of("auto").Await("is ready", isReady)
	_, err := s.repo.Git(t.Context(), "update-ref", "-d", "refs/heads/main")
	s.Must(err)
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { a.Spec.Interval.Duration = 2 * time.Hour })
	s.of("auto").AwaitFailure(imagev1.GitOperationFailedReason, "failed to checkout source: ")
	if a := s.of("auto").Get(); conditions.IsStalled(a) {
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
			other, err := s.Registry.Push("other", "1.1.0", testkit.RegistryImage{Content: "other"})
			s.Must(err)
			s.Registry.Inject(func(r *http.Request) testkit.RegistryFault {
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
			s.Start()
			s.awaitFile("other.yaml", ":1.1.0@"+other)
			reason := imagev1.ReadOperationFailedReason
			if name == "401" {
				reason = imagev1.AuthenticationFailedReason
			}
			s.of("auto").AwaitFailure(reason, "image 'model': list the tags of "+s.image("model"))
			s.Registry.Inject(nil)
			s.awaitFile("pod.yaml", ":1.1.0@"+digest)
			s.of("auto").Await("is ready", isReady)
		})
	}
}

func TestSecretsAreMissing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	source := &sourcev1.GitRepository{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "repo"}, source))
	before := source.DeepCopy()
	source.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "git"}
	s.Must(s.Kube.Patch(t.Context(), source, client.MergeFrom(before)))
	s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.Images[0].SecretRef = &meta.LocalObjectReference{Name: "registry"}
		a.Spec.GitSpec.Commit.SigningKey = &imagev1.SigningKey{Type: imagev1.SigningKeyTypeSSH, SecretRef: meta.LocalObjectReference{Name: "key"}}
	}))
	s.Start()
	s.of("auto").AwaitFailure(imagev1.SourceManagerFailedReason, "failed to get auth secret '"+s.Namespace+"/git': it does not exist")
	s.secret("git", map[string]string{"username": "a", "password": "b"})
	s.of("auto").AwaitFailure(imagev1.SourceManagerFailedReason, "could not find signing key secret '"+s.Namespace+"/key': it does not exist")
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { a.Spec.GitSpec.Commit.SigningKey = nil })
	s.of("auto").AwaitFailure(imagev1.AuthenticationFailedReason, "the Secret '"+s.Namespace+"/registry' does not exist")
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { a.Spec.Weir.Images[0].SecretRef = nil })
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
	s.Start()
	s.awaitHeld("auto", imagev1.GateFailedReason, "0.5")
	before, start := s.of("auto").Request(), s.git.Stats()
	s.Poll("20 more runs", func() bool { return s.git.Stats().Requests >= start.Requests+40 }, func() string { return "" })
	if after := s.git.Stats(); after.Fetches != start.Fetches {
		t.Errorf("%d fetches without news", after.Fetches-start.Fetches)
	}
	if after := s.of("auto").Get(); after.ResourceVersion != before.ResourceVersion {
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
	s.Start()
	s.of("other").AwaitFailure(imagev1.SourceManagerFailedReason, "referenced git repository does not exist")
	if a := s.of("auto").Get(); a.Status.ObservedGeneration != -1 || s.git.Stats().Requests != 0 {
		t.Errorf("a suspended automation ran: %+v", a.Status)
	}
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { a.Spec.Suspend = false })
	s.awaitFile("pod.yaml", ":1.1.0@"+digest)
	for _, name := range []string{"auto", "other"} {
		s.Must(s.Kube.Delete(t.Context(), s.of(name).Get()))
		s.Poll(name+" is gone", func() bool {
			return apierrors.IsNotFound(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, &imagev1.ImageUpdateAutomation{}))
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
	s.Start()
	a := s.of("auto").Await("is ready", isReady)
	if got := conditions.GetMessage(a, imagev1.ReadyCondition); !strings.HasPrefix(got, "repository up-to-date; no field below './' is marked for image 'model'") {
		t.Errorf("Ready says %q", got)
	}
}
