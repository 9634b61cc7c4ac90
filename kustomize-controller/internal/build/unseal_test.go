// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/base64"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/sopstest"
)

// password is what is encrypted, and must be nowhere but in objects.
const password = "correct-horse-battery-staple"

// safe encrypts files and decrypts them.
type safe struct {
	seal      func(in format.Format, plain string) string
	decrypter *decrypt.Decrypter
	// other has another key.
	other *decrypt.Decrypter
}

func newSafe(t *testing.T) *safe {
	t.Helper()
	services := decrypt.NewServices(decrypt.Config{Dial: (&net.Dialer{}).DialContext})
	holding := func(secret string) *decrypt.Decrypter {
		keys, err := decrypt.ParseKeys("Secret 'team/keys'", map[string][]byte{"a.agekey": []byte(secret)})
		if err != nil {
			t.Fatal(err)
		}
		return services.Decrypter(keys, decrypt.Account{})
	}
	key, master := sopstest.Age(t)
	other, _ := sopstest.Age(t)
	return &safe{
		seal: func(in format.Format, plain string) string {
			regex := ""
			if strings.Contains(plain, "kind:") {
				regex = "^(data|stringData|template)$"
			}
			return sopstest.Encrypt(t, in, plain, regex, master)
		},
		decrypter: holding(key), other: holding(other),
	}
}

// files are encrypted in every way that is decrypted.
func (s *safe) files() map[string]string {
	return map[string]string{
		"app/kustomization.yaml": head + "resources: [secret.yaml, deployment.yaml, ../base]\ncomponents: [../component]\n" +
			"secretGenerator: [{name: files, files: [token=token.enc, plain.txt, conf/app.yaml], envs: [prod.env], options: {disableNameSuffixHash: true}}]\n" +
			"configMapGenerator: [{name: shown, files: [shown.yaml], options: {disableNameSuffixHash: true}}]\n" +
			"patches: [{path: patch.yaml}]\n",
		"app/secret.yaml":     s.seal(format.YAML, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: whole\nstringData:\n  password: "+password+"\n"),
		"app/deployment.yaml": deployment, "app/token.enc": s.seal(format.Binary, password), "app/plain.txt": "plain",
		"app/conf/app.yaml": s.seal(format.YAML, "password: "+password+"\n"), "app/prod.env": s.seal(format.Dotenv, "PASSWORD="+password+"\n"),
		"app/shown.yaml":               s.seal(format.YAML, "password: "+password+"\n"),
		"app/patch.yaml":               s.seal(format.YAML, "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    metadata:\n      annotations:\n        password: "+password+"\n"),
		"base/kustomization.yaml":      head + "secretGenerator: [{name: base, files: [token], options: {disableNameSuffixHash: true}}]\n",
		"base/token":                   s.seal(format.Binary, password),
		"component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nsecretGenerator: [{name: component, files: [token], options: {disableNameSuffixHash: true}}]\n",
		"component/token":              s.seal(format.Binary, password),
	}
}

func sealedRequest(root, path string, decrypter Decrypter) Request {
	r := request(root, kustomizev1.KustomizationSpec{Path: path, Decryption: &kustomizev1.Decryption{Provider: "sops"}})
	r.Decrypter = decrypter
	return r
}

// texts returns the strings at the paths of objects, "name: path" to text; those in data of a Secret decoded.
func texts(objects []*unstructured.Unstructured) map[string]string {
	found := map[string]string{}
	for _, object := range objects {
		for _, field := range []string{"data", "stringData"} {
			values, _, _ := unstructured.NestedStringMap(object.Object, field)
			for key, value := range values {
				if plain, err := base64.StdEncoding.DecodeString(value); err == nil && object.GetKind() == "Secret" && field == "data" {
					value = string(plain)
				}
				found[object.GetName()+": "+key] = value
			}
		}
		annotation, _, _ := unstructured.NestedString(object.Object, "spec", "template", "metadata", "annotations", "password")
		if annotation != "" {
			found[object.GetName()+": annotation"] = annotation
		}
	}
	return found
}

func TestEverythingEncryptedIsDecrypted(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	b, root := New(Options{}), lay(t, s.files())
	for range 2 {
		result, err := b.Build(t.Context(), sealedRequest(root, "app", s.decrypter))
		if err != nil {
			t.Fatal(err)
		}
		got := texts(result.Objects)
		for name, want := range map[string]string{
			"whole: password": password, "files: token": password, "files: plain.txt": "plain", "files: app.yaml": "password: " + password + "\n",
			"files: PASSWORD": password, "web: annotation": password, "base: token": password, "component: token": password,
		} {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
		if shown := got["shown: shown.yaml"]; strings.Contains(shown, password) || !strings.Contains(shown, "ENC[") {
			t.Errorf("the ConfigMap shows %q, want it encrypted", shown)
		}
		for _, object := range result.Objects {
			if _, ok := object.Object["sops"]; ok {
				t.Errorf("%s %s still has the metadata of SOPS", object.GetKind(), object.GetName())
			}
		}
	}
	assertNotKept(t, b)
}

// assertNotKept fails if the cache holds something that was decrypted.
func assertNotKept(t *testing.T, b *Builder) {
	t.Helper()
	b.cache.mu.Lock()
	defer b.cache.mu.Unlock()
	for _, element := range b.cache.items {
		held, _ := element.Value.(*item)
		if held.key.spec != ([32]byte{}) {
			t.Errorf("a rendering of %s is kept", held.key.dir)
		}
		if found, ok := held.value.(*plan); ok {
			for _, e := range found.entries {
				if text := texts([]*unstructured.Unstructured{{Object: e.content}}); strings.Contains(strings.Join(valuesOf(text), " "), password) {
					t.Errorf("the plan of %s holds %v", held.key.dir, text)
				}
			}
		}
	}
}

func valuesOf(m map[string]string) []string {
	var values []string
	for value := range maps.Values(m) {
		values = append(values, value)
	}
	return values
}

// TestOneDigestTwoTenants builds the same artifact of the same source with the key, with another key and without any.
func TestOneDigestTwoTenants(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	b, root := New(Options{}), lay(t, s.files())
	if _, err := b.Build(t.Context(), sealedRequest(root, "app", s.decrypter)); err != nil {
		t.Fatal(err)
	}
	for name, decrypter := range map[string]Decrypter{"with another key": s.other, "without any": nil} {
		result, err := b.Build(t.Context(), sealedRequest(root, "app", decrypter))
		if err == nil || result != nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v, %v, want an error", name, result, err)
		}
	}
	if _, err := b.Build(t.Context(), sealedRequest(root, "app", s.decrypter)); err != nil {
		t.Errorf("with the key again: %v", err)
	}
}

func TestComponentsOfTheSpecAreDecrypted(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	files := s.files()
	files["bare/kustomization.yaml"] = head + "resources: [settings.yaml]\n"
	files["bare/settings.yaml"] = settings
	b, root := New(Options{}), lay(t, files)
	r := sealedRequest(root, "bare", s.decrypter)
	r.Kustomization.Spec.Components = []string{"../component"}
	result, err := b.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(result.Objects)["component: token"]; got != password {
		t.Errorf("the token is %q", got)
	}
	assertNotKept(t, b)
}

func TestDisabledDecryption(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	const other = "apiVersion: example.com/v1\nkind: Sealed\nmetadata:\n  name: other\n  annotations: {kustomize.toolkit.fluxcd.io/decrypt: Disabled}\ndata: {a: " + password + "}\n"
	data := "apiVersion: v1\nkind: Secret\nmetadata: {name: entry, annotations: {kustomize.toolkit.fluxcd.io/decrypt: disabled}}\ndata: {a: " +
		base64.StdEncoding.EncodeToString([]byte(s.seal(format.Binary, password))) + "}\n"
	root := lay(t, map[string]string{"app/a.yaml": s.seal(format.YAML, other), "app/b.yaml": data})
	for name, decrypter := range map[string]Decrypter{"with a key": s.decrypter, "without": nil} {
		result, err := New(Options{}).Build(t.Context(), sealedRequest(root, "app", decrypter))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, text := range texts(result.Objects) {
			if strings.Contains(text, password) || !strings.Contains(text, "ENC[") {
				t.Errorf("%s: %s is %q, want it as it was", name, key, text)
			}
		}
	}
}

func TestFaultsOfEncryptedFiles(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	generator := head + "secretGenerator: [{name: a, files: [token]}]\n"
	token := s.seal(format.Binary, password)
	whole := s.files()["app/secret.yaml"]
	disabled := strings.Replace(whole, "name: whole", "name: whole\n    annotations: {kustomize.toolkit.fluxcd.io/decrypt: disabled}", 1)
	for name, tc := range map[string]struct {
		files     map[string]string
		decrypter Decrypter
		want      string
	}{
		"a file, with another key": {map[string]string{"kustomization.yaml": generator, "token": token}, s.other, "decrypt token: no key that it was encrypted for can be used; tried age age1"},
		"an object, with another key": {
			map[string]string{"a.yaml": whole}, s.other, "Secret whole in a.yaml:1: decrypt it: no key that it was encrypted for can be used; tried age age1",
		},
		"an object, without decryption": {map[string]string{"a.yaml": whole}, nil, "it is encrypted with SOPS; set spec.decryption"},
		"a Secret that is not to be":    {map[string]string{"a.yaml": disabled}, s.decrypter, "no API server accepts such a Secret"},
		"a file that is too large": {
			map[string]string{"kustomization.yaml": generator, "token": strings.Repeat("x", format.MaxBytes+1)}, s.decrypter, "token has more than 5242880 bytes",
		},
		"a file that a ConfigMap shows": {
			map[string]string{"kustomization.yaml": generator + "configMapGenerator: [{name: b, files: [token]}]\n", "token": token}, s.decrypter,
			"configMapGenerator would show it decrypted",
		},
		"a file in two formats": {
			map[string]string{"kustomization.yaml": head + "secretGenerator: [{name: a, files: [token, a.yaml=token]}]\n", "token": token}, s.decrypter, "used in two formats",
		},
		"a patch of nothing": {
			map[string]string{"kustomization.yaml": head + "patches: [{path: p.yaml}]\n", "p.yaml": s.files()["app/patch.yaml"]}, s.decrypter,
			"it fails with its encrypted files decrypted; the cause may quote them and is not shown",
		},
		"a variable in what was encrypted": {
			map[string]string{"a.yaml": strings.Replace(s.seal(format.YAML, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  x: ${"+strings.ReplaceAll(password, "-", "_")+"}\n"), "\r", "", 1)},
			s.decrypter, "its variables cannot be replaced; the cause may quote what was decrypted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sealedRequest(lay(t, tc.files), ".", tc.decrypter)
			r.Kustomization.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{"unused": "x"}}
			r.Variables = r.Kustomization.Spec.PostBuild.Substitute
			_, err := New(Options{}).Build(t.Context(), r)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q in it", err, tc.want)
			}
			for _, quoted := range []string{password, strings.ReplaceAll(password, "-", "_"), "ENC["} {
				if strings.Contains(err.Error(), quoted) {
					t.Errorf("error %q quotes %q", err, quoted)
				}
			}
		})
	}
}

// TestDecryptedBytesReachAWorkerByPipe looks at all that a worker leaves to see: arguments, environment, files.
func TestDecryptedBytesReachAWorkerByPipe(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	dir := t.TempDir()
	pattern, seen := filepath.Join(dir, "pattern"), filepath.Join(dir, "seen")
	if err := errors.Join(os.WriteFile(pattern, []byte(password+"\n"), 0o600), os.WriteFile(seen, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	const spy = `"$0" build-worker; status=$?
{ tr '\0' '\n' </proc/$$/environ; tr '\0' '\n' </proc/$$/cmdline; grep -r -f "$1" "$TMPDIR"; } >"$2"
exit $status`
	b := New(Options{Worker: []string{"/bin/sh", "-c", spy, worker(t)[0], pattern, seen}})
	root := lay(t, map[string]string{
		"kustomization.yaml": head + "resources: [\"" + site(t).URL + "/a.yaml\"]\nsecretGenerator: [{name: a, files: [token], options: {disableNameSuffixHash: true}}]\n",
		"token":              s.seal(format.Binary, password),
	})
	result, err := b.Build(t.Context(), sealedRequest(root, ".", s.decrypter))
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(result.Objects)["a: token"]; got != password {
		t.Errorf("the token is %q", got)
	}
	text, err := os.ReadFile(seen)
	if err != nil || len(text) == 0 || strings.Contains(string(text), password) {
		t.Errorf("a worker shows %q, %v", text, err)
	}
}
