// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagerepository_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/testkit/rig"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: a namespace, a registry with the repository team/models,
// and a controller for that namespace alone.
type suite struct {
	*rig.Suite
	rig.Objects[*imagev1.ImageRepository]
}

func newSuite(t *testing.T, options ...testkit.RegistryOption) *suite {
	t.Helper()
	s := env.Suite(t, options...)
	return &suite{Suite: s, Objects: rig.Of(s, imagev1.ImageRepositoryKind, "models", func() *imagev1.ImageRepository { return &imagev1.ImageRepository{} })}
}

// create makes the ImageRepository "models"; change may adjust it.
func (s *suite) create(change ...func(*imagev1.ImageRepository)) {
	s.Helper()
	obj := &imagev1.ImageRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "models"},
		Spec: imagev1.ImageRepositorySpec{
			Image:          s.Registry.Host + "/team/models",
			Interval:       metav1.Duration{Duration: time.Hour},
			RegistryAccess: imagev1.RegistryAccess{Insecure: true},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}

// awaitTags waits until the object is ready with so many tags.
func (s *suite) awaitTags(count int) *imagev1.ImageRepository {
	s.Helper()
	return s.Await(fmt.Sprintf("is ready with %d tags", count), func(r *imagev1.ImageRepository) bool {
		return s.IsCurrent(r) && !conditions.IsReconciling(r) &&
			r.Status.LastScanResult != nil && r.Status.LastScanResult.TagCount == count
	})
}
