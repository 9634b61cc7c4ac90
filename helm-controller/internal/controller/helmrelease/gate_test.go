// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// quotas is gpu-quota-controller, which is started when the first test asks for
// it.
var quotas testkit.QuotaController

// limit makes a quota for the namespace.
func (s *suite) limit(hard int) {
	s.Helper()
	s.must(quotas.Start(s.Context(), cluster, filepath.Join("..", "..", "..", "..", "gpu-quota-controller")))
	quota := &unstructured.Unstructured{}
	s.must(yaml.Unmarshal([]byte(fmt.Sprintf("{apiVersion: quota.weir.dev/v1alpha1, kind: GPUQuota, metadata: {name: %[1]s}, spec: {namespaces: [%[1]s], limits: [{device: gpu, hard: \"%[2]d\"}]}}", s.ns, hard)), &quota.Object))
	s.must(kube.Create(s.Context(), quota))
	s.eventually("the quota is counted", func() bool {
		ledger := &unstructured.Unstructured{}
		ledger.SetAPIVersion("v1")
		ledger.SetKind("ConfigMap")
		err := kube.Get(s.Context(), client.ObjectKey{Namespace: "weir-system", Name: "gpu-ledger-" + s.ns}, ledger)
		record, _, _ := unstructured.NestedString(ledger.Object, "data", "record")
		return err == nil && !strings.Contains(record, `"closed"`)
	})
}

// trainer is a chart with a Deployment whose pods have a GPU each.
func trainer(version string) testkit.HelmChart {
	return appChart(version).With("templates/trainer.yaml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: trainer}
spec:
  replicas: {{ .Values.replicas | default 1 }}
  selector: {matchLabels: {app: trainer}}
  template:
    metadata: {labels: {app: trainer}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: example/x, resources: {limits: {nvidia.com/gpu: 1}}}]
`)
}

// What is over the quota is refused before anything is written, with the numbers,
// and is no failure; what fits by now is released without help.
func TestGateRefusesThenAdmits(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.limit(2)
	s.publish(trainer("1.0.0"))
	s.create("web", values("replicas: 3"))
	obj := s.awaitFailure("web", helmv2.GPUQuotaNeverFitsReason)
	s.wants(ready(obj), "revision app@1.0.0 (values ", `GPUQuota "`+s.ns+`": gpu requested 3 can never fit, hard 2`, "it adds to Deployment/"+s.ns+"/trainer",
		"in a HelmRelease of their own")
	if s.exists("v1/ConfigMap", "web-config") || s.releases("web") > 0 || obj.Status.Failures != 0 || len(obj.Status.History) > 0 ||
		obj.Status.Weir != nil && obj.Status.Weir.Pending != nil {
		t.Errorf("something was written\n%s", statusText(obj))
	}
	quota := &unstructured.Unstructured{}
	quota.SetAPIVersion("quota.weir.dev/v1alpha1")
	quota.SetKind("GPUQuota")
	quota.SetName(s.ns)
	s.must(kube.Patch(t.Context(), quota, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"limits":[{"device":"gpu","hard":"4"}]}}`))))
	obj = s.awaitReady("web", 1)
	if conditions.Has(obj, "Reconciling") || obj.Status.Failures != 0 {
		t.Errorf("status\n%s", statusText(obj))
	}

	s.edit("web", values("replicas: 5"))
	s.awaitFailure("web", helmv2.GPUQuotaNeverFitsReason)
	if got := s.releases("web"); got != 1 {
		t.Errorf("%d records", got)
	}
	s.edit("web", values("replicas: 1"))
	s.awaitReady("web", 2)
}
