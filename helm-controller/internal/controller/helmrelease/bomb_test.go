// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
)

// TestARecursionWithoutEnd has values that call themselves, released and planned:
// both fail and say why, another release is as ever, and both come right with
// other values.
func TestARecursionWithoutEnd(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0").ConfigMap("text", "{{ tpl .Values.text . }}"))
	endless := values("text: '{{ tpl .Values.text . }}'")
	s.create("released", endless)
	s.create("planned", endless, func(r *helmv2.HelmRelease) { r.Spec.Weir = &helmv2.WeirSpec{Mode: meta.ModePlan} })
	s.create("good", values("text: good"))
	s.awaitReady("good", 1)
	for name, condition := range map[string]string{"released": helmv2.ReleasedCondition, "planned": fluxmeta.ReadyCondition} {
		s.await(name, "fails and says why", func(r *helmv2.HelmRelease) bool {
			message := conditions.GetMessage(r, condition)
			return conditions.IsFalse(r, condition) && strings.Contains(message, "rendering chart app 1.0.0") && strings.Contains(message, "--render-memory-limit")
		})
	}
	for _, name := range []string{"released", "planned"} {
		s.edit(name, values("text: mended"))
	}
	s.awaitReady("released", 1)
	s.await("planned", "has a plan", func(r *helmv2.HelmRelease) bool { return r.Status.Weir != nil && r.Status.Weir.Plan != nil })
}
