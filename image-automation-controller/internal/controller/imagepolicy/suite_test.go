// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy_test

import (
	"os"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/image-automation-controller/internal/testkit/rig"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const repo = "team/models"

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: a namespace, a registry with the repository team/models,
// and a controller for that namespace alone.
type suite struct {
	*rig.Suite
	rig.Objects[*imagev1.ImagePolicy]
}

func newSuite(t *testing.T, options ...testkit.RegistryOption) *suite {
	t.Helper()
	s := env.Suite(t, options...)
	return &suite{Suite: s, Objects: rig.Of(s, imagev1.ImagePolicyKind, "latest", func() *imagev1.ImagePolicy { return &imagev1.ImagePolicy{} })}
}

// everywhere has the controller see the objects of all namespaces that are
// labelled with the test's.
func (s *suite) everywhere() {
	s.Flags = append(s.Flags, "--watch-all-namespaces=true", "--watch-label-selector=suite="+s.Namespace)
}

// repository makes the ImageRepository "models" in a namespace; change may
// adjust it.
func (s *suite) repository(ns string, change ...func(*imagev1.ImageRepository)) {
	s.Helper()
	obj := &imagev1.ImageRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "models"},
		Spec: imagev1.ImageRepositorySpec{
			Image:          s.Registry.Host + "/" + repo,
			Interval:       metav1.Duration{Duration: time.Hour},
			RegistryAccess: imagev1.RegistryAccess{Insecure: true},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}

// rescan has the ImageRepository look at the registry.
func (s *suite) rescan() {
	s.Helper()
	s.editRepository(func(r *imagev1.ImageRepository) {
		r.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: rand.String(8)}
	})
}

func (s *suite) editRepository(change func(*imagev1.ImageRepository)) {
	s.Helper()
	obj := &imagev1.ImageRepository{}
	s.Must(s.Kube.Get(s.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "models"}, obj))
	before := obj.DeepCopy()
	change(obj)
	s.Must(s.Kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

// create makes the ImagePolicy "latest", which picks the highest version;
// change may adjust it.
func (s *suite) create(change ...func(*imagev1.ImagePolicy)) {
	s.Helper()
	obj := &imagev1.ImagePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "latest"},
		Spec: imagev1.ImagePolicySpec{
			ImageRepositoryRef: meta.NamespacedObjectReference{Name: "models"},
			Policy:             imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: ">=1.0.0"}},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}

// awaitLatest waits until the object is ready with an image of the registry,
// as "tag" or "tag@digest".
func (s *suite) awaitLatest(want string) *imagev1.ImagePolicy {
	s.Helper()
	want = s.Registry.Host + "/" + repo + ":" + want
	return s.Await("is ready with "+want, func(p *imagev1.ImagePolicy) bool {
		return s.IsCurrent(p) && !conditions.IsReconciling(p) &&
			p.Status.LatestRef != nil && p.Status.LatestRef.String() == want
	})
}
