// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrepository_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestIndexBecomesAnArtifact(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.add("1.0.0")
	s.create()
	s.Start()
	r := s.AwaitRevision(first)
	hex := strings.TrimPrefix(first, "sha256:")
	if a := r.Status.Artifact; a.Digest != first || !strings.HasSuffix(a.Path, "/repo/index-"+hex+".yaml") || !strings.Contains(s.read(a.URL), "app-1.0.0.tgz") {
		t.Errorf("artifact %+v", a)
	}
	if !strings.HasSuffix(r.Status.URL, "/repo/index.yaml") || s.read(r.Status.URL) != s.read(r.Status.Artifact.URL) {
		t.Errorf("status.url %s", r.Status.URL)
	}
	message := "stored artifact: revision '" + first + "'"
	s.CheckConditions(r, map[string]string{
		"Ready": "True Succeeded " + message, "ArtifactInStorage": "True Succeeded " + message,
	})
	s.CheckStatus(r, status.CurrentStatus)
	s.AwaitEvent("NewArtifact", "stored fetched index of size ")

	// The same index is not transferred again.
	s.Request()
	s.Request()
	if got := s.server.Requests("GET /index.yaml"); got != 4 { // one by the test
		t.Errorf("%d requests", got)
	}
	if got := s.Get().Status.Artifact; !got.LastUpdateTime.Equal(&r.Status.Artifact.LastUpdateTime) {
		t.Error("the artifact was written again")
	}

	second := s.add("1.1.0")
	s.Ask()
	s.AwaitRevision(second)
	s.Must(s.Kube.Delete(t.Context(), s.Get()))
	s.Eventually("the object is gone", s.IsGone)
	if left := s.Files("*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A server that knows no ETags is asked for the index, and nothing is written.
func TestServerWithoutETags(t *testing.T) {
	t.Parallel()
	s := newSuite(t, testkit.HelmNoETags())
	first := s.add("1.0.0")
	s.create()
	s.Start()
	before := s.AwaitRevision(first)
	after := s.Request()
	if diff := cmp.Diff(before.Status.Artifact, after.Status.Artifact); diff != "" {
		t.Error(diff)
	}
}

func TestFailuresKeepTheIndex(t *testing.T) {
	t.Parallel()
	type fault = testkit.HelmFault
	tests := map[string]struct {
		fault           fault
		reason, message string
	}{
		"500":              {fault{RegistryFault: testkit.RegistryFault{Code: 500}}, "Failed", "failed to fetch Helm repository index: fetch $URL/index.yaml: the server answers 500 Internal Server Error"},
		"404":              {fault{RegistryFault: testkit.RegistryFault{Code: 404}}, "Failed", "the server answers 404 Not Found"},
		"hangs":            {fault{RegistryFault: testkit.RegistryFault{Hang: true}}, "Failed", "the server did not answer in time; spec.timeout is the limit"},
		"slow":             {fault{Delay: time.Minute}, "Failed", "the server did not answer in time"},
		"dropped":          {fault{RegistryFault: testkit.RegistryFault{Drop: true}}, "Failed", "the connection ended in the middle of the answer"},
		"a page":           {fault{RegistryFault: testkit.RegistryFault{Garbage: true}}, "IndexationFailed", "failed to load Helm repository from index YAML at $URL: it is not a valid index of a Helm repository"},
		"huge":             {fault{Padding: 1 << 30}, "Failed", "the index has more than 100000 bytes, the limit of --helm-index-max-size"},
		"file":             {fault{RegistryFault: testkit.RegistryFault{Redirect: "file:///etc/passwd"}}, "Failed", `a redirect to the scheme "file" is not followed`},
		"metadata service": {fault{RegistryFault: testkit.RegistryFault{Redirect: "http://169.254.169.254/latest"}}, "Failed", "never permitted"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			first := s.add("1.0.0")
			s.create(func(r *sourcev1.HelmRepository) { r.Spec.Timeout = &metav1.Duration{Duration: 2 * time.Second} })
			s.Start("--helm-index-max-size=100000")
			before := s.AwaitRevision(first)
			second := s.add("1.1.0")
			s.server.Inject(func(*http.Request) fault { return tc.fault })
			s.Ask()
			message := strings.ReplaceAll(tc.message, "$URL", s.server.URL)
			r := s.AwaitFailure(tc.reason, message)
			if diff := cmp.Diff(before.Status.Artifact, r.Status.Artifact); diff != "" {
				t.Errorf("the artifact has changed: %s", diff)
			}
			if got := conditions.Get(r, sourcev1.FetchFailedCondition); got == nil || got.Reason != tc.reason || conditions.IsStalled(r) {
				t.Errorf("FetchFailed is %+v", got)
			}
			for _, c := range r.Status.Conditions {
				if strings.Contains(c.Message, "secret") {
					t.Errorf("condition %s shows what it must not: %s", c.Type, c.Message)
				}
			}
			s.CheckStatus(r, status.InProgressStatus)
			s.AwaitEvent(tc.reason, message)
			s.server.Inject(nil)
			s.AwaitRevision(second) // by its own retry
		})
	}
}

func TestSpecErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change          func(*sourcev1.HelmRepositorySpec)
		reason, message string
		stalled         bool
	}{
		"URL of a registry": {func(r *sourcev1.HelmRepositorySpec) { r.URL = "oci://127.0.0.1/x" }, "URLInvalid", "'oci' URL scheme cannot be used with 'default' HelmRepository type", true},
		"no host":           {func(r *sourcev1.HelmRepositorySpec) { r.URL = "https://" }, "URLInvalid", "invalid Helm repository URL", true},
		"no Secret":         {func(r *sourcev1.HelmRepositorySpec) { r.SecretRef = named("none") }, "AuthenticationFailed", "failed to get secret '$NS/none': it does not exist", false},
		"half a login":      {func(r *sourcev1.HelmRepositorySpec) { r.SecretRef = named("half") }, "AuthenticationFailed", "the secret '$NS/half' cannot be used: it holds only one of 'username' and 'password'", false},
		"no certificates":   {func(r *sourcev1.HelmRepositorySpec) { r.CertSecretRef = named("half") }, "AuthenticationFailed", "it holds neither 'ca.crt' nor 'tls.crt' and 'tls.key'", false},
		"half a pair":       {func(r *sourcev1.HelmRepositorySpec) { r.CertSecretRef = named("pair") }, "AuthenticationFailed", "it holds only one of 'tls.crt' and 'tls.key'", false},
		"not PEM":           {func(r *sourcev1.HelmRepositorySpec) { r.CertSecretRef = named("text") }, "AuthenticationFailed", "the CA holds no PEM certificate", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.Secret("half", map[string]string{"username": "bob"})
			s.Secret("pair", map[string]string{"tls.crt": "s3cret"})
			s.Secret("text", map[string]string{"ca.crt": "s3cret"})
			s.create(func(r *sourcev1.HelmRepository) { tc.change(&r.Spec) })
			s.Start()
			r := s.AwaitFailure(tc.reason, strings.ReplaceAll(tc.message, "$NS", s.Namespace))
			if conditions.IsStalled(r) != tc.stalled || r.Status.Artifact != nil || strings.Contains(conditions.GetMessage(r, "Ready"), "s3cret") {
				t.Errorf("status %+v", r.Status)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	tests := map[string]func(s *suite, r *sourcev1.HelmRepositorySpec){
		"of two Secrets": func(s *suite, r *sourcev1.HelmRepositorySpec) {
			r.SecretRef, r.CertSecretRef = named("creds"), named("certs")
			s.Secret("certs", map[string]string{"ca.crt": string(s.server.CA), "tls.crt": string(s.server.ClientCert), "tls.key": string(s.server.ClientKey)})
		},
		"of one Secret, as it was once": func(_ *suite, r *sourcev1.HelmRepositorySpec) { r.SecretRef = named("creds") },
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, testkit.HelmMutualTLS(), testkit.HelmBasicAuth("bob", "s3cret"))
			revision := s.add("1.0.0")
			data := map[string]string{"username": "bob", "password": "wrong"}
			if !strings.Contains(name, "two") {
				data["caFile"], data["certFile"], data["keyFile"] = string(s.server.CA), string(s.server.ClientCert), string(s.server.ClientKey)
			}
			secret := s.Secret("creds", data)
			s.create(func(r *sourcev1.HelmRepository) { prepare(s, &r.Spec) })
			s.Start()
			s.AwaitFailure("Failed", "index.yaml: the server answers 401 Unauthorized: check the credentials")
			s.Must(s.Kube.Patch(t.Context(), secret, client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{"password":"s3cret"}}`))))
			s.AwaitRevision(revision)
		})
	}
}

// The ETag belongs to the spec that it was given for.
func TestAnotherURLIsFetched(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.create()
	s.Start()
	s.AwaitRevision(s.add("1.0.0"))
	other := newSuite(t)
	revision := other.add("2.0.0")
	// A server that takes any ETag for the present one.
	other.server.Inject(func(r *http.Request) testkit.HelmFault {
		if r.Header.Get("If-None-Match") != "" {
			return testkit.HelmFault{RegistryFault: testkit.RegistryFault{Code: http.StatusNotModified}}
		}
		return testkit.HelmFault{}
	})
	s.Edit(func(r *sourcev1.HelmRepository) { r.Spec.URL = other.server.URL })
	s.AwaitRevision(revision)
}

func TestRestartWithAnEmptyDisk(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	revision := s.add("1.0.0")
	s.create()
	s.Start()
	before := s.AwaitRevision(revision)
	s.Stop()
	s.LoseDisk()
	s.Start()
	r := s.Await("has its file again", func(r *sourcev1.HelmRepository) bool {
		if !conditions.IsReady(r) || r.Status.Artifact == nil {
			return false
		}
		_, err := os.Stat(s.File(r))
		return err == nil
	})
	if r.Status.Artifact.Digest != before.Status.Artifact.Digest {
		t.Errorf("artifact %+v", r.Status.Artifact)
	}

	s.Must(os.WriteFile(s.File(r), []byte("damaged"), 0o600))
	s.Ask()
	s.AwaitEvent("ArtifactVerificationFailed", "failed to verify integrity of artifact")
	s.Await("is whole again", func(r *sourcev1.HelmRepository) bool {
		if !conditions.IsReady(r) || r.Status.Artifact == nil {
			return false
		}
		content, err := os.ReadFile(s.File(r))
		return err == nil && strings.Contains(string(content), "app-1.0.0.tgz")
	})
}

// A repository of a registry is static, whatever it was before.
func TestTypeOCIIsStatic(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	revision := s.add("1.0.0")
	s.create()
	s.Start()
	s.AwaitRevision(revision)
	s.Edit(func(r *sourcev1.HelmRepository) {
		r.Spec.Type, r.Spec.URL = sourcev1.HelmRepositoryTypeOCI, "oci://127.0.0.1/x"
	})
	r := s.Await("is static", func(r *sourcev1.HelmRepository) bool {
		return len(r.Finalizers) == 0 && r.Status.Artifact == nil && len(r.Status.Conditions) == 0
	})
	if diff := cmp.Diff(sourcev1.HelmRepositoryStatus{}, r.Status); diff != "" {
		t.Error(diff)
	}
	s.CheckStatus(r, status.CurrentStatus)
	if left := s.Files("*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	version := r.ResourceVersion
	s.Ask()
	s.Edit(func(r *sourcev1.HelmRepository) { r.Spec.Type, r.Spec.URL = "", s.server.URL })
	if r := s.AwaitRevision(revision); r.ResourceVersion == version {
		t.Error("nothing happened")
	}

	fresh := s.Get()
	fresh.ObjectMeta = metav1.ObjectMeta{Namespace: s.Namespace, Name: "static"}
	fresh.Spec.Type, fresh.Spec.URL = sourcev1.HelmRepositoryTypeOCI, "oci://127.0.0.1/x"
	s.Must(s.Kube.Create(t.Context(), fresh))
	s.Eventually("a new one is static too", func() bool {
		s.Must(s.Kube.Get(t.Context(), client.ObjectKeyFromObject(fresh), fresh))
		return cmp.Equal(fresh.Status, sourcev1.HelmRepositoryStatus{}) && len(fresh.Finalizers) == 0
	})
}

func TestSuspendedObjectsRest(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.add("1.0.0")
	s.create()
	s.Start()
	s.AwaitRevision(first)
	s.Edit(func(r *sourcev1.HelmRepository) { r.Spec.Suspend = true })
	second := s.add("1.1.0")
	before := s.server.Requests("")
	if r := s.Request(); !r.Status.Artifact.HasRevision(first) || s.server.Requests("") != before {
		t.Errorf("suspended, and yet: %+v", r.Status)
	}
	s.Edit(func(r *sourcev1.HelmRepository) { r.Spec.Suspend = false })
	s.AwaitRevision(second)
}
