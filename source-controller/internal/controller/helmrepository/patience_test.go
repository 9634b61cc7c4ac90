// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrepository_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// hang never answers.
func hang(*http.Request) testkit.HelmFault {
	return testkit.HelmFault{RegistryFault: testkit.RegistryFault{Hang: true}}
}

// Whose server does not answer holds up nobody else, with one worker.
func TestServersThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	s, hanging := newSuite(t), newSuite(t)
	hanging.server.Inject(hang)
	for i := range 5 {
		s.Must(s.Kube.Create(t.Context(), &sourcev1.HelmRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: fmt.Sprintf("hanging-%d", i)},
			Spec: sourcev1.HelmRepositorySpec{
				URL: hanging.server.URL, Interval: metav1.Duration{Duration: time.Hour}, Timeout: &metav1.Duration{Duration: 59 * time.Minute},
			},
		}))
	}
	s.Start("--concurrent=1")
	s.Eventually("all wait", func() bool { return hanging.server.Requests("/index.yaml") == 5 })
	revision := s.add("1.0.0")
	s.create()
	s.AwaitRevision(revision)
}

// What goes on failing in the same way says so once.
func TestFailureIsWrittenOnce(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.server.Inject(func(*http.Request) testkit.HelmFault {
		return testkit.HelmFault{RegistryFault: testkit.RegistryFault{Code: 500}}
	})
	s.create()
	s.Start()
	before := s.AwaitFailure("Failed", "the server answers 500 Internal Server Error")
	tries := s.server.Requests("/index.yaml")
	s.Eventually("more tries", func() bool { return s.server.Requests("/index.yaml") > tries+3 })
	if after := s.Get(); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the status was written again: %+v, before %+v", after.Status, before.Status)
	}
}
