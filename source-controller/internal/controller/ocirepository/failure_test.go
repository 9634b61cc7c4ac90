// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
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
)

func TestFailuresKeepTheLastArtifact(t *testing.T) {
	t.Parallel()
	const manifests, blobs = "/manifests/", "/blobs/"
	tests := map[string]struct {
		fault           testkit.RegistryFault
		method, part    string
		reason, message string
	}{
		"500":                {testkit.RegistryFault{Code: 500}, "", manifests, "OCIArtifactPullFailed", "failed to determine artifact digest: resolve $REPO:latest: the registry $HOST answered with status 500 Internal Server Error"},
		"tag is gone":        {testkit.RegistryFault{Code: 404}, "", manifests, "OCIArtifactPullFailed", "the registry $HOST has no such repository, tag or digest"},
		"throttled":          {testkit.RegistryFault{Code: 429, RetryAfter: 1}, "", manifests, "OCIArtifactPullFailed", "asks not to be called for a while"},
		"hangs":              {testkit.RegistryFault{Hang: true}, "", manifests, "OCIArtifactPullFailed", "ask the registry $HOST: it did not answer in time"},
		"other manifest":     {testkit.RegistryFault{Tamper: true}, "GET", manifests, "OCIArtifactPullFailed", "failed to pull artifact from 'oci://$REPO': read $REPO@$DIGEST: the registry $HOST sent a manifest with another digest"},
		"other layer":        {testkit.RegistryFault{Tamper: true}, "GET", blobs, "OCIArtifactPullFailed", "the registry $HOST sent a blob with another digest"},
		"cut layer":          {testkit.RegistryFault{Truncate: true}, "GET", blobs, "OCIArtifactPullFailed", "the registry $HOST sent a blob with another digest"},
		"layer is gone":      {testkit.RegistryFault{Code: 404}, "GET", blobs, "OCIArtifactPullFailed", "failed to pull artifact from 'oci://$REPO': read the blob"},
		"dropped connection": {testkit.RegistryFault{Drop: true}, "GET", blobs, "OCIArtifactPullFailed", "the connection ended in the middle of an answer"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			first := s.push("latest", map[string]string{"a": strings.Repeat("old", 100)})
			s.create(func(o *sourcev1.OCIRepository) {
				if tc.fault.Hang {
					o.Spec.Timeout = &metav1.Duration{Duration: time.Second}
				}
			})
			s.Start()
			before := s.AwaitRevision("latest@" + first)

			second := s.push("latest", map[string]string{"a": strings.Repeat("new", 200)})
			s.spoil(tc.fault, tc.method, tc.part)
			s.Ask()
			message := strings.NewReplacer("$REPO", s.registry.Host+"/"+repository, "$HOST", s.registry.Host, "$DIGEST", second).Replace(tc.message)
			o := s.AwaitFailure(tc.reason, message)
			if diff := cmp.Diff(before.Status.Artifact, o.Status.Artifact); diff != "" {
				t.Errorf("the artifact has changed: %s", diff)
			}
			if got := conditions.Get(o, sourcev1.FetchFailedCondition); got == nil || got.Status != metav1.ConditionTrue || got.Reason != tc.reason {
				t.Errorf("FetchFailed is %+v", got)
			}
			s.CheckStatus(o, status.InProgressStatus)
			for _, c := range o.Status.Conditions {
				if strings.Contains(c.Message, "secret body") {
					t.Errorf("condition %s shows what it must not: %s", c.Type, c.Message)
				}
			}
			s.Download(o.Status.Artifact)
			s.AwaitEvent(tc.reason, message)

			s.registry.Inject(nil)
			o = s.AwaitRevision("latest@" + second) // by its own retry
			s.CheckConditions(o, map[string]string{
				"Ready":             "True Succeeded stored artifact for digest 'latest@" + second + "'",
				"ArtifactInStorage": "True Succeeded stored artifact for digest 'latest@" + second + "'",
			})
		})
	}
}

// archive makes a layer of one entry.
func archive(t *testing.T, header tar.Header) string {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	writer := tar.NewWriter(zip)
	header.Mode = 0o644
	if err := errors.Join(writer.WriteHeader(&header), writer.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLayersThatAreRefused(t *testing.T) {
	t.Parallel()
	big, err := testkit.HelmArchive(map[string]string{"a": strings.Repeat("0", 300_000)})
	if err != nil {
		t.Fatal(err)
	}
	huge := map[string]string{"a": strings.Repeat("x", 300_000)}
	tests := map[string]struct {
		artifact        testkit.RegistryArtifact
		copied          bool
		reason, message string
	}{
		"path escapes":     {testkit.RegistryArtifact{Layers: []string{archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "../../x"})}}, false, "OCIArtifactLayerOperationFailed", `failed to extract layer contents from artifact: tar contained invalid name error "../../x"`},
		"absolute path":    {testkit.RegistryArtifact{Layers: []string{archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "/etc/x"})}}, false, "OCIArtifactLayerOperationFailed", "invalid name"},
		"hard link":        {testkit.RegistryArtifact{Layers: []string{archive(t, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"})}}, false, "OCIArtifactLayerOperationFailed", "unsupported file type"},
		"not an archive":   {testkit.RegistryArtifact{Layers: []string{"plain text"}}, false, "OCIArtifactLayerOperationFailed", "requires gzip-compressed body"},
		"no layers":        {testkit.RegistryArtifact{}, false, "OCIArtifactLayerOperationFailed", "no layers found in artifact"},
		"unpacks too big":  {testkit.RegistryArtifact{Layers: []string{string(big)}}, false, "OCIArtifactLayerOperationFailed", "its files have more than 100000 bytes, the limit of --artifact-max-size"},
		"too big":          {testkit.RegistryArtifact{Layers: []string{strings.Repeat("0", 100_001)}}, false, "OCIArtifactPullFailed", "more than 100000 bytes, the limit of --artifact-max-size"},
		"too big a copy":   {testkit.RegistryArtifact{Layers: []string{strings.Repeat("0", 100_001)}}, true, "OCIArtifactPullFailed", "more than 100000 bytes, the limit of --artifact-max-size"},
		"huge annotations": {testkit.RegistryArtifact{Layers: []string{archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "a"})}, Annotations: huge}, false, "OCIArtifactLayerOperationFailed", "the annotations of the manifest have 300001 bytes; the limit is 262144"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			digest := s.push("latest", map[string]string{"a": "1"})
			s.create(func(o *sourcev1.OCIRepository) {
				if tc.copied {
					o.Spec.LayerSelector = &sourcev1.OCILayerSelector{Operation: sourcev1.OCILayerCopy}
				}
			})
			s.Start("--artifact-max-size=100000")
			before := s.AwaitRevision("latest@" + digest)
			s.pushArtifact("latest", tc.artifact)
			s.Ask()
			o := s.AwaitFailure(tc.reason, tc.message)
			if diff := cmp.Diff(before.Status.Artifact, o.Status.Artifact); diff != "" {
				t.Error(diff)
			}
			entries, err := os.ReadDir(s.Storage)
			s.Must(err)
			for _, entry := range entries {
				if strings.HasPrefix(entry.Name(), ".tmp-") {
					t.Errorf("left behind: %s", entry.Name())
				}
			}
		})
	}
}

func TestSpecErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change          func(*sourcev1.OCIRepositorySpec)
		reason, message string
		stalled         bool
	}{
		"tag in the URL":      {func(o *sourcev1.OCIRepositorySpec) { o.URL += ":v1" }, "URLInvalid", "URL must not contain a tag; remove ':v1'", true},
		"no repository":       {func(o *sourcev1.OCIRepositorySpec) { o.URL = "oci://" }, "URLInvalid", "URL validation failed for 'oci://': value is not the name of a repository", true},
		"password in the URL": {func(o *sourcev1.OCIRepositorySpec) { o.URL = "oci://bob:s3cret@127.0.0.1/x" }, "URLInvalid", "URL validation failed", true},
		"digest of another kind": {func(o *sourcev1.OCIRepositorySpec) {
			o.Reference = &sourcev1.OCIRepositoryRef{Digest: "sha512:00"}
		}, "OCIArtifactPullFailed", "failed to determine artifact digest: spec.ref.digest 'sha512:00' is not 'sha256:'", false},
		"no such digest": {func(o *sourcev1.OCIRepositorySpec) {
			o.Reference = &sourcev1.OCIRepositoryRef{Digest: "sha256:" + strings.Repeat("0", 64)}
		}, "OCIArtifactPullFailed", "has no such repository, tag or digest", false},
		"no such tag": {func(o *sourcev1.OCIRepositorySpec) { o.Reference = &sourcev1.OCIRepositoryRef{Tag: "x"} }, "OCIArtifactPullFailed", "failed to determine artifact digest: resolve", false},
		"range":       {func(o *sourcev1.OCIRepositorySpec) { o.Reference = &sourcev1.OCIRepositoryRef{SemVer: "one"} }, "ReadOperationFailed", "semver 'one' parse error", false},
		"filter": {func(o *sourcev1.OCIRepositorySpec) {
			o.Reference = &sourcev1.OCIRepositoryRef{SemVer: "*", SemverFilter: "("}
		}, "ReadOperationFailed", "spec.ref.semverFilter: error parsing regexp", false},
		"no version":      {func(o *sourcev1.OCIRepositorySpec) { o.Reference = &sourcev1.OCIRepositoryRef{SemVer: "9.x"} }, "ReadOperationFailed", "failed to determine the artifact tag for 'oci://$REPO': no match found for semver: 9.x", false},
		"no Secret":       {func(o *sourcev1.OCIRepositorySpec) { o.SecretRef = &fluxmeta.LocalObjectReference{Name: "none"} }, "AuthenticationFailed", "failed to get credential: the Secret '$NS/none' does not exist", false},
		"no account":      {func(o *sourcev1.OCIRepositorySpec) { o.ServiceAccountName = "none" }, "AuthenticationFailed", "the service account '$NS/none' does not exist", false},
		"no certificates": {func(o *sourcev1.OCIRepositorySpec) { o.CertSecretRef = &fluxmeta.LocalObjectReference{Name: "odd"} }, "AuthenticationFailed", "the Secret '$NS/odd' holds neither 'ca.crt' nor 'tls.crt' and 'tls.key'", false},
		"no proxy":        {func(o *sourcev1.OCIRepositorySpec) { o.ProxySecretRef = &fluxmeta.LocalObjectReference{Name: "odd"} }, "AuthenticationFailed", "the Secret '$NS/odd' for the proxy has no key 'address'", false},
		"link-local":      {func(o *sourcev1.OCIRepositorySpec) { o.URL = "oci://169.254.169.254/latest/meta-data" }, "OCIArtifactPullFailed", "the address is link-local or multicast, which is never permitted", false},
		"plain HTTP":      {func(o *sourcev1.OCIRepositorySpec) { o.Insecure = false }, "OCIArtifactPullFailed", "'insecure: true' permits plain HTTP", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.push("latest", map[string]string{"a": "1"})
			s.Secret("odd", map[string]string{"x": "y"})
			s.create(func(o *sourcev1.OCIRepository) { tc.change(&o.Spec) })
			s.Start()
			o := s.AwaitFailure(tc.reason, strings.NewReplacer("$NS", s.Namespace, "$REPO", s.registry.Host+"/"+repository).Replace(tc.message))
			if conditions.IsStalled(o) != tc.stalled || o.Status.Artifact != nil {
				t.Errorf("status %+v", o.Status)
			}
			if strings.Contains(conditions.GetMessage(o, fluxmeta.ReadyCondition), "s3cret") {
				t.Errorf("message %s", conditions.GetMessage(o, fluxmeta.ReadyCondition))
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	account := func(s *suite, name string) {
		s.Must(s.Kube.Create(s.Context(), &corev1.ServiceAccount{
			ObjectMeta:       metav1.ObjectMeta{Namespace: s.Namespace, Name: name},
			ImagePullSecrets: []corev1.LocalObjectReference{{Name: "missing"}, {Name: "creds"}},
		}))
	}
	tests := map[string]struct {
		options []testkit.RegistryOption
		prepare func(*suite)
		change  func(*sourcev1.OCIRepositorySpec)
		flags   []string
	}{
		"basic": {
			options: []testkit.RegistryOption{testkit.RegistryBasicAuth("bob", "s3cret")},
			change:  func(o *sourcev1.OCIRepositorySpec) { o.SecretRef = &fluxmeta.LocalObjectReference{Name: "creds"} },
		},
		"token": {
			options: []testkit.RegistryOption{testkit.RegistryTokenAuth("bob", "s3cret")},
			change:  func(o *sourcev1.OCIRepositorySpec) { o.SecretRef = &fluxmeta.LocalObjectReference{Name: "creds"} },
		},
		"service account": {
			options: []testkit.RegistryOption{testkit.RegistryBasicAuth("bob", "s3cret")},
			prepare: func(s *suite) { account(s, "puller") },
			change:  func(o *sourcev1.OCIRepositorySpec) { o.ServiceAccountName = "puller" },
		},
		"service account of the flag": {
			options: []testkit.RegistryOption{testkit.RegistryBasicAuth("bob", "s3cret")},
			prepare: func(s *suite) { account(s, "puller") },
			change:  func(*sourcev1.OCIRepositorySpec) {},
			flags:   []string{"--default-service-account=puller"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, tc.options...)
			digest := s.push("latest", map[string]string{"a": "1"})
			secret := s.dockerConfig("creds", "bob", "wrong")
			if tc.prepare != nil {
				tc.prepare(s)
			}
			s.create(func(o *sourcev1.OCIRepository) { tc.change(&o.Spec) })
			s.Start(tc.flags...)
			o := s.AwaitFailure("OCIArtifactPullFailed", "does not accept the credentials")
			if message := conditions.GetMessage(o, fluxmeta.ReadyCondition); strings.Contains(message, "bob") || strings.Contains(message, "wrong") {
				t.Errorf("message %s", message)
			}
			good := strings.ReplaceAll(string(secret.Data[corev1.DockerConfigJsonKey]), "wrong", "s3cret")
			before := secret.DeepCopy()
			secret.Data = map[string][]byte{corev1.DockerConfigJsonKey: []byte(good)}
			s.Must(s.Kube.Patch(t.Context(), secret, client.MergeFrom(before)))
			s.AwaitRevision("latest@" + digest)
		})
	}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	s := newSuite(t, testkit.RegistryMutualTLS())
	digest := s.push("latest", map[string]string{"a": "1"})
	s.create()
	s.Start()
	s.AwaitFailure("OCIArtifactPullFailed", "certificate")
	s.Secret("tls", map[string]string{
		"ca.crt": string(s.registry.CA), "tls.crt": string(s.registry.ClientCert), "tls.key": string(s.registry.ClientKey),
	})
	s.Edit(func(o *sourcev1.OCIRepository) { o.Spec.CertSecretRef = &fluxmeta.LocalObjectReference{Name: "tls"} })
	s.AwaitRevision("latest@" + digest)
}

func TestALostDiskIsRebuilt(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("latest", map[string]string{"a": "1"})
	s.create()
	s.Start()
	before := s.AwaitRevision("latest@" + digest)
	s.Stop()
	s.LoseDisk()
	s.spoil(testkit.RegistryFault{Code: 503}, "", "")
	s.Start()
	o := s.AwaitFailure("OCIArtifactPullFailed", "503")
	if o.Status.Artifact != nil || o.Status.URL != "" || conditions.Has(o, sourcev1.ArtifactInStorageCondition) {
		t.Errorf("promises what is gone: %+v", o.Status)
	}
	s.registry.Inject(nil)
	o = s.AwaitRevision("latest@" + digest)
	if o.Status.Artifact.Digest != before.Status.Artifact.Digest || s.Download(o.Status.Artifact)["a"] != "1" || o.Status.URL != before.Status.URL {
		t.Errorf("status %+v, before %+v", o.Status, before.Status)
	}
}

func TestARestartPullsNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("latest", map[string]string{"a": "1"})
	s.create()
	s.Start()
	before := s.AwaitRevision("latest@" + digest)
	pulls := s.pulls()
	s.Stop()
	s.Start()
	after := s.Request()
	if diff := cmp.Diff(before.Status.Artifact, after.Status.Artifact); diff != "" {
		t.Error(diff)
	}
	if s.pulls() != pulls {
		t.Errorf("%d pulls after the restart", s.pulls()-pulls)
	}
}

func TestTheRegistryIsDownAndComesBack(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("latest", map[string]string{"a": "1"})
	s.create()
	s.Start()
	before := s.AwaitRevision("latest@" + first)
	s.spoil(testkit.RegistryFault{Drop: true}, "", "")
	s.Ask()
	s.AwaitFailure("OCIArtifactPullFailed", "ask the registry "+s.registry.Host)
	s.registry.Inject(nil)
	o := s.AwaitRevision("latest@" + first)
	s.AwaitEvent("Succeeded", "stored artifact with revision 'latest@"+first+"'")
	if diff := cmp.Diff(before.Status.Artifact, o.Status.Artifact); diff != "" {
		t.Error(diff)
	}
}
