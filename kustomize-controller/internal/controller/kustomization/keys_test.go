// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/getsops/sops/v3/hcvault"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/sopstest"
)

// hidden is what the tests encrypt; nothing but Secrets may show it.
const hidden = "correct-horse-battery-staple"

// keySecret makes a Secret with keys, of which the controller is told when it
// changes.
func (s *suite) keySecret(namespace, name string, entries map[string]string) {
	s.Helper()
	s.must(kube.Create(s.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"reconcile.fluxcd.io/watch": "Enabled"}},
		StringData: entries,
	}))
}

// decrypting sets spec.decryption; the Secret may be none.
func decrypting(secret string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Decryption = &kustomizev1.Decryption{Provider: "sops"}
		if secret != "" {
			k.Spec.Decryption.SecretRef = &meta.LocalObjectReference{Name: secret}
		}
	}
}

// decoded returns an entry of a Secret in the cluster, or "".
func (s *suite) decoded(secret, entry string) string {
	s.Helper()
	text, err := base64.StdEncoding.DecodeString(field(s.live("v1/Secret", secret), "data", entry))
	s.must(err)
	return string(text)
}

// assertHidden fails if a Kustomization or an event shows what was encrypted.
func (s *suite) assertHidden(name string) {
	s.Helper()
	status, err := yaml.Marshal(s.get(name).Status)
	s.must(err)
	var events corev1.EventList
	s.must(kube.List(s.Context(), &events, client.InNamespace(s.ns)))
	for _, event := range events.Items {
		status = append(status, event.Message...)
	}
	for _, secret := range []string{hidden, base64.StdEncoding.EncodeToString([]byte(hidden)), "ENC[", "AGE-SECRET-KEY"} {
		if strings.Contains(string(status), secret) {
			s.Errorf("status or events show %q:\n%s", secret, status)
		}
	}
}

func TestEncryptedRepository(t *testing.T) {
	t.Parallel()
	ageKey, ageMaster := sopstest.Age(t)
	pgpKey, pgpMaster := sopstest.PGP(t, "")
	s := newSuite(t)
	s.keySecret(s.ns, "keys", map[string]string{"a.agekey": ageKey, "b.asc": pgpKey})
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: $NS}\nspec:\n  replicas: 0\n" +
		"  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: none}]}\n"
	revision := s.push(map[string]string{
		"kustomization.yaml": "resources: [secret.yaml, pgp.yaml, web.yaml]\npatches: [{path: patch.yaml}]\n" +
			"secretGenerator: [{name: generated, namespace: $NS, files: [token=token.enc], envs: [prod.env], options: {disableNameSuffixHash: true}}]\n",
		"secret.yaml": sopstest.Encrypt(t, format.YAML, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: whole\n  namespace: "+s.ns+"\nstringData:\n  password: "+hidden+"\n", "^stringData$", ageMaster),
		"pgp.yaml":    sopstest.Encrypt(t, format.YAML, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: pgp\n  namespace: "+s.ns+"\nstringData:\n  password: "+hidden+"\n", "^stringData$", pgpMaster),
		"web.yaml":    deployment,
		"patch.yaml":  sopstest.Encrypt(t, format.YAML, "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: "+s.ns+"\nspec:\n  template:\n    metadata:\n      annotations:\n        token: "+hidden+"\n", "^annotations$", ageMaster),
		"token.enc":   sopstest.Encrypt(t, format.Binary, hidden, "", ageMaster),
		"prod.env":    sopstest.Encrypt(t, format.Dotenv, "PASSWORD="+hidden+"\n", "", ageMaster),
	})
	s.create("app", decrypting("keys"))
	s.awaitReady("app", revision)

	for secret, entry := range map[string]string{"whole": "password", "pgp": "password"} {
		if got := s.decoded(secret, entry); got != hidden {
			t.Errorf("%s of Secret %s is %q", entry, secret, got)
		}
	}
	if token, env := s.decoded("generated", "token"), s.decoded("generated", "PASSWORD"); token != hidden || env != hidden {
		t.Errorf("the generated Secret holds %q and %q", token, env)
	}
	if got := field(s.live("apps/v1/Deployment", "web"), "spec", "template", "metadata", "annotations", "token"); got != hidden {
		t.Errorf("the patched annotation is %q", got)
	}
	s.assertHidden("app")

	// What was decrypted is put back like anything else.
	s.patch("somebody", "v1/Secret", "whole", "data: {password: d3Jvbmc=}")
	s.eventually("the Secret is put back", func() bool { return s.decoded("whole", "password") == hidden })
	s.assertHidden("app")
}

func TestAChangedKeyIsTried(t *testing.T) {
	t.Parallel()
	key, master := sopstest.Age(t)
	wrong, _ := sopstest.Age(t)
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": sopstest.Encrypt(t, format.YAML,
		"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: "+s.ns+"\nstringData:\n  password: "+hidden+"\n", "^stringData$", master)})
	s.create("app", decrypting("keys"))
	if got, want := s.awaitFailure("app", kustomizev1.BuildFailedReason), "spec.decryption.secretRef: Secret '"+s.ns+"/keys' not found"; !strings.HasPrefix(got, want) {
		t.Errorf("message %q, want %q", got, want)
	}
	s.keySecret(s.ns, "keys", map[string]string{"a.agekey": wrong})
	s.await("app", "fails with the wrong key", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), "Secret "+s.ns+"/a in a.yaml:1: decrypt it: no key that it was encrypted for can be used; tried age "+master.ToString())
	})
	s.assertHidden("app")
	s.patch("somebody", "v1/Secret", "keys", "stringData: {a.agekey: "+key+"}")
	s.awaitReady("app", revision)
	if got := s.decoded("a", "password"); got != hidden {
		t.Errorf("password %q", got)
	}
}

// TestOneDigestTwoTenants has two namespaces fetch the same bytes, and one of
// them build from the source of the other, too.
func TestOneDigestTwoTenants(t *testing.T) {
	t.Parallel()
	key, master := sopstest.Age(t)
	wrong, _ := sopstest.Age(t)
	owner, stranger := newSuite(t), newSuite(t)
	// The namespace is the Kustomization's, so that the bytes can be equal.
	files := map[string]string{
		"kustomization.yaml": "secretGenerator: [{name: generated, files: [token], options: {disableNameSuffixHash: true}}]\nresources: [a.yaml]\n",
		"a.yaml":             sopstest.Encrypt(t, format.YAML, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  password: "+hidden+"\n", "^stringData$", master),
		"token":              sopstest.Encrypt(t, format.Binary, hidden, "", master),
	}
	revision := owner.push(files)
	if got := stranger.push(files); got != revision {
		t.Fatalf("the digests differ: %s and %s", revision, got)
	}
	owner.keySecret(owner.ns, "keys", map[string]string{"a.agekey": key})
	stranger.keySecret(stranger.ns, "keys", map[string]string{"a.agekey": wrong})
	at := func(s *suite, from string) func(*kustomizev1.Kustomization) {
		return func(k *kustomizev1.Kustomization) {
			k.Spec.TargetNamespace, k.Spec.SourceRef.Namespace = s.ns, from
		}
	}
	owner.create("app", decrypting("keys"), at(owner, ""))
	owner.awaitReady("app", revision)

	// The name of the Secret is that of the owner's, and means another one.
	stranger.create("own", decrypting("keys"), at(stranger, ""))
	stranger.create("borrowed", decrypting("keys"), at(stranger, owner.ns))
	stranger.create("keyless", at(stranger, owner.ns))
	for _, name := range []string{"own", "borrowed", "keyless"} {
		stranger.awaitFailure(name, kustomizev1.BuildFailedReason)
		stranger.assertHidden(name)
	}
	for _, name := range []string{"a", "generated"} {
		if live := stranger.live("v1/Secret", name); live != nil {
			t.Errorf("the stranger has got Secret %s", name)
		}
	}
	owner.awaitReady("app", revision)
}

// TestKeysOfTheController decrypts with --sops-age-secret, which counts only
// where no Secret is named.
func TestKeysOfTheController(t *testing.T) {
	t.Parallel()
	key, master := sopstest.Age(t)
	s := newSuite(t)
	s.must(kube.Update(s.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "weir-system", Name: "sops-age"},
		StringData: map[string]string{"a.agekey": key, "sops.vault-token": ""},
	}))
	s.keySecret(s.ns, "keys", nil)
	revision := s.push(map[string]string{"a.yaml": sopstest.Encrypt(t, format.YAML,
		"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: "+s.ns+"\nstringData:\n  password: "+hidden+"\n", "^stringData$", master)})
	s.create("named", decrypting("keys"))
	if got := s.awaitFailure("named", kustomizev1.BuildFailedReason); !strings.Contains(got, "Secret '"+s.ns+"/keys' has no *.agekey entry") {
		t.Errorf("message %q", got)
	}
	s.create("app", decrypting(""))
	s.awaitReady("app", revision)
	if got := s.decoded("a", "password"); got != hidden {
		t.Errorf("password %q", got)
	}
}

// TestLoginToVault has the API server give out the token of a service account,
// and check it when Vault is shown it. There is no Vault on these machines: the
// server answers two of its requests.
func TestLoginToVault(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	vault := newVault(s)
	s.must(kube.Create(s.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "robot"}}))
	s.must(kube.Create(s.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "weir-system", Name: "vaults"},
		Data:       map[string]string{"config.yaml": "instances: [{address: '" + vault.URL + "', loginPath: auth/kubernetes/login}]"},
	}))
	key := hcvault.NewMasterKey(vault.URL, "transit", "weir")
	key.SetEncryptedDataKey([]byte("vault:v1:abc"))
	revision := s.push(map[string]string{"a.yaml": sopstest.Encrypt(t, format.YAML,
		"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: "+s.ns+"\nstringData:\n  password: "+hidden+"\n", "^stringData$", key)})
	s.create("app", decrypting(""), func(k *kustomizev1.Kustomization) { k.Spec.Decryption.ServiceAccountName = "robot" })
	s.awaitReady("app", revision)
	if got := s.decoded("a", "password"); got != hidden {
		t.Errorf("password %q", got)
	}
	s.create("nobody", decrypting(""), func(k *kustomizev1.Kustomization) { k.Spec.Decryption.ServiceAccountName = "nobody" })
	if got := s.awaitFailure("nobody", kustomizev1.BuildFailedReason); !strings.Contains(got, "ask for a token of service account "+s.ns+"/nobody") {
		t.Errorf("message %q", got)
	}
}

func newVault(s *suite) *httptest.Server {
	s.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	s.Cleanup(server.Close)
	answer := func(w http.ResponseWriter, ok bool, body any) {
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			body = map[string]any{"errors": []string{"permission denied"}}
		}
		_ = json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("PUT /v1/auth/kubernetes/login", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Role, JWT string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: body.JWT, Audiences: []string{server.URL}}}
		if err := kube.Create(r.Context(), review); err != nil {
			s.Error(err)
		}
		ok := review.Status.Authenticated && slices.Contains(review.Status.Audiences, server.URL) &&
			review.Status.User.Username == "system:serviceaccount:"+s.ns+":robot" && body.Role == s.ns+"_robot"
		answer(w, ok, map[string]any{"auth": map[string]string{"client_token": "of-" + s.ns}})
	})
	mux.HandleFunc("PUT /v1/transit/decrypt/weir", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r.Header.Get("X-Vault-Token") == "of-"+s.ns, map[string]any{
			"data": map[string]string{"plaintext": base64.StdEncoding.EncodeToString([]byte(sopstest.DataKey))},
		})
	})
	return server
}
