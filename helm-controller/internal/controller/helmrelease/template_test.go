// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"testing"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// A change of chart and values in one edit is one release: the chart of before is
// never released with the values of now.
func TestNewChartAndValuesAreReleasedTogether(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	next := appChart("2.0.0")
	next.Name = "next"
	s.publish(next)
	s.create("web")
	s.awaitReady("web", 1)
	s.edit("web", func(r *helmv2.HelmRelease) {
		values("message: for-the-next-chart")(r)
		r.Spec.Chart.Spec.Chart = "next"
		r.Spec.Upgrade = &helmv2.Upgrade{ChartNameChangeStrategy: helmv2.ChartNameChangeStrategyInPlaceUpdate}
	})
	obj := s.await("web", "is of the next chart", func(r *helmv2.HelmRelease) bool {
		return len(r.Status.History) > 0 && r.Status.History[0].ChartName == "next"
	})
	if latest := obj.Status.History[0]; latest.Version != 2 {
		t.Errorf("the next chart is v%d: %v", latest.Version, s.events("web"))
	}
}
