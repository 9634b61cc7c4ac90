// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
)

// Builds that come faster than they age must not keep the one out that is old
// enough.
func TestManyYoungCandidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("Ada", "first", map[string]string{"file.yaml": pod(ref("1.0.0"))})
	tags := []string{"1.0.0", "1.1.0"}
	for i := range plan.MaxYoung {
		tags = append(tags, fmt.Sprintf("1.%d.0", i+2))
	}
	a := automation(t, "1.0.0")
	img := newImage(t, spec(func(s *imagev1.Image) { s.MinAge = &metav1.Duration{Duration: 2 * time.Hour} }), tags...)
	a.Images = []*plan.Image{img}
	img.Facts.Tags["1.1.0"].FirstSeen = now.Add(-3 * time.Hour)
	result, files, err := w.plan(a)
	w.must(err)
	if files["file.yaml"] != pod(ref("1.1.0")) || len(result.Holds) != plan.MaxYoung {
		t.Errorf("file %s, %d are held", files["file.yaml"], len(result.Holds))
	}
}
