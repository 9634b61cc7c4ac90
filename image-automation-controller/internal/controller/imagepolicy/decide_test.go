// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"errors"
	"testing"

	"github.com/fluxcd/pkg/apis/acl"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

func TestKeptDigest(t *testing.T) {
	t.Parallel()
	ref := func(name, tag, digest string) *imagev1.ImageRef {
		return &imagev1.ImageRef{Name: name, Tag: tag, Digest: digest}
	}
	latest := imagev1.ImageRef{Name: "a", Tag: "1"}
	tests := map[string]struct {
		reflection imagev1.ReflectionPolicy
		before     *imagev1.ImageRef
		want       string
		needed     bool
	}{
		"never":                  {imagev1.ReflectNever, ref("a", "1", "sha256:x"), "", false},
		"not said":               {"", nil, "", false},
		"always":                 {imagev1.ReflectAlways, ref("a", "1", "sha256:x"), "", true},
		"present":                {imagev1.ReflectIfNotPresent, ref("a", "1", "sha256:x"), "sha256:x", false},
		"nothing before":         {imagev1.ReflectIfNotPresent, nil, "", true},
		"no digest before":       {imagev1.ReflectIfNotPresent, ref("a", "1", ""), "", true},
		"another tag before":     {imagev1.ReflectIfNotPresent, ref("a", "0", "sha256:x"), "", true},
		"another image before":   {imagev1.ReflectIfNotPresent, ref("b", "1", "sha256:x"), "", true},
		"always, nothing before": {imagev1.ReflectAlways, nil, "", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, needed := keptDigest(tc.reflection, tc.before, latest)
			if got != tc.want || needed != tc.needed {
				t.Errorf("%q, %t; want %q, %t", got, needed, tc.want, tc.needed)
			}
		})
	}
}

func TestMayAccess(t *testing.T) {
	t.Parallel()
	selector := func(labels map[string]string) acl.NamespaceSelector {
		return acl.NamespaceSelector{MatchLabels: labels}
	}
	tests := map[string]struct {
		from *acl.AccessFrom
		want string
	}{
		"nothing said":    {nil, "'images/models' can't be accessed due to missing ACL labels on 'accessFrom'"},
		"nobody":          {&acl.AccessFrom{}, "'images/models' can't be accessed due to ACL labels mismatch on namespace 'team'"},
		"everybody":       {&acl.AccessFrom{NamespaceSelectors: []acl.NamespaceSelector{selector(nil)}}, ""},
		"another":         {&acl.AccessFrom{NamespaceSelectors: []acl.NamespaceSelector{selector(map[string]string{"env": "dev"})}}, "'images/models' can't be accessed due to ACL labels mismatch on namespace 'team'"},
		"one of them":     {&acl.AccessFrom{NamespaceSelectors: []acl.NamespaceSelector{selector(map[string]string{"env": "dev"}), selector(map[string]string{"env": "prod"})}}, ""},
		"all of a set":    {&acl.AccessFrom{NamespaceSelectors: []acl.NamespaceSelector{selector(map[string]string{"env": "prod", "x": "y"})}}, "'images/models' can't be accessed due to ACL labels mismatch on namespace 'team'"},
		"no label at all": {&acl.AccessFrom{NamespaceSelectors: []acl.NamespaceSelector{selector(map[string]string{"a b": "c"})}}, "'images/models' can't be accessed due to ACL labels mismatch on namespace 'team'"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := &imagev1.ImageRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "images", Name: "models"}}
			repo.Spec.AccessFrom = tc.from
			got := ""
			if err := mayAccess(repo, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"env": "prod"}}}); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestReadyMessage(t *testing.T) {
	t.Parallel()
	ref := imagev1.ImageRef{Name: "ghcr.io/a/b", Tag: "2.0.0"}
	digested := imagev1.ImageRef{Name: "ghcr.io/a/b", Tag: "latest", Digest: "sha256:x"}
	for want, status := range map[string]imagev1.ImagePolicyStatus{
		"": {},
		"Latest image tag for ghcr.io/a/b resolved to 2.0.0":                                                      {LatestRef: &ref},
		"Latest image tag for ghcr.io/a/b resolved to latest with digest sha256:x":                                {LatestRef: &digested},
		"Latest image tag for ghcr.io/a/b resolved to 2.0.0 (previously ghcr.io/a/b:latest@sha256:x)":             {LatestRef: &ref, ObservedPreviousRef: &digested},
		"Latest image tag for ghcr.io/a/b resolved to latest with digest sha256:x (previously ghcr.io/a/b:2.0.0)": {LatestRef: &digested, ObservedPreviousRef: &ref},
	} {
		if got := readyMessage(&status); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	var l lookups
	name := types.NamespacedName{Namespace: "a", Name: "b"}
	failed := errors.New("failed")
	state := func(uid types.UID, what string, want lookupState) lookup {
		t.Helper()
		found, got := l.take(name, uid, what)
		if got != want {
			t.Errorf("%s %s: state %d, want %d", uid, what, got, want)
		}
		return found
	}
	l.done(name, "1", "x", "early", nil)
	state("1", "x", lookupNone)
	state("1", "x", lookupRunning)
	state("1", "y", lookupNone) // the spec has changed
	l.done(name, "1", "x", "of the old spec", nil)
	state("1", "y", lookupRunning)
	l.done(name, "1", "y", "sha256:y", failed)
	if got := state("1", "y", lookupOver); got.digest != "sha256:y" || !errors.Is(got.err, failed) {
		t.Errorf("outcome %+v", got)
	}
	state("1", "y", lookupNone) // an outcome is taken once
	state("2", "y", lookupNone) // deleted and made anew
	l.done(name, "1", "y", "of the deleted one", nil)
	state("2", "y", lookupRunning)
	l.drop(name)
	l.done(name, "2", "y", "dropped", nil)
	state("2", "y", lookupNone)
}
