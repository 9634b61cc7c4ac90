// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/acl"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestTheHighestTagIsPicked(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1.0.0", "1.2.0", "nightly", "1.10.0"})
	s.Start()
	s.create()
	p := s.AwaitFailure("DependencyNotReady", `failed to get the referred ImageRepository: referenced ImageRepository does not exist: ImageRepository.image.toolkit.fluxcd.io "models" not found`)
	s.CheckStatus(p, status.InProgressStatus)

	s.repository(s.Namespace)
	p = s.awaitLatest("1.10.0")
	image := s.Registry.Host + "/" + repo
	s.CheckConditions(p, map[string]string{"Ready": "True Succeeded Latest image tag for " + image + " resolved to 1.10.0"})
	s.CheckStatus(p, status.CurrentStatus)
	if diff := cmp.Diff([]string{imagev1.Finalizer}, p.Finalizers); diff != "" || p.Status.ObservedPreviousRef != nil {
		t.Errorf("%s, %+v", diff, p.Status)
	}

	// Tags that change nothing wake it, and write nothing.
	s.Registry.SetTags(repo, []string{"1.0.0", "1.10.0", "weekly"})
	s.rescan()
	s.Registry.SetTags(repo, []string{"1.10.0", "2.0.0"})
	s.rescan()
	p = s.awaitLatest("2.0.0")
	s.CheckConditions(p, map[string]string{"Ready": "True Succeeded Latest image tag for " + image + " resolved to 2.0.0 (previously " + image + ":1.10.0)"})
	s.Eventually("both events", func() bool { return len(s.Events("Succeeded")) == 2 })

	// A change of the spec counts at once.
	s.Edit(func(p *imagev1.ImagePolicy) { p.Spec.Policy.SemVer.Range = "<2.0.0" })
	s.awaitLatest("1.10.0")
	s.Edit(func(p *imagev1.ImagePolicy) { p.Spec.Suspend = true })
	s.Edit(func(p *imagev1.ImagePolicy) { p.Spec.Policy.SemVer.Range = ">=2.0.0" })
	if p = s.Request(); p.Status.LatestRef.Tag != "1.10.0" {
		t.Errorf("suspended, and yet: %+v", p.Status)
	}
	s.Edit(func(p *imagev1.ImagePolicy) { p.Spec.Suspend = false })
	s.awaitLatest("2.0.0")
}

func TestNothingToPick(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		tags            []string
		change          func(*imagev1.ImagePolicy)
		reason, message string
		stalled         bool
	}{
		"no tags":          {[]string{"x.sig"}, nil, "DependencyNotReady", "no tags in database", false},
		"nothing in range": {[]string{"0.1.0"}, nil, "Failure", "unable to determine latest version from provided list", false},
		"nothing matches":  {[]string{"1.0.0"}, func(p *imagev1.ImagePolicy) { p.Spec.FilterTags = &imagev1.TagFilter{Pattern: "^v"} }, "Failure", "version list argument cannot be empty", false},
		"unusable range":   {[]string{"1.0.0"}, func(p *imagev1.ImagePolicy) { p.Spec.Policy.SemVer.Range = "x y" }, "InvalidPolicy", "invalid policy: ", true},
		"unusable pattern": {[]string{"1.0.0"}, func(p *imagev1.ImagePolicy) { p.Spec.FilterTags = &imagev1.TagFilter{Pattern: "("} }, "InvalidPolicy", "failed to filter tags: ", true},
		"no policy":        {[]string{"1.0.0"}, func(p *imagev1.ImagePolicy) { p.Spec.Policy.SemVer = nil }, "InvalidPolicy", "invalid policy: ", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.Registry.SetTags(repo, []string{"1.0.0"})
			s.repository(s.Namespace)
			s.create()
			s.Start()
			s.awaitLatest("1.0.0")
			if tc.change != nil {
				s.Edit(tc.change)
			}
			s.Registry.SetTags(repo, tc.tags)
			s.rescan()
			p := s.AwaitFailure(tc.reason, tc.message)
			want := status.InProgressStatus
			if tc.stalled {
				want = status.FailedStatus
			}
			s.CheckStatus(p, want)
			if p.Status.LatestRef != nil || p.Status.ObservedPreviousRef != nil {
				t.Errorf("status %+v", p.Status)
			}
			s.Edit(func(p *imagev1.ImagePolicy) {
				p.Spec.Policy.SemVer, p.Spec.FilterTags = &imagev1.SemVerPolicy{Range: "1.x"}, nil
			})
			s.Registry.SetTags(repo, []string{"1.0.0"})
			s.rescan()
			s.awaitLatest("1.0.0")
		})
	}
}

func push(t *testing.T, s *suite, tag, content string) string {
	t.Helper()
	digest, err := s.Registry.Push(repo, tag, testkit.RegistryImage{Content: content})
	s.Must(err)
	return digest
}

func TestDigests(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := push(t, s, "1.0.0", "first")
	s.repository(s.Namespace)
	s.Start()
	s.create(func(p *imagev1.ImagePolicy) { p.Spec.DigestReflectionPolicy = imagev1.ReflectIfNotPresent })
	p := s.awaitLatest("1.0.0@" + first)
	if got, want := conditions.GetMessage(p, fluxmeta.ReadyCondition), "resolved to 1.0.0 with digest "+first; got[len(got)-len(want):] != want {
		t.Errorf("message %q", got)
	}
	second := push(t, s, "1.0.0", "second")
	if p = s.Request(); p.Status.LatestRef.Digest != first {
		t.Errorf("latest %s", p.Status.LatestRef)
	}
	s.Edit(func(p *imagev1.ImagePolicy) {
		p.Spec.DigestReflectionPolicy, p.Spec.Interval = imagev1.ReflectAlways, &metav1.Duration{Duration: 50 * time.Millisecond}
	})
	p = s.awaitLatest("1.0.0@" + second)
	if p.Status.ObservedPreviousRef == nil || p.Status.ObservedPreviousRef.Digest != first {
		t.Errorf("previous %s", p.Status.ObservedPreviousRef)
	}
	// It is looked at again and again, which writes nothing.
	heads := s.Registry.Requests("/manifests/1.0.0")
	s.Eventually("ten more looks", func() bool { return s.Registry.Requests("/manifests/1.0.0") >= heads+10 })
	if after := s.Get(); after.ResourceVersion != p.ResourceVersion {
		t.Errorf("written: %s", cmp.Diff(p.Status, after.Status))
	}
	third := push(t, s, "1.0.0", "third")
	s.awaitLatest("1.0.0@" + third)

	// What was picked stays whole while the registry is away.
	var broken atomic.Bool
	broken.Store(true)
	s.Registry.Inject(func(*http.Request) testkit.RegistryFault {
		if broken.Load() {
			return testkit.RegistryFault{Code: 500}
		}
		return testkit.RegistryFault{}
	})
	p = s.AwaitFailure("ReadOperationFailed", "failed fetching digest of "+s.Registry.Host+"/"+repo+":1.0.0: ")
	s.CheckStatus(p, status.InProgressStatus)
	heads = s.Registry.Requests("/manifests/1.0.0")
	s.Eventually("two more tries", func() bool { return s.Registry.Requests("/manifests/1.0.0") >= heads+2 })
	if after := s.Get(); after.ResourceVersion != p.ResourceVersion || after.Status.LatestRef.Digest != third {
		t.Errorf("written: %s", cmp.Diff(p.Status, after.Status))
	}
	broken.Store(false)
	s.awaitLatest("1.0.0@" + third)
	s.Edit(func(p *imagev1.ImagePolicy) {
		p.Spec.DigestReflectionPolicy, p.Spec.Interval = imagev1.ReflectNever, nil
	})
	s.awaitLatest("1.0.0")
}

func TestOtherNamespaces(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1.0.0"})
	s.everywhere()
	other := s.Namespace + "-images"
	s.Must(s.Kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{"suite": s.Namespace}}}))
	label := func(obj metav1.Object) { obj.SetLabels(map[string]string{"suite": s.Namespace}) }
	s.repository(other, func(r *imagev1.ImageRepository) { label(r) })
	s.create(func(p *imagev1.ImagePolicy) {
		label(p)
		p.Spec.ImageRepositoryRef.Namespace = other
	})
	s.Start()
	p := s.AwaitFailure("AccessDenied", "access denied: '"+other+"/models' can't be accessed due to missing ACL labels on 'accessFrom'")
	s.CheckStatus(p, status.InProgressStatus)

	r := &imagev1.ImageRepository{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: other, Name: "models"}, r))
	before := r.DeepCopy()
	r.Spec.AccessFrom = &acl.AccessFrom{NamespaceSelectors: []acl.NamespaceSelector{{MatchLabels: map[string]string{"team": "ml"}}}}
	s.Must(s.Kube.Patch(t.Context(), r, client.MergeFrom(before)))
	s.AwaitFailure("AccessDenied", "due to ACL labels mismatch on namespace '"+s.Namespace+"'")

	ns := &corev1.Namespace{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Name: s.Namespace}, ns))
	unlabelled := ns.DeepCopy()
	ns.Labels["team"] = "ml"
	s.Must(s.Kube.Patch(t.Context(), ns, client.MergeFrom(unlabelled)))
	s.awaitLatest("1.0.0")

	s.Stop()
	s.Start("--no-cross-namespace-refs")
	p = s.AwaitFailure("AccessDenied", "cannot access 'ImageRepository/"+other+"/models', cross-namespace references have been blocked")
	if p.Status.LatestRef != nil {
		t.Errorf("latest %s", p.Status.LatestRef)
	}
}

func TestAnotherImage(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1.0.0"})
	s.Registry.SetTags("team/others", []string{"3.0.0"})
	s.repository(s.Namespace)
	s.create()
	s.Start()
	s.awaitLatest("1.0.0")
	s.editRepository(func(r *imagev1.ImageRepository) { r.Spec.Image = s.Registry.Host + "/team/others" })
	s.Await("follows", func(p *imagev1.ImagePolicy) bool {
		return conditions.IsReady(p) && p.Status.LatestRef.String() == s.Registry.Host+"/team/others:3.0.0"
	})
	s.editRepository(func(r *imagev1.ImageRepository) { r.Spec.Image = "team/others:3" })
	p := s.AwaitFailure("ImageURLInvalid", "spec.image value should not contain a tag")
	s.CheckStatus(p, status.FailedStatus)
}

// A restart with an empty disk reads the tags again and keeps what was picked.
func TestLostTagsAreReadAgain(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1.0.0"})
	s.repository(s.Namespace)
	s.create()
	s.Start()
	s.awaitLatest("1.0.0")
	s.Stop()
	s.Registry.SetTags(repo, []string{"1.0.0", "2.0.0"})
	s.Start("--storage-path=" + t.TempDir())
	s.awaitLatest("2.0.0")
	if got := s.Registry.Requests("/tags/list"); got != 2 {
		t.Errorf("%d scans, want 2", got)
	}
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.Registry.SetTags(repo, []string{"1.0.0"})
	s.repository(s.Namespace)
	s.create()
	s.create(func(p *imagev1.ImagePolicy) { p.Name, p.Finalizers = "other", []string{"example.com/other"} })
	other := &imagev1.ImagePolicy{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "other"}, other))
	s.Must(s.Kube.Delete(t.Context(), other))
	s.Start()
	s.Must(s.Kube.Delete(t.Context(), s.awaitLatest("1.0.0")))
	s.Eventually("the object is gone", func() bool {
		err := s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "latest"}, &imagev1.ImagePolicy{})
		return apierrors.IsNotFound(err)
	})
	s.Must(s.Kube.Get(t.Context(), client.ObjectKeyFromObject(other), other))
	if diff := cmp.Diff([]string{"example.com/other"}, other.Finalizers); diff != "" {
		t.Error(diff)
	}
	held := other.DeepCopy()
	other.Finalizers = nil
	s.Must(s.Kube.Patch(t.Context(), other, client.MergeFrom(held)))
}

// A digest that does not come holds nobody else, even with one worker.
func TestASilentRegistry(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := push(t, s, "1.0.0", "first")
	var silent atomic.Bool
	silent.Store(true)
	s.Registry.Inject(func(r *http.Request) testkit.RegistryFault {
		return testkit.RegistryFault{Hang: silent.Load() && strings.Contains(r.URL.Path, "/manifests/")}
	})
	s.repository(s.Namespace, func(r *imagev1.ImageRepository) { r.Spec.Timeout = &metav1.Duration{Duration: 5 * time.Second} })
	s.create(func(p *imagev1.ImagePolicy) { p.Spec.DigestReflectionPolicy = imagev1.ReflectIfNotPresent })
	s.Start("--concurrent=1")
	p := s.Await("waits for the digest", func(p *imagev1.ImagePolicy) bool {
		return conditions.GetMessage(p, fluxmeta.ReconcilingCondition) == "looking up the digest of the latest tag"
	})
	s.CheckStatus(p, status.InProgressStatus)
	if p.Status.LatestRef != nil {
		t.Errorf("latest %s", p.Status.LatestRef)
	}
	s.create(func(p *imagev1.ImagePolicy) { p.Name = "other" })
	s.Eventually("the other one is ready", func() bool {
		other := &imagev1.ImagePolicy{}
		s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "other"}, other))
		return conditions.IsReady(other)
	})
	s.AwaitFailure("ReadOperationFailed", "it did not answer in time")
	silent.Store(false)
	s.awaitLatest("1.0.0@" + digest)
}
