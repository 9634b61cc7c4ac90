// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagerepository_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const repo = "team/models"

func TestScan(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	tags := []string{"sha256-0a1b.sig"}
	for i := range 12 {
		tags = append(tags, "1.0."+strconv.Itoa(i))
	}
	s.Registry.SetTags(repo, tags)
	s.Start()
	s.create()

	r := s.awaitTags(12)
	result := r.Status.LastScanResult
	s.CheckConditions(r, map[string]string{"Ready": "True Succeeded successful scan: found 12 tags with checksum " + result.Revision})
	s.CheckStatus(r, status.CurrentStatus)
	want := []string{"1.0.9", "1.0.8", "1.0.7", "1.0.6", "1.0.5", "1.0.4", "1.0.3", "1.0.2", "1.0.11", "1.0.10"}
	if diff := cmp.Diff(want, result.LatestTags); diff != "" || result.Revision == "" || result.ScanTime.IsZero() {
		t.Errorf("result %+v: %s", result, diff)
	}
	if diff := cmp.Diff([]string{`^.*\.sig$`}, r.Status.ObservedExclusionList); diff != "" {
		t.Error(diff)
	}
	if r.Status.CanonicalImageName != s.Registry.Host+"/team/models" || len(r.Finalizers) != 1 || r.Finalizers[0] != imagev1.Finalizer {
		t.Errorf("object %+v", r)
	}
	s.Eventually("an event", func() bool { return len(s.Events("Succeeded")) > 0 })

	// Another list of exclusions needs no other scan.
	lists := s.Registry.Requests("/tags/list")
	s.Edit(func(r *imagev1.ImageRepository) { r.Spec.ExclusionList = []string{`\.sig$`, `^1\.0\.1`} })
	r = s.awaitTags(9)
	if r.Status.LastScanResult.Revision == result.Revision || s.Registry.Requests("/tags/list") != lists {
		t.Errorf("result %+v after %d scans", r.Status.LastScanResult, s.Registry.Requests("/tags/list"))
	}

	// A request asks the registry.
	s.Registry.SetTags(repo, append(tags, "2.0.0"))
	if r = s.Request(); r.Status.LastScanResult.TagCount != 10 || r.Status.LastScanResult.LatestTags[0] != "2.0.0" {
		t.Errorf("result %+v", r.Status.LastScanResult)
	}
	// Another name does too.
	s.Registry.SetTags("team/others", []string{"x"})
	s.Edit(func(r *imagev1.ImageRepository) { r.Spec.Image = s.Registry.Host + "/team/others" })
	if r = s.awaitTags(1); r.Status.CanonicalImageName != s.Registry.Host+"/team/others" {
		t.Errorf("status %+v", r.Status)
	}
}

func TestPollsSeeNewTags(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1"})
	s.Start()
	s.create(func(r *imagev1.ImageRepository) { r.Spec.Interval.Duration = 50 * time.Millisecond })
	s.awaitTags(1)
	lists := s.Registry.Requests("/tags/list")
	s.Eventually("20 polls", func() bool { return s.Registry.Requests("/tags/list") >= lists+20 })
	if got := s.Events("Succeeded"); len(got) > 1 {
		t.Errorf("events %v", got)
	}
	s.Registry.SetTags(repo, []string{"1", "2"})
	s.awaitTags(2)
}

func TestOneScanForMany(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1"})
	for i := range 10 {
		s.create(func(r *imagev1.ImageRepository) {
			if i > 0 {
				r.Name += strconv.Itoa(i)
			}
		})
	}
	s.Start()
	s.Eventually("all are ready", func() bool {
		var list imagev1.ImageRepositoryList
		s.Must(s.Kube.List(s.Context(), &list, client.InNamespace(s.Namespace)))
		ready := 0
		for i := range list.Items {
			if conditions.IsReady(&list.Items[i]) {
				ready++
			}
		}
		return ready == 10
	})
	if got := s.Registry.Requests("/tags/list"); got != 1 {
		t.Errorf("%d scans, want 1", got)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault           testkit.RegistryFault
		reason, message string
	}{
		"500":             {testkit.RegistryFault{Code: 500}, "ReadOperationFailed", "scan failed: "},
		"404":             {testkit.RegistryFault{Code: 404}, "ReadOperationFailed", "scan failed: "},
		"401":             {testkit.RegistryFault{Code: 401}, "AuthenticationFailed", "scan failed: "},
		"truncated":       {testkit.RegistryFault{Truncate: true}, "ReadOperationFailed", "scan failed: "},
		"no JSON":         {testkit.RegistryFault{Garbage: true}, "ReadOperationFailed", "scan failed: "},
		"dropped":         {testkit.RegistryFault{Drop: true}, "ReadOperationFailed", "scan failed: "},
		"throttled":       {testkit.RegistryFault{Code: 429, RetryAfter: 1}, "ReadOperationFailed", "scan failed: "},
		"does not answer": {testkit.RegistryFault{Hang: true}, "ReadOperationFailed", "scan failed: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.Registry.SetTags(repo, []string{"1", "2"})
			s.create(func(r *imagev1.ImageRepository) { r.Spec.Timeout = &metav1.Duration{Duration: time.Second} })
			s.Start()
			s.awaitTags(2)
			var broken atomic.Bool
			broken.Store(true)
			s.Registry.Inject(func(*http.Request) testkit.RegistryFault {
				if broken.Load() {
					return tc.fault
				}
				return testkit.RegistryFault{}
			})
			s.Request()
			r := s.AwaitFailure(tc.reason, tc.message)
			if r.Status.LastScanResult.TagCount != 2 || conditions.GetReason(r, fluxmeta.ReconcilingCondition) != fluxmeta.ProgressingWithRetryReason {
				t.Errorf("status %+v", r.Status)
			}
			s.CheckStatus(r, status.InProgressStatus)
			// Trying again writes nothing as long as it fails the same way.
			requests := s.Registry.Requests("/v2/")
			s.Eventually("two more tries", func() bool { return s.Registry.Requests("/v2/") >= requests+2 })
			if again := s.Get(); again.ResourceVersion != r.ResourceVersion {
				t.Errorf("written again: %s", cmp.Diff(r.Status, again.Status))
			}
			s.Registry.SetTags(repo, []string{"1", "2", "3"})
			broken.Store(false)
			s.awaitTags(3)
			if got := s.Events(tc.reason); len(got) != 1 {
				t.Errorf("events %v", got)
			}
		})
	}
}

func TestUnusableSpecs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change          func(*imagev1.ImageRepository)
		reason, message string
		stalled         bool
	}{
		"tag":       {func(r *imagev1.ImageRepository) { r.Spec.Image = "alpine:3" }, "ImageURLInvalid", "spec.image value should not contain a tag; remove ':3'", true},
		"scheme":    {func(r *imagev1.ImageRepository) { r.Spec.Image = "https://alpine" }, "ImageURLInvalid", "spec.image value should not start with URL scheme; remove 'https://'", true},
		"no name":   {func(r *imagev1.ImageRepository) { r.Spec.Image = "A B" }, "ImageURLInvalid", "spec.image value", true},
		"cloud":     {func(r *imagev1.ImageRepository) { r.Spec.Provider = "aws" }, "UnsupportedField", "provider 'aws' is not supported", true},
		"exclusion": {func(r *imagev1.ImageRepository) { r.Spec.ExclusionList = []string{"a", "("} }, "InvalidPolicy", "spec.exclusionList[1]", true},
		"no Secret": {func(r *imagev1.ImageRepository) {
			r.Spec.SecretRef = &meta.LocalObjectReference{Name: "absent"}
		}, "AuthenticationFailed", "failed to configure authentication options: the Secret '", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.Registry.SetTags(repo, []string{"1"})
			s.create(tc.change)
			s.Start()
			r := s.AwaitFailure(tc.reason, tc.message)
			want := status.InProgressStatus
			if tc.stalled {
				want = status.FailedStatus
			}
			s.CheckStatus(r, want)
			if conditions.IsStalled(r) != tc.stalled || tc.stalled && r.Status.ObservedGeneration != r.Generation {
				t.Errorf("status %+v", r.Status)
			}
			s.Edit(func(r *imagev1.ImageRepository) {
				r.Spec.Image, r.Spec.Provider, r.Spec.ExclusionList, r.Spec.SecretRef = s.Registry.Host+"/"+repo, "generic", nil, nil
			})
			s.awaitTags(1)
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := newSuite(t, testkit.RegistryTokenAuth("bob", "s3cret"))
	s.Registry.SetTags(repo, []string{"1"})
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "creds"}, Type: corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"` + s.Registry.Host + `":{"username":"bob","password":"wrong"}}}`},
	}
	s.Must(s.Kube.Create(t.Context(), secret))
	s.create(func(r *imagev1.ImageRepository) { r.Spec.SecretRef = &meta.LocalObjectReference{Name: "creds"} })
	s.Start()
	r := s.AwaitFailure("AuthenticationFailed", "")
	if strings.Contains(conditions.GetMessage(r, fluxmeta.ReadyCondition), "wrong") {
		t.Errorf("message %q", conditions.GetMessage(r, fluxmeta.ReadyCondition))
	}
	secret.StringData = map[string]string{corev1.DockerConfigJsonKey: strings.Replace(string(secret.Data[corev1.DockerConfigJsonKey]), "wrong", "s3cret", 1)}
	s.Must(s.Kube.Update(t.Context(), secret))
	s.awaitTags(1)
}

func TestSuspendedObjectsRest(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1"})
	s.create()
	s.Start()
	s.awaitTags(1)
	s.Edit(func(r *imagev1.ImageRepository) { r.Spec.Suspend = true })
	s.Registry.SetTags(repo, []string{"1", "2"})
	lists := s.Registry.Requests("/tags/list")
	if r := s.Request(); r.Status.LastScanResult.TagCount != 1 || s.Registry.Requests("/tags/list") != lists {
		t.Errorf("suspended, and yet: %+v", r.Status)
	}
	s.Edit(func(r *imagev1.ImageRepository) { r.Spec.Suspend = false })
	s.Request()
	s.awaitTags(2)
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1"})
	s.create()
	s.Start()
	s.Must(s.Kube.Delete(t.Context(), s.awaitTags(1)))
	s.Eventually("the object is gone", func() bool {
		err := s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "models"}, &imagev1.ImageRepository{})
		return apierrors.IsNotFound(err)
	})
}

func TestADeletedObjectGetsNoFinalizer(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1"})
	s.create(func(r *imagev1.ImageRepository) { r.Finalizers = []string{"example.com/other"} })
	s.Must(s.Kube.Delete(t.Context(), s.Get()))
	s.create(func(r *imagev1.ImageRepository) { r.Name = "other" })
	s.Start()
	s.Eventually("the controller has come past it", func() bool {
		other := &imagev1.ImageRepository{}
		s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "other"}, other))
		return conditions.IsReady(other)
	})
	if diff := cmp.Diff([]string{"example.com/other"}, s.Get().Finalizers); diff != "" {
		t.Error(diff)
	}
	s.Edit(func(r *imagev1.ImageRepository) { r.Finalizers = nil })
}

func TestARestartForgetsNoScan(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1"})
	s.create()
	s.Start()
	before := s.awaitTags(1)
	s.Stop()
	lists := s.Registry.Requests("/tags/list")
	s.Start()
	s.create(func(r *imagev1.ImageRepository) { r.Name = "other" })
	s.Eventually("the controller is at work", func() bool {
		other := &imagev1.ImageRepository{}
		s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "other"}, other))
		return conditions.IsReady(other)
	})
	if after := s.Get(); !cmp.Equal(before.Status, after.Status) || s.Registry.Requests("/tags/list") != lists {
		t.Errorf("%d more scans; %s", s.Registry.Requests("/tags/list")-lists, cmp.Diff(before.Status, after.Status))
	}
}

// A registry that does not answer shows as work, holds nobody else even with
// one worker, and a restart in the middle of a requested scan begins it anew.
func TestASilentRegistry(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1"})
	s.Registry.SetTags("team/others", []string{"1"})
	var silent atomic.Bool
	silent.Store(true)
	s.Registry.Inject(func(r *http.Request) testkit.RegistryFault {
		return testkit.RegistryFault{Hang: silent.Load() && strings.Contains(r.URL.Path, repo)}
	})
	s.create()
	s.Start("--concurrent=1")
	r := s.Await("is being scanned", func(r *imagev1.ImageRepository) bool {
		return conditions.GetMessage(r, fluxmeta.ReconcilingCondition) == "scanning the image repository"
	})
	s.CheckStatus(r, status.InProgressStatus)
	if got := conditions.Get(r, fluxmeta.ReadyCondition); got == nil || got.Status != metav1.ConditionUnknown {
		t.Errorf("Ready %+v", got)
	}
	s.create(func(r *imagev1.ImageRepository) { r.Name, r.Spec.Image = "other", s.Registry.Host+"/team/others" })
	s.Eventually("the other one is ready", func() bool {
		other := &imagev1.ImageRepository{}
		s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "other"}, other))
		return conditions.IsReady(other)
	})
	s.Stop()
	silent.Store(false)
	s.Start()
	s.awaitTags(1)

	silent.Store(true)
	s.Edit(func(r *imagev1.ImageRepository) {
		r.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	r = s.Await("is being scanned again", func(r *imagev1.ImageRepository) bool { return conditions.IsReconciling(r) })
	if !conditions.IsTrue(r, fluxmeta.ReadyCondition) || r.Status.LastHandledReconcileAt != "now" {
		t.Errorf("status %+v", r.Status)
	}
	s.CheckStatus(r, status.InProgressStatus)
	s.Stop()
	silent.Store(false)
	s.Registry.SetTags(repo, []string{"1", "2"})
	s.Start()
	s.awaitTags(2)
}
