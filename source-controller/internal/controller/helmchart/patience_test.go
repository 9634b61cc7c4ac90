// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// Whose chart does not arrive holds up nobody else, with one worker.
func TestDownloadsThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.add(testkit.HelmChart{Name: "app", Version: "1.0.0"}, testkit.HelmChart{Name: "stuck", Version: "1.0.0"})
	s.server.Inject(func(r *http.Request) testkit.HelmFault {
		return testkit.HelmFault{RegistryFault: testkit.RegistryFault{Hang: strings.HasSuffix(r.URL.Path, "stuck-1.0.0.tgz")}}
	})
	s.repository(func(r *sourcev1.HelmRepository) { r.Spec.Timeout = &metav1.Duration{Duration: 59 * time.Minute} })
	for i := range 5 {
		s.Must(s.Kube.Create(t.Context(), &sourcev1.HelmChart{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: fmt.Sprintf("stuck-%d", i)},
			Spec: sourcev1.HelmChartSpec{
				Chart: "stuck", Interval: hour(),
				SourceRef: sourcev1.LocalHelmChartSourceReference{Kind: sourcev1.HelmRepositoryKind, Name: "repo"},
			},
		}))
	}
	s.Start("--concurrent=1")
	s.Eventually("all wait", func() bool { return s.server.Requests("stuck-1.0.0.tgz") == 5 })
	s.chart()
	s.AwaitRevision("1.0.0")
}
