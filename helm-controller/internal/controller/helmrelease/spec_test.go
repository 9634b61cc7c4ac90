// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
)

func TestReferencedValuesWakeTheRelease(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web", func(r *helmv2.HelmRelease) {
		r.Spec.ValuesFrom = []helmv2.ValuesReference{{Kind: "Secret", Name: "settings"}}
	})
	obj := s.awaitFailure("web", helmv2.ValuesErrorReason)
	s.wants(ready(obj), "settings")
	s.secret("settings", "message: first-secret")
	s.awaitReady("web", 1)
	if got := s.value("web-config"); got != "first-secret" {
		t.Errorf("value %q", got)
	}
	s.secret("settings", "message: second-secret")
	s.awaitReady("web", 2)
	if got := s.value("web-config"); got != "second-secret" {
		t.Errorf("value %q", got)
	}
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	dependsOn := func(name string) func(*helmv2.HelmRelease) {
		return func(r *helmv2.HelmRelease) { r.Spec.DependsOn = []meta.DependencyReference{{Name: name}} }
	}
	s.create("front", dependsOn("back"))
	s.wants(ready(s.awaitFailure("front", helmv2.DependencyNotReadyReason)), "dependency '"+s.ns+"/back' not found")
	s.create("back")
	s.awaitReady("front", 1)
	if s.get("back").Status.History[0].LastDeployed.After(s.get("front").Status.History[0].LastDeployed.Time) {
		t.Error("the dependent came first")
	}
	s.create("one", dependsOn("two"))
	s.create("two", dependsOn("one"))
	for _, name := range []string{"one", "two"} {
		s.wants(ready(s.awaitFailure(name, helmv2.DependencyCycleReason)), s.ns+"/one", s.ns+"/two", "->")
	}
	s.edit("two", func(r *helmv2.HelmRelease) { r.Spec.DependsOn = nil })
	s.awaitReady("one", 1)
}

func TestImpersonation(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.must(kube.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
	s.create("web", func(r *helmv2.HelmRelease) { r.Spec.ServiceAccountName = "tenant" })
	obj := s.awaitFailure("web", helmv2.InstallFailedReason)
	s.wants(ready(obj), "forbidden", "system:serviceaccount:"+s.ns+":tenant")
	s.must(kube.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.ns, Name: "tenant"}},
	}))
	s.edit("web", func(r *helmv2.HelmRelease) {
		r.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	s.awaitReady("web", 1)

	// Without the account nobody is left who may uninstall.
	s.must(kube.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "tenant"}}))
	s.delete("web")
	if !s.exists("v1/ConfigMap", "web-config") {
		t.Error("the release was uninstalled")
	}
}

func TestSuspendForceAndRequest(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web")
	s.awaitReady("web", 1)
	s.edit("web", func(r *helmv2.HelmRelease) { r.Spec.Suspend = true })
	s.publish(appChart("1.1.0"))
	s.edit("web", func(r *helmv2.HelmRelease) {
		r.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "one"}
	})
	obj := s.await("web", "has seen the request", func(r *helmv2.HelmRelease) bool { return r.Status.LastHandledReconcileAt == "one" })
	if obj.Status.History[0].Version != 1 {
		t.Error("it was upgraded while suspended")
	}
	s.edit("web", func(r *helmv2.HelmRelease) { r.Spec.Suspend = false })
	s.awaitReady("web", 2)
	s.edit("web", func(r *helmv2.HelmRelease) {
		r.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "two", helmv2.ForceAnnotation: "two"}
	})
	obj = s.awaitReady("web", 3)
	if obj.Status.LastHandledForceAt != "two" {
		t.Errorf("status\n%s", statusText(obj))
	}

	s.edit("web", func(r *helmv2.HelmRelease) { r.Spec.Suspend = true })
	s.delete("web")
	if !s.exists("v1/ConfigMap", "web-config") || s.releases("web") == 0 {
		t.Error("a suspended release was uninstalled")
	}
}

func TestTargetChanges(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web")
	s.awaitReady("web", 1)
	s.edit("web", func(r *helmv2.HelmRelease) { r.Spec.ReleaseName = "other" })
	s.await("web", "is the other release", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && len(r.Status.History) == 1 && r.Status.History[0].Name == "other"
	})
	if s.releases("web") > 0 || s.exists("v1/ConfigMap", "web-config") || !s.exists("v1/ConfigMap", "other-config") {
		t.Error("the old release has not made place for the new one")
	}
}

func TestChartRefToOCIRepository(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	archive, err := appChart("1.0.0").Archive()
	s.must(err)
	repo := &sourcev1.OCIRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "app"},
		Spec:       sourcev1.OCIRepositorySpec{URL: "oci://registry.example/app", Interval: &metav1.Duration{Duration: time.Hour}},
	}
	s.must(kube.Create(t.Context(), repo))
	s.create("web", func(r *helmv2.HelmRelease) {
		r.Spec.Chart, r.Spec.ChartRef = nil, &helmv2.CrossNamespaceSourceReference{Kind: "OCIRepository", Name: "app"}
	})
	s.wants(ready(s.awaitFailure("web", helmv2.SourceNotReadyReason)), "OCIRepository '"+s.ns+"/app' is not ready: latest generation of object has not been reconciled")
	digest := "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	before := repo.DeepCopy()
	repo.Status.Artifact, repo.Status.ObservedGeneration = charts.store(archive, "1.0.0@"+digest), repo.Generation
	s.must(kube.Status().Patch(t.Context(), repo, client.MergeFrom(before)))
	obj := s.awaitReady("web", 1)
	if obj.Status.LastAttemptedRevision != "1.0.0+0123456789ab" || obj.Status.LastAttemptedRevisionDigest != digest || obj.Status.History[0].OCIDigest != digest {
		t.Errorf("status\n%s", statusText(obj))
	}
	if got, want := ready(obj), "Helm install succeeded for release "+s.ns+"/web.v1 with chart app@1.0.0+0123456789ab"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

func TestStallsOnWhatNoRetryHelps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change       func(*helmv2.HelmRelease)
		reason, text string
	}{
		"health check": {func(r *helmv2.HelmRelease) {
			r.Spec.HealthCheckExprs = []meta.CustomHealthCheck{{APIVersion: "v1", Kind: "A", Current: "no("}}
		}, helmv2.InvalidCELExpressionReason, "spec.healthCheckExprs"},
		"readiness": {func(r *helmv2.HelmRelease) {
			r.Spec.DependsOn = []meta.DependencyReference{{Name: "x", ReadyExpr: "no("}}
		}, helmv2.InvalidCELExpressionReason, "spec.dependsOn[0].readyExpr"},
		"ignore rule": {func(r *helmv2.HelmRelease) {
			r.Spec.DriftDetection = &helmv2.DriftDetection{Mode: meta.DriftEnabled, Ignore: []meta.IgnoreRule{{Paths: []string{"no/slash"}}}}
		}, helmv2.InvalidIgnoreRuleReason, "spec.driftDetection.ignore"},
		"gate": {func(r *helmv2.HelmRelease) {
			r.Spec.Chart, r.Spec.ChartRef = nil, &helmv2.CrossNamespaceSourceReference{Kind: "ExternalArtifact", Name: "x"}
		}, helmv2.AccessDeniedReason, "ExternalArtifact=true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			s.publish(appChart("1.0.0"))
			s.create("web", tc.change)
			obj := s.awaitFailure("web", tc.reason)
			s.wants(ready(obj), tc.text)
			if !conditions.IsStalled(obj) || obj.Status.ObservedGeneration != obj.Generation {
				t.Errorf("status\n%s", statusText(obj))
			}
		})
	}
}
