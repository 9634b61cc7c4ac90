// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// An action under way while the controller stops still hears of its objects: it
// ends as soon as they are ready, and not by its timeout as a failure.
func TestStopsAsSoonAsAWaitIsOver(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(never("1.0.0"))
	first := s.alone("--graceful-shutdown-timeout=10m")
	s.create("web", func(r *helmv2.HelmRelease) { r.Spec.Timeout = &metav1.Duration{Duration: 2 * deadline} })
	s.await("web", "waits", func(r *helmv2.HelmRelease) bool {
		return s.exists("apps/v1/Deployment", "slow") && r.Status.Weir != nil && r.Status.Weir.Pending != nil
	})
	first.cancel()
	slow := s.live("apps/v1/Deployment", "slow")
	time.AfterFunc(3*time.Second, func() {
		unstructured.RemoveNestedField(slow.Object, "status")
		_ = kube.Patch(t.Context(), slow, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":0}}`)))
	})
	select {
	case err := <-first.done:
		s.must(err)
	case <-time.After(deadline):
		t.Fatal("it goes on waiting for what is ready")
	}
	second := s.alone()
	t.Cleanup(func() { second.stop(t) })
	if obj := s.awaitReady("web", 1); obj.Status.Failures != 0 {
		t.Errorf("status\n%s", statusText(obj))
	}
	s.delete("web")
}
