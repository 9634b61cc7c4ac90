// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestTargets(t *testing.T) {
	t.Parallel()
	const config = `{"auths":{"r.example.com":{"username":"%s","password":"p"}}}`
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "config.json"), fmt.Appendf(nil, config, "controller"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "creds"},
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: fmt.Appendf(nil, config, "tenant")},
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "plain"}}
	client := fake.NewClientBuilder().WithObjects(secret, account).Build()

	tests := map[string]struct {
		spec    imagev1.ImageRepositorySpec
		own     string
		user    string
		exclude string
		reason  string // with "!" if stalled
		message string
	}{
		"anonymous":            {spec: imagev1.ImageRepositorySpec{}, exclude: `^.*\.sig$`},
		"exclusions":           {spec: imagev1.ImageRepositorySpec{ExclusionList: []string{"a", "b"}}, exclude: "a b"},
		"own":                  {own: home, user: "controller", exclude: `^.*\.sig$`},
		"a Secret":             {spec: withAccess(imagev1.RegistryAccess{SecretRef: &meta.LocalObjectReference{Name: "creds"}}), own: home, user: "tenant", exclude: `^.*\.sig$`},
		"an account with none": {spec: withAccess(imagev1.RegistryAccess{ServiceAccountName: "plain"}), own: home, exclude: `^.*\.sig$`},
		"no such Secret": {
			spec:   withAccess(imagev1.RegistryAccess{SecretRef: &meta.LocalObjectReference{Name: "absent"}}),
			reason: "AuthenticationFailed", message: "failed to configure authentication options: the Secret 'team/absent' does not exist",
		},
		"cloud":     {spec: withAccess(imagev1.RegistryAccess{Provider: "gcp"}), reason: "UnsupportedField!", message: "provider 'gcp' is not supported"},
		"tag":       {spec: imagev1.ImageRepositorySpec{Image: "alpine:3"}, reason: "ImageURLInvalid!", message: "spec.image value should not contain a tag"},
		"exclusion": {spec: imagev1.ImageRepositorySpec{ExclusionList: []string{"a", "("}}, reason: "InvalidPolicy!", message: "spec.exclusionList[1]: invalid pattern: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj := &imagev1.ImageRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "models"}, Spec: tc.spec}
			obj.Spec.Interval.Duration = time.Minute
			if obj.Spec.Image == "" {
				obj.Spec.Image = "r.example.com/team/models"
			}
			target, err := Targets{Client: client, OwnConfig: tc.own}.Of(t.Context(), obj)
			if err != nil {
				reason, stalled := ReasonOf(err)
				if stalled {
					reason += "!"
				}
				if reason != tc.reason || !strings.Contains(err.Error(), tc.message) {
					t.Errorf("%s: %v; want %s: %s", reason, err, tc.reason, tc.message)
				}
				return
			}
			var exclude []string
			for _, pattern := range target.Exclude {
				exclude = append(exclude, pattern.String())
			}
			if got := strings.Join(exclude, " "); tc.reason != "" || target.Access.Username != tc.user || got != tc.exclude || target.Timeout != time.Minute {
				t.Errorf("target %+v, excluding %s", target, got)
			}
		})
	}
}

func withAccess(a imagev1.RegistryAccess) imagev1.ImageRepositorySpec {
	return imagev1.ImageRepositorySpec{RegistryAccess: a}
}

func TestHurry(t *testing.T) {
	t.Parallel()
	server := serve(t)
	server.SetTags("m", manyTags(1))
	s, _ := start(t, Options{MinRetry: time.Hour, MaxRetry: time.Hour})
	key := keyOf(t, server, "m")
	s.Hurry(key) // nobody knows it yet
	server.Inject(func(*http.Request) testkit.RegistryFault { return testkit.RegistryFault{Code: 500} })
	if _, err := await(t, s, key, 0, "a"); !errors.Is(err, oci.ErrUnavailable) {
		t.Fatalf("error %v", err)
	}
	server.Inject(nil)
	woken := make(chan struct{}, 1)
	if _, fresh, _ := s.Get(key, 0, "a", func() { woken <- struct{}{} }); fresh {
		t.Fatal("fresh, without another scan")
	}
	s.Hurry(key)
	<-woken
	if _, fresh, err := s.Get(key, 0, "a", nil); !fresh || err != nil {
		t.Errorf("after the hurry: %t, %v", fresh, err)
	}

	server.Inject(func(*http.Request) testkit.RegistryFault { return testkit.RegistryFault{Code: 429, RetryAfter: 3600} })
	if _, err := await(t, s, key, 0, "a"); !errors.Is(err, oci.ErrThrottled) {
		t.Fatalf("error %v", err)
	}
	requests := server.Requests("")
	s.Hurry(key)
	if _, fresh, err := s.Get(key, 0, "a", nil); fresh || !errors.Is(err, oci.ErrThrottled) || server.Requests("") != requests {
		t.Errorf("a registry that asked to be left alone: %t, %v", fresh, err)
	}
}
