// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
)

const (
	modelKind = "serving.test.weir.dev/v1/Model"
	modelYAML = `
apiVersion: serving.test.weir.dev/v1
kind: Model
metadata: {name: model, namespace: $NS}
spec: {uri: "s3://models/1"}
`
)

func judgedBy(current, failed string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.HealthCheckExprs = []meta.CustomHealthCheck{{APIVersion: "serving.test.weir.dev/v1", Kind: "Model", Current: current, Failed: failed}}
	}
}

func TestHealthByExpressions(t *testing.T) {
	s := newSuite(t)
	s.define("serving.test.weir.dev", "v1", "Model")
	revision := s.push(map[string]string{"model.yaml": modelYAML})
	s.create("app", waiting, judgedBy("status.?accuracy.orValue(0.0) >= 0.9", "status.?phase.orValue('') == 'Broken'"))
	s.await("app", "waits for its health", func(k *kustomizev1.Kustomization) bool {
		return strings.HasPrefix(conditions.GetMessage(k, fluxmeta.ReadyCondition), "Running health checks")
	})
	// kstatus would call it ready; the expressions do not.
	s.setStatus(modelKind, "model", `{accuracy: 0.5, conditions: [{type: Ready, status: "True"}]}`)
	s.setStatus(modelKind, "model", `{accuracy: 0.95}`)
	s.awaitReady("app", revision)
	s.setStatus(modelKind, "model", `{accuracy: 0.95, phase: Broken}`)
	s.await("app", "is ill", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.HealthyCondition), "Model/"+s.ns+"/model status: 'Failed': spec.healthCheckExprs[0].failed is true")
	})
}

// The objects do not change here, only what is asked of them.
func TestChangedExpressionTakesEffectWithoutANewRevision(t *testing.T) {
	s := newSuite(t)
	s.define("serving.test.weir.dev", "v1", "Model")
	revision := s.push(map[string]string{"model.yaml": modelYAML})
	s.create("app", waiting)
	s.awaitReady("app", revision) // kstatus: no status is healthy
	s.setStatus(modelKind, "model", `{accuracy: 0.5}`)
	s.edit("app", judgedBy("status.accuracy >= 0.9", ""))
	s.await("app", "is not healthy any more", func(k *kustomizev1.Kustomization) bool {
		return conditions.IsUnknown(k, fluxmeta.HealthyCondition)
	})
	s.edit("app", judgedBy("status.accuracy >= 0.4", ""))
	s.awaitReady("app", revision)
	s.edit("app", judgedBy("status.accuracy >= 0.4", "status.accuracy == 0.5"))
	if message := s.awaitFailure("app", "HealthCheckFailed"); !strings.Contains(message, "spec.healthCheckExprs[0].failed is true") {
		t.Errorf("message %q, want the expression", message)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.HealthCheckExprs = nil })
	s.awaitReady("app", revision)
}

// One object, three that look at it: its owner, and two others who judge it
// each in their way.
func TestExpressionsForObjectsOfOthers(t *testing.T) {
	s := newSuite(t)
	s.define("serving.test.weir.dev", "v1", "Model")
	revision := s.push(map[string]string{"owner/model.yaml": modelYAML, "a/a.yaml": configMap("a", "one"), "b/b.yaml": configMap("b", "one")})
	s.create("owner", waiting, func(k *kustomizev1.Kustomization) { k.Spec.Path = "owner" })
	s.awaitReady("owner", revision)
	look := func(path string) func(*kustomizev1.Kustomization) {
		return func(k *kustomizev1.Kustomization) {
			k.Spec.Path = path
			k.Spec.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "serving.test.weir.dev/v1", Kind: "Model", Namespace: s.ns, Name: "model"}}
		}
	}
	s.create("strict", look("a"), judgedBy("status.?accuracy.orValue(0.0) >= 0.9", ""))
	s.create("lax", look("b"), judgedBy("status.?accuracy.orValue(0.0) >= 0.4", ""))
	s.setStatus(modelKind, "model", `{accuracy: 0.5}`)
	s.awaitReady("lax", revision)
	if obj := s.get("strict"); conditions.IsReady(obj) {
		t.Errorf("conditions %+v, want the strict one not ready", obj.Status.Conditions)
	}
	s.setStatus(modelKind, "model", `{accuracy: 0.95}`)
	s.awaitReady("strict", revision)
	s.edit("strict", judgedBy("status.accuracy >= 0.99", ""))
	s.await("strict", "asks for more", func(k *kustomizev1.Kustomization) bool { return conditions.IsUnknown(k, fluxmeta.HealthyCondition) })
	s.setStatus(modelKind, "model", `{accuracy: 0.999}`)
	s.awaitReady("strict", revision)
}

func TestInvalidHealthExpressionStalls(t *testing.T) {
	s := newSuite(t)
	revision := s.push(map[string]string{"a.yaml": configMap("a", "one")})
	s.create("app", waiting, judgedBy("status.(", ""))
	message := s.awaitFailure("app", kustomizev1.InvalidCELExpressionReason)
	if !strings.HasPrefix(message, "spec.healthCheckExprs[0].current: ") || !conditions.IsStalled(s.get("app")) {
		t.Errorf("message %q, want Stalled and the field", message)
	}
	s.edit("app", judgedBy("true", ""))
	s.awaitReady("app", revision)
}
