// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// remediate has an upgrade undone that fails.
func remediate(r *helmv2.HelmRelease) {
	r.Spec.Upgrade = &helmv2.Upgrade{Remediation: &helmv2.UpgradeRemediation{RemediateLastFailure: new(true)}}
}

func TestFailedUpgradeRollsBackAndAGoodChartRecovers(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web", remediate)
	s.awaitReady("web", 1)
	s.publish(broken(appChart("1.1.0").ConfigMap("config", "broken")))
	obj := s.await("web", "is stalled", func(r *helmv2.HelmRelease) bool { return conditions.IsStalled(r) })
	if got := conditions.GetReason(obj, fluxmeta.StalledCondition); got != helmv2.RetriesExceededReason {
		t.Errorf("stalled with %s", got)
	}
	if conditions.GetReason(obj, helmv2.RemediatedCondition) != helmv2.RollbackSucceededReason || conditions.IsReady(obj) || obj.Status.UpgradeFailures != 1 {
		t.Errorf("status\n%s", statusText(obj))
	}
	if got := s.value("web-config"); got != "hello" {
		t.Errorf("value %q after the rollback", got)
	}
	s.tells("web", "UpgradeFailed: Helm upgrade failed for release "+s.ns+"/web with chart app@1.1.0")
	s.tells("web", "RollbackSucceeded: Helm rollback to previous release "+s.ns+"/web.v1 with chart app@1.0.0 succeeded")

	s.publish(appChart("1.2.0"))
	obj = s.await("web", "is ready with 1.2.0", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && r.Status.LastAttemptedRevision == "1.2.0"
	})
	if conditions.Has(obj, fluxmeta.StalledCondition) || obj.Status.Failures != 0 || obj.Status.History[0].ChartVersion != "1.2.0" {
		t.Errorf("status\n%s", statusText(obj))
	}
}

func TestFailedInstallNamesTheObjectAndNewValuesRecover(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0").With("templates/service.yaml",
		"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\nspec: {ports: [{port: {{ .Values.port | default 99999 }}}]}\n"))
	s.create("web")
	obj := s.awaitFailure("web", helmv2.InstallFailedReason)
	s.wants(ready(obj), "Helm install failed for release "+s.ns+"/web with chart app@1.0.0", "Service", "svc", "99999")
	s.edit("web", values("port: 80"))
	obj = s.await("web", "is ready", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && r.Status.ObservedGeneration == r.Generation
	})
	if obj.Status.Failures != 0 || !s.exists("v1/Service", "svc") {
		t.Errorf("status\n%s", statusText(obj))
	}
}

func TestRetriesByBackOff(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(broken(appChart("1.0.0")))
	s.create("web", func(r *helmv2.HelmRelease) {
		r.Spec.Install = &helmv2.Install{Remediation: &helmv2.InstallRemediation{Retries: 2}}
	})
	obj := s.await("web", "is stalled", func(r *helmv2.HelmRelease) bool { return conditions.IsStalled(r) })
	if obj.Status.InstallFailures != 3 {
		t.Errorf("%d failures, want 3\n%s", obj.Status.InstallFailures, statusText(obj))
	}
	s.wants(conditions.GetMessage(obj, fluxmeta.StalledCondition), "Failed to install after 3 attempt(s)")
	s.wants(ready(obj), "Service/"+s.ns+"/broken")

	// After a reset it is tried again.
	s.edit("web", func(r *helmv2.HelmRelease) {
		r.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "one", helmv2.ResetAnnotation: "one"}
	})
	s.await("web", "has handled the reset and is stalled again", func(r *helmv2.HelmRelease) bool {
		return r.Status.LastHandledResetAt == "one" && conditions.IsStalled(r) && r.Status.Failures == 1
	})
}

func TestRetryOnFailureRecoversWithoutANewChart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.create("web", func(r *helmv2.HelmRelease) {
		r.Spec.Upgrade = &helmv2.Upgrade{Strategy: &helmv2.UpgradeStrategy{
			Name: string(helmv2.ActionStrategyRetryOnFailure), RetryInterval: &metav1.Duration{Duration: time.Second},
		}}
	})
	s.awaitReady("web", 1)
	// A namespace that does not exist yet.
	other := s.ns + "-other"
	s.publish(appChart("1.1.0").With("templates/other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: "+other+"}\n"))
	obj := s.awaitFailure("web", helmv2.UpgradeFailedReason)
	s.wants(ready(obj), "other")
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}}))
	s.await("web", "is ready", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && r.Status.History[0].ChartVersion == "1.1.0"
	})
	if got := s.releases("web"); got > 5 {
		t.Errorf("%d records are kept", got)
	}
}

// never is a chart whose Deployment does not become ready.
func never(version string) testkit.HelmChart {
	return appChart(version).With("templates/slow.yaml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: slow}
spec:
  selector: {matchLabels: {app: slow}}
  template:
    metadata: {labels: {app: slow}}
    spec:
      nodeSelector: {nowhere: "true"}
      containers: [{name: a, image: a}]
`)
}

func TestNewChartCutsAWaitShort(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(never("1.0.0"))
	s.create("web", func(r *helmv2.HelmRelease) { r.Spec.Timeout = &metav1.Duration{Duration: time.Hour} })
	obj := s.await("web", "waits", func(r *helmv2.HelmRelease) bool {
		return s.exists("apps/v1/Deployment", "slow") && r.Status.Weir != nil
	})
	if obj.Status.Weir.Pending == nil || obj.Status.Weir.Pending.Action != "install" {
		t.Errorf("status\n%s", statusText(obj))
	}
	s.wants(ready(obj), "Running 'install' action with timeout of 1h0m0s")
	s.publish(appChart("1.1.0"))
	obj = s.await("web", "is ready with 1.1.0", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && len(r.Status.History) > 0 && r.Status.History[0].ChartVersion == "1.1.0"
	})
	if obj.Status.Failures != 0 {
		t.Errorf("status\n%s", statusText(obj))
	}
	s.tells("web", helmv2.HealthCheckCanceledReason+": Health checks canceled due to new reconciliation triggered by HelmChart/"+s.ns+"/"+s.ns+"-web")
}

func TestTimeoutNamesTheObjects(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(never("1.0.0"))
	s.create("web", func(r *helmv2.HelmRelease) { r.Spec.Timeout = &metav1.Duration{Duration: 2 * time.Second} })
	obj := s.awaitFailure("web", helmv2.InstallFailedReason)
	s.wants(ready(obj), "Deployment/"+s.ns+"/slow")
	if strings.Contains(ready(obj), "context deadline exceeded") {
		t.Errorf("message %q", ready(obj))
	}
}

func TestTestsOfTheChart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	// No node takes the pod: what it comes to is up to this test.
	s.publish(appChart("1.0.0").With("templates/tests/check.yaml", `apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-check
  annotations: {helm.sh/hook: test}
spec:
  restartPolicy: Never
  nodeSelector: {nowhere: "true"}
  containers: [{name: test, image: busybox}]
`))
	s.create("web", func(r *helmv2.HelmRelease) {
		r.Spec.Test = &helmv2.Test{Enable: true}
		r.Spec.Timeout = &metav1.Duration{Duration: deadline}
	})
	end := func(phase corev1.PodPhase) {
		t.Helper()
		s.eventually("the test runs", func() bool { return s.exists("v1/Pod", "web-check") })
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "web-check"}}
		s.must(kube.Status().Patch(t.Context(), pod, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"phase":"`+string(phase)+`"}}`))))
	}
	end(corev1.PodSucceeded)
	obj := s.awaitReady("web", 1)
	if conditions.GetReason(obj, helmv2.TestSuccessCondition) != helmv2.TestSucceededReason || obj.Status.History[0].TestHooks == nil {
		t.Errorf("status\n%s", statusText(obj))
	}
	s.must(client.IgnoreNotFound(kube.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "web-check"}}, client.GracePeriodSeconds(0))))
	s.edit("web", values("message: second"))
	end(corev1.PodFailed)
	obj = s.awaitFailure("web", helmv2.TestFailedReason)
	s.wants(ready(obj), "web-check")
}
