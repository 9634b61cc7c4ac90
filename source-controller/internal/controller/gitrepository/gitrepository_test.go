// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

func TestACommitBecomesAnArtifact(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	want := map[string]string{"infra/a.yaml": "a: 1", "run.sh": "x"}
	first := s.commit(want)
	s.Start()
	s.create()

	g := s.AwaitRevision("main@sha1:" + first)
	a := g.Status.Artifact
	if a.Path != "gitrepository/"+s.Namespace+"/repo/"+first+".tar.gz" || !strings.HasPrefix(a.Digest, "sha256:") || *a.Size == 0 {
		t.Errorf("artifact %+v", a)
	}
	if diff := cmp.Diff(want, s.Download(a)); diff != "" {
		t.Error(diff)
	}
	wantMetadata := map[string]string{
		"weir.dev/commit-author":  "Ada <ada@example.com>",
		"weir.dev/commit-subject": "Raise the budget of team-a to sixteen GPUs for the release",
		"weir.dev/commit-time":    "2026-01-02T03:04:05Z",
	}
	if diff := cmp.Diff(wantMetadata, a.Metadata); diff != "" {
		t.Error(diff)
	}
	s.CheckConditions(g, map[string]string{
		"Ready":             "True Succeeded stored artifact for revision 'main@sha1:" + first + "'",
		"ArtifactInStorage": "True Succeeded stored artifact for revision 'main@sha1:" + first + "'",
	})
	s.CheckStatus(g, status.CurrentStatus)
	s.AwaitEvent("NewArtifact", "stored artifact for commit 'Raise the budget of team-a to sixteen GPUs for the...'")

	want["infra/a.yaml"] = "a: 2"
	second := s.commit(want)
	g = s.Request()
	if !g.Status.Artifact.HasRevision("main@sha1:" + second) {
		t.Fatalf("artifact %+v", g.Status.Artifact)
	}
	if diff := cmp.Diff(want, s.Download(g.Status.Artifact)); diff != "" {
		t.Error(diff)
	}
	s.Download(a) // who is about to fetch the one before still can
}

func TestPollsWithoutNewsFetchAndWriteNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	s.create(func(g *sourcev1.GitRepository) { g.Spec.Interval.Duration = time.Millisecond })
	s.Start()
	before := s.AwaitRevision("main@sha1:" + hash)
	start := s.git.Stats().Requests
	// Each poll is two requests: what the server can do, and the reference.
	s.Eventually("1,000 polls", func() bool { return s.git.Stats().Requests >= start+2000 })
	if got := s.git.Stats().Fetches; got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
	if after := s.Get(); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the object was written: %s", cmp.Diff(before, after))
	}
	if got := s.Events("NewArtifact"); len(got) != 1 {
		t.Errorf("events %v", got)
	}
	s.Stop()
}

func TestFailuresKeepTheLastArtifact(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault           testkit.GitFault
		reason, message string
	}{
		"500":             {testkit.GitError, "GitOperationFailed", "failed to checkout and determine revision: unable to list remote for '$URL': the server answered 500"},
		"500 on fetch":    {testkit.GitErrorOnFetch, "GitOperationFailed", "unable to clone '$URL': the server answered 500"},
		"vanished":        {testkit.GitVanished, "GitOperationFailed", "the server answered 404 Not Found: there is no repository at this URL"},
		"truncated":       {testkit.GitTruncated, "GitOperationFailed", "the server ended its answer early"},
		"garbled":         {testkit.GitGarbled, "GitOperationFailed", "unable to clone '$URL'"},
		"login page":      {testkit.GitLoginPage, "GitOperationFailed", "does not answer in the smart HTTP protocol"},
		"does not answer": {testkit.GitHangs, "GitOperationFailed", "the server did not answer in time"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			first := s.commit(map[string]string{"a": strings.Repeat("old text ", 100)})
			s.create(func(g *sourcev1.GitRepository) {
				g.Spec.URL += "?token=s3cret"
				g.Spec.Timeout = &metav1.Duration{Duration: time.Minute}
				if tc.fault == testkit.GitHangs {
					g.Spec.Timeout.Duration = time.Second
				}
			})
			s.Start()
			before := s.AwaitRevision("main@sha1:" + first)

			second := s.commit(map[string]string{"a": strings.Repeat("new text ", 200)})
			s.git.SetFault(tc.fault)
			s.Edit(func(g *sourcev1.GitRepository) {
				g.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "1"}
			})
			message := strings.ReplaceAll(tc.message, "$URL", s.git.URL+"/repo.git")
			g := s.AwaitFailure(tc.reason, message)
			if diff := cmp.Diff(before.Status.Artifact, g.Status.Artifact); diff != "" {
				t.Errorf("the artifact has changed: %s", diff)
			}
			if got := conditions.Get(g, sourcev1.FetchFailedCondition); got == nil || got.Status != metav1.ConditionTrue || got.Reason != tc.reason {
				t.Errorf("FetchFailed is %+v", got)
			}
			if conditions.IsStalled(g) || g.Status.LastHandledReconcileAt != "1" {
				t.Errorf("status %+v", g.Status)
			}
			s.CheckStatus(g, status.InProgressStatus)
			for _, c := range g.Status.Conditions {
				if strings.Contains(c.Message, "s3cret") || strings.Contains(c.Message, "secret body") {
					t.Errorf("condition %s shows what it must not: %s", c.Type, c.Message)
				}
			}
			s.Download(g.Status.Artifact)
			s.AwaitEvent(tc.reason, message)

			s.git.SetFault(testkit.GitHealthy)
			g = s.AwaitRevision("main@sha1:" + second) // by its own retry
			s.CheckConditions(g, map[string]string{
				"Ready":             "True Succeeded stored artifact for revision 'main@sha1:" + second + "'",
				"ArtifactInStorage": "True Succeeded stored artifact for revision 'main@sha1:" + second + "'",
			})
		})
	}
}

func TestRecoveryIsAnEvent(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start()
	s.AwaitRevision("main@sha1:" + hash)
	s.git.SetFault(testkit.GitVanished)
	s.Request()
	s.AwaitFailure("GitOperationFailed", "404")
	s.git.SetFault(testkit.GitHealthy)
	s.AwaitRevision("main@sha1:" + hash)
	s.AwaitEvent("Succeeded", "stored artifact for commit 'main@sha1:"+hash+"'")
}

func TestUnsupportedFieldsStall(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start()
	s.AwaitRevision("main@sha1:" + hash)
	ref := fluxmeta.LocalObjectReference{Name: "x"}
	for field, set := range map[string]func(*sourcev1.GitRepositorySpec){
		"spec.provider: aws": func(g *sourcev1.GitRepositorySpec) { g.Provider = "aws" },
		"spec.verify": func(g *sourcev1.GitRepositorySpec) {
			g.Verification = &sourcev1.GitRepositoryVerification{SecretRef: ref}
		},
		"spec.proxySecretRef":    func(g *sourcev1.GitRepositorySpec) { g.ProxySecretRef = &ref },
		"spec.recurseSubmodules": func(g *sourcev1.GitRepositorySpec) { g.RecurseSubmodules = true },
		"spec.include": func(g *sourcev1.GitRepositorySpec) {
			g.Include = []sourcev1.GitRepositoryInclude{{GitRepositoryRef: ref}}
		},
		"spec.sparseCheckout": func(g *sourcev1.GitRepositorySpec) { g.SparseCheckout = []string{"a"} },
		"spec.verify, spec.include": func(g *sourcev1.GitRepositorySpec) {
			g.Verification = &sourcev1.GitRepositoryVerification{SecretRef: ref}
			g.Include = []sourcev1.GitRepositoryInclude{{GitRepositoryRef: ref}}
		},
	} {
		var good sourcev1.GitRepositorySpec
		s.Edit(func(g *sourcev1.GitRepository) { good = *g.Spec.DeepCopy(); set(&g.Spec) })
		message := "this version of source-controller does not support " + field + "; remove it from the spec"
		g := s.Await("stalls because of "+field, func(g *sourcev1.GitRepository) bool {
			return conditions.IsStalled(g) && conditions.GetMessage(g, fluxmeta.StalledCondition) == message
		})
		if g.Status.ObservedGeneration != g.Generation || conditions.GetReason(g, fluxmeta.ReadyCondition) != artifact.UnsupportedFieldReason || conditions.IsReady(g) {
			t.Errorf("%s: status %+v", field, g.Status)
		}
		if !g.Status.Artifact.HasRevision("main@sha1:" + hash) {
			t.Errorf("%s: the artifact is gone", field)
		}
		s.CheckStatus(g, status.FailedStatus)
		s.Edit(func(g *sourcev1.GitRepository) { g.Spec = good })
		s.AwaitRevision("main@sha1:" + hash)
	}
}

func TestSpecErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change          func(*sourcev1.GitRepository)
		reason, message string
		stalled         bool
	}{
		"URL without a host": {func(g *sourcev1.GitRepository) { g.Spec.URL = "https://" }, "URLInvalid", "spec.url: the URL is not valid", true},
		"missing Secret":     {func(g *sourcev1.GitRepository) { g.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "creds"} }, "AuthenticationFailed", "failed to get secret '$NS/creds': it does not exist", false},
		"GitHub App": {func(g *sourcev1.GitRepository) {
			g.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "app"}
		}, "AuthenticationFailed", "the Secret holds the data of a GitHub App", false},
		"ssh without Secret":  {func(g *sourcev1.GitRepository) { g.Spec.URL = "ssh://git@127.0.0.1/x" }, "AuthenticationFailed", "access over SSH needs a Secret with the key 'identity'", false},
		"no such branch":      {func(g *sourcev1.GitRepository) { g.Spec.Reference = nil }, "GitOperationFailed", "couldn't find remote ref 'refs/heads/master'; the default branch of the repository is 'main'", false},
		"link-local":          {func(g *sourcev1.GitRepository) { g.Spec.URL = "http://169.254.169.254/latest/meta-data" }, "GitOperationFailed", "the address is link-local or multicast, which is never permitted", false},
		"link-local in ssh":   {func(g *sourcev1.GitRepository) { g.Spec.URL = "http://[::ffff:169.254.169.254]/x" }, "GitOperationFailed", "never permitted", false},
		"password in the URL": {func(g *sourcev1.GitRepository) { g.Spec.URL = "http://bob:s3cret@127.0.0.1:1/x" }, "GitOperationFailed", "'http://127.0.0.1:1/x'", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.commit(map[string]string{"a": "1"})
			s.Must(s.Kube.Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "app"}, StringData: map[string]string{"githubAppID": "1"},
			}))
			s.create(tc.change)
			s.Start()
			g := s.AwaitFailure(tc.reason, strings.ReplaceAll(tc.message, "$NS", s.Namespace))
			if conditions.IsStalled(g) != tc.stalled || g.Status.Artifact != nil {
				t.Errorf("status %+v", g.Status)
			}
			if strings.Contains(conditions.GetMessage(g, fluxmeta.ReadyCondition), "s3cret") {
				t.Errorf("message %s", conditions.GetMessage(g, fluxmeta.ReadyCondition))
			}
		})
	}
}

func TestLocalSourcesNeedTheFlag(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start("--allow-local-sources=false")
	s.AwaitFailure("GitOperationFailed", "the address is on the controller's own host, which is permitted only with --allow-local-sources")
	if got := s.git.Stats().Requests; got != 0 {
		t.Errorf("the server saw %d requests", got)
	}
}

func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.create()
	s.Start()
	s.AwaitFailure("EmptyGitRepository", "git repository is empty")
	hash := s.commit(map[string]string{"a": "1"})
	s.AwaitRevision("main@sha1:" + hash)
}

func TestSecretIsReadAtEachTry(t *testing.T) {
	t.Parallel()
	s := newSuite(t, testkit.GitMutualTLS(), testkit.GitBasicAuth("bob", "s3cret"))
	hash := s.commit(map[string]string{"a": "1"})
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "creds"},
		StringData: map[string]string{
			"username": "bob", "password": "wrong", "ca.crt": string(s.git.CA),
			"tls.crt": string(s.git.ClientCert), "tls.key": string(s.git.ClientKey),
		},
	}
	s.Must(s.Kube.Create(t.Context(), secret))
	s.create(func(g *sourcev1.GitRepository) { g.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "creds"} })
	s.Start()
	s.AwaitFailure("AuthenticationFailed", "the server answered 401 Unauthorized: check the credentials in the Secret")
	s.Must(s.Kube.Patch(t.Context(), secret, client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{"password":"s3cret"}}`))))
	s.AwaitRevision("main@sha1:" + hash)
}

func TestSSH(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	server, err := testkit.NewGitSSHServer(filepath.Dir(s.repo.Dir))
	s.Must(err)
	defer server.Close()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "creds"},
		Data:       map[string][]byte{"identity": server.EncryptedIdentity, "password": []byte(server.Passphrase), "known_hosts": server.WrongKnownHosts},
	}
	s.Must(s.Kube.Create(t.Context(), secret))
	s.create(func(g *sourcev1.GitRepository) {
		g.Spec.URL = server.URL + "/repo.git"
		g.Spec.SecretRef = &fluxmeta.LocalObjectReference{Name: "creds"}
	})
	s.Start()
	s.AwaitFailure("AuthenticationFailed", "the host key of the server is not the one in 'known_hosts'")
	secret.Data["known_hosts"] = server.KnownHosts
	s.Must(s.Kube.Update(t.Context(), secret))
	s.AwaitRevision("main@sha1:" + hash)
	hash = s.commit(map[string]string{"a": "2"})
	if g := s.Request(); !g.Status.Artifact.HasRevision("main@sha1:"+hash) || s.Download(g.Status.Artifact)["a"] != "2" {
		t.Errorf("status %+v", g.Status)
	}
}

func TestSuspendedObjectsRest(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start()
	s.AwaitRevision("main@sha1:" + first)
	s.Edit(func(g *sourcev1.GitRepository) { g.Spec.Suspend = true })
	second := s.commit(map[string]string{"a": "2"})
	before := s.git.Stats().Requests
	if g := s.Request(); !g.Status.Artifact.HasRevision("main@sha1:"+first) || s.git.Stats().Requests != before {
		t.Errorf("suspended, and yet: %+v", g.Status)
	}
	s.Edit(func(g *sourcev1.GitRepository) { g.Spec.Suspend = false })
	s.AwaitRevision("main@sha1:" + second)
}

func TestDeletionRemovesTheArtifacts(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start()
	g := s.AwaitRevision("main@sha1:" + hash)
	if diff := cmp.Diff([]string{sourcev1.SourceFinalizer}, g.Finalizers); diff != "" {
		t.Error(diff)
	}
	s.Must(s.Kube.Delete(t.Context(), g))
	s.Eventually("the object is gone", s.IsGone)
	if _, err := os.Stat(filepath.Join(s.Storage, "gitrepository", s.Namespace, "repo")); !os.IsNotExist(err) {
		t.Errorf("the directory of its artifacts is still there: %v", err)
	}
}

func TestADeletedObjectGetsNoFinalizer(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.create(func(g *sourcev1.GitRepository) { g.Finalizers = []string{"example.com/other"} })
	s.Must(s.Kube.Delete(t.Context(), s.Get()))
	s.Start()
	s.Edit(func(g *sourcev1.GitRepository) {
		g.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "1"}
	})
	// A second object shows that the controller has come past the first one.
	other := s.Get()
	other.ObjectMeta = metav1.ObjectMeta{Namespace: s.Namespace, Name: "other"}
	s.Must(s.Kube.Create(t.Context(), other))
	s.Eventually("the other object has a status", func() bool {
		s.Must(s.Kube.Get(t.Context(), client.ObjectKeyFromObject(other), other))
		return len(other.Status.Conditions) > 0
	})
	if diff := cmp.Diff([]string{"example.com/other"}, s.Get().Finalizers); diff != "" {
		t.Error(diff)
	}
	s.Edit(func(g *sourcev1.GitRepository) { g.Finalizers = nil })
}
