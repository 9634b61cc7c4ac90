// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ocirepository_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/testkit/rig"
)

const (
	// What flux push artifact writes.
	fluxConfig  = "application/vnd.cncf.flux.config.v1+json"
	fluxContent = "application/vnd.cncf.flux.content.v1.tar+gzip"
	// What helm push writes.
	chartContent = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

	// repository is where the tests push to.
	repository = "team/app"
)

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: the OCIRepository "app", and a registry.
type suite struct {
	rig.Objects[*sourcev1.OCIRepository]

	registry *testkit.Registry
}

func newSuite(t *testing.T, opts ...testkit.RegistryOption) *suite {
	t.Helper()
	s := &suite{Objects: rig.Of(env.Suite(t), sourcev1.OCIRepositoryKind, "app", func() *sourcev1.OCIRepository { return &sourcev1.OCIRepository{} })}
	var err error
	s.registry, err = testkit.NewRegistry(opts...)
	s.Must(err)
	t.Cleanup(s.registry.Close)
	return s
}

// push stores files as flux push artifact does, and returns the digest.
func (s *suite) push(tag string, files map[string]string) string {
	s.Helper()
	content, err := testkit.HelmArchive(files)
	s.Must(err)
	return s.pushLayer(tag, string(content))
}

// pushLayer stores an artifact of one layer, and returns the digest.
func (s *suite) pushLayer(tag, content string) string {
	s.Helper()
	return s.pushArtifact(tag, testkit.RegistryArtifact{Layers: []string{content}})
}

func (s *suite) pushArtifact(tag string, a testkit.RegistryArtifact) string {
	s.Helper()
	a.ConfigType, a.LayerType = fluxConfig, fluxContent
	desc, err := s.registry.PushArtifact(repository, tag, a)
	s.Must(err)
	return desc.Digest
}

// create makes the OCIRepository; change may adjust it.
func (s *suite) create(change ...func(*sourcev1.OCIRepository)) {
	s.Helper()
	obj := &sourcev1.OCIRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name},
		Spec: sourcev1.OCIRepositorySpec{
			URL:      "oci://" + s.registry.Host + "/" + repository,
			Interval: &metav1.Duration{Duration: time.Hour},
			Insecure: strings.HasPrefix(s.registry.URL, "http://"),
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}

func withRef(ref sourcev1.OCIRepositoryRef) func(*sourcev1.OCIRepository) {
	return func(o *sourcev1.OCIRepository) { o.Spec.Reference = &ref }
}

// pulls is how many blobs and manifests were read.
func (s *suite) pulls() int {
	return s.registry.Requests("GET /v2/"+repository+"/blobs/") + s.registry.Requests("GET /v2/"+repository+"/manifests/")
}

// spoil lets requests fail whose method and path hold the texts.
func (s *suite) spoil(fault testkit.RegistryFault, method, part string) {
	s.registry.Inject(func(r *http.Request) testkit.RegistryFault {
		if strings.Contains(r.Method, method) && strings.Contains(r.URL.Path, part) {
			return fault
		}
		return testkit.RegistryFault{}
	})
}

// dockerConfig creates a Secret with credentials for the registry.
func (s *suite) dockerConfig(name, user, password string) *corev1.Secret {
	s.Helper()
	content, err := json.Marshal(map[string]any{"auths": map[string]any{
		s.registry.Host: map[string]string{"username": user, "password": password},
	}})
	s.Must(err)
	return s.Secret(name, map[string]string{corev1.DockerConfigJsonKey: string(content)})
}
