// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// definition is one of a namespaced kind of any shape. The first version is the
// one that is stored.
func definition(group, kind, plural string, versions ...string) *apiextensionsv1.CustomResourceDefinition {
	open := true
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, ListKind: kind + "List", Plural: plural, Singular: strings.ToLower(kind)},
			Scope: apiextensionsv1.NamespaceScoped,
		},
	}
	for i, version := range versions {
		crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: version, Served: true, Storage: i == 0,
			Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			Schema:       &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &open}},
		})
	}
	return crd
}

// defineSource installs a definition of a kind of source, and waits until it
// is served.
func (s *suite) defineSource(kind, plural string) {
	s.Helper()
	crd := definition(sourcev1.GroupVersion.Group, kind, plural, sourcev1.GroupVersion.Version)
	s.must(kube.Create(s.Context(), crd))
	s.eventually("kind "+kind+" is served", func() bool {
		s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(crd), crd))
		return slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
		})
	})
	// Established is said a moment before discovery tells of the kind.
	s.eventually("kind "+kind+" is found", func() bool {
		_, err := kube.RESTMapper().RESTMapping(schema.GroupKind{Group: sourcev1.GroupVersion.Group, Kind: kind}, sourcev1.GroupVersion.Version)
		return err == nil
	})
}

// publish makes obj, or takes it as it is, the source of one ConfigMap.
func (s *suite) publish(obj client.Object, value string) string {
	s.Helper()
	artifact := artifacts.put(s.pack(map[string]string{"cm.yaml": configMap("from-source", value)}))
	if err := kube.Create(s.Context(), obj); err != nil && !apierrors.IsAlreadyExists(err) {
		s.Fatal(err)
	}
	s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(obj), obj))
	switch source := obj.(type) {
	case *sourcev1.OCIRepository:
		source.Status.Artifact = artifact
	case *sourcev1.Bucket:
		source.Status.Artifact = artifact
	case *sourcev1.ExternalArtifact:
		source.Status.Artifact = artifact
	}
	s.must(kube.Status().Update(s.Context(), obj))
	return artifact.Revision
}

// A Kustomization may name a kind of source before the cluster has it. Once it
// is there its artifacts are applied, and new ones as they come.
func TestSourcesOfOtherKinds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// plural of a kind that the cluster does not have at first.
		plural string
		obj    func(metav1.ObjectMeta) client.Object
		says   string
	}{
		sourcev1.OCIRepositoryKind: {"", func(m metav1.ObjectMeta) client.Object {
			return &sourcev1.OCIRepository{ObjectMeta: m, Spec: sourcev1.OCIRepositorySpec{URL: "oci://registry.example/app", Interval: &metav1.Duration{Duration: time.Hour}}}
		}, "/app' not found"},
		sourcev1.BucketKind: {"buckets", func(m metav1.ObjectMeta) client.Object { return &sourcev1.Bucket{ObjectMeta: m} }, "this cluster has no kind Bucket"},
	}
	for kind, test := range tests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.create("app", func(k *kustomizev1.Kustomization) {
				k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: kind, Name: "app"}
			})
			if got := s.awaitFailure("app", kustomizev1.ArtifactFailedReason); !strings.Contains(got, test.says) {
				t.Errorf("message %q, want %q in it", got, test.says)
			}
			if test.plural != "" {
				s.defineSource(kind, test.plural)
			}
			meta := metav1.ObjectMeta{Namespace: s.ns, Name: "app"}
			s.awaitReady("app", s.publish(test.obj(meta), "one"))
			s.awaitReady("app", s.publish(test.obj(meta), "two"))
			if got := field(s.live("v1/ConfigMap", "from-source"), "data", "key"); got != "two" {
				t.Errorf("the ConfigMap holds %q, want that of the second artifact", got)
			}
		})
	}
}

func TestExternalArtifactsAreOff(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.ExternalArtifactKind, Name: "app"}
	})
	if got, want := s.awaitFailure("app", kustomizev1.FeatureGateDisabledReason), "--feature-gates=ExternalArtifact=true"; !strings.Contains(got, want) {
		t.Errorf("message %q, want %q in it", got, want)
	}
	if !conditions.IsStalled(s.get("app")) {
		t.Error("it is not stalled")
	}
}

// The shared controller leaves shards to others. This one takes a shard, and
// ExternalArtifacts.
func TestShardWithExternalArtifacts(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.defineSource(sourcev1.ExternalArtifactKind, "externalartifacts")
	revision := s.publish(&sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "app"}}, "one")
	shard := startController("--watch-label-selector="+shardLabel+"=one", "--feature-gates=ExternalArtifact=true,DirectSourceFetch=true")
	t.Cleanup(func() { shard.stop(t) })
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Labels = map[string]string{shardLabel: "one"}
		k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.ExternalArtifactKind, Name: "app"}
	})
	s.create("elsewhere", func(k *kustomizev1.Kustomization) { k.Labels = map[string]string{shardLabel: "two"} })
	s.awaitReady("app", revision)
	if got := s.get("elsewhere"); got.Status.ObservedGeneration != -1 || len(got.Finalizers) > 0 {
		t.Errorf("a Kustomization of another shard was reconciled: %v", got.Status)
	}
}

// A ConfigMap or Secret that carries the watch label takes effect when it is
// changed, and not only at the next interval.
func TestLabelledConfigsTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	meta := metav1.ObjectMeta{Namespace: s.ns, Labels: map[string]string{fluxmeta.LabelKeyWatch: fluxmeta.LabelValueWatchEnabled}}
	plain, secret := &corev1.ConfigMap{ObjectMeta: meta}, &corev1.Secret{ObjectMeta: meta}
	plain.Name, plain.Data = "plain", map[string]string{"size": "1"}
	secret.Name, secret.StringData = "secret", map[string]string{"key": "a"}
	s.must(kube.Create(t.Context(), plain))
	s.must(kube.Create(t.Context(), secret))
	s.push(map[string]string{"cm.yaml": configMap("app", "${size}-${key}-${late:=none}")})
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{
			{Kind: "ConfigMap", Name: "plain"}, {Kind: "Secret", Name: "secret"}, {Kind: "ConfigMap", Name: "late", Optional: true},
		}}
	})
	wants := func(want string) {
		t.Helper()
		s.eventually("the ConfigMap holds "+want, func() bool { return field(s.live("v1/ConfigMap", "app"), "data", "key") == want })
	}
	wants("1-a-none")
	s.patch("somebody", "v1/ConfigMap", "plain", `data: {size: "2"}`)
	wants("2-a-none")
	s.must(kube.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(`{"stringData": {"key": "b"}}`))))
	wants("2-b-none")
	late := &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"late": "there"}}
	late.Name = "late"
	s.must(kube.Create(t.Context(), late))
	wants("2-b-there")
	s.must(kube.Delete(t.Context(), plain))
	if got, want := s.awaitFailure("app", kustomizev1.BuildFailedReason), "ConfigMap 'plain'"; !strings.Contains(got, want) {
		t.Errorf("message %q, want %q in it", got, want)
	}
}
