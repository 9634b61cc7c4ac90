// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

func retries(n int) func(*helmv2.HelmReleaseSpec) {
	return func(s *helmv2.HelmReleaseSpec) {
		s.Install = &helmv2.Install{Remediation: &helmv2.InstallRemediation{Retries: n}}
		s.Upgrade = &helmv2.Upgrade{Remediation: &helmv2.UpgradeRemediation{Retries: n}}
	}
}

func retryOnFailure(s *helmv2.HelmReleaseSpec) {
	s.Install = &helmv2.Install{Strategy: &helmv2.InstallStrategy{Name: string(helmv2.ActionStrategyRetryOnFailure)}}
	s.Upgrade = &helmv2.Upgrade{Strategy: &helmv2.UpgradeStrategy{Name: string(helmv2.ActionStrategyRetryOnFailure), RetryInterval: &metav1.Duration{Duration: time.Minute}}}
}

func uninstallUpgrades(s *helmv2.HelmReleaseSpec) {
	retries(1)(s)
	s.Upgrade.Remediation.Strategy = new(helmv2.UninstallRemediationStrategy)
}

func withTests(change func(*helmv2.HelmReleaseSpec)) func(*helmv2.HelmReleaseSpec) {
	return func(s *helmv2.HelmReleaseSpec) {
		if change != nil {
			change(s)
		}
		s.Test = &helmv2.Test{Enable: true}
	}
}

func keepHistory(s *helmv2.HelmReleaseSpec) {
	retries(1)(s)
	s.Uninstall = &helmv2.Uninstall{KeepHistory: true}
}

func TestInstall(t *testing.T) {
	for name, tc := range map[string]struct {
		spec               func(*helmv2.HelmReleaseSpec)
		chart              string
		stall, ran         string
		retry              time.Duration
		ready              metav1.ConditionStatus
		reason, message    string
		failures, installs int64
	}{
		"good": {chart: "good-1", ran: "install", ready: metav1.ConditionTrue, reason: helmv2.InstallSucceededReason,
			message: "Helm install succeeded for release ns/app.v1 with chart chart@good-1"},
		"good, tested": {spec: withTests(nil), chart: "good-1", ran: "install test", ready: metav1.ConditionTrue, reason: helmv2.TestSucceededReason,
			message: "Helm test succeeded for release ns/app.v1 with chart chart@good-1: 1 test hook completed successfully"},
		"bad": {chart: "bad", ran: "install", stall: "RetriesExceeded: Failed to install after 1 attempt(s)", ready: metav1.ConditionFalse, reason: helmv2.InstallFailedReason,
			message: "Helm install failed for release ns/app with chart chart@bad: Deployment ns/app is not ready", failures: 1, installs: 1},
		"bad, two retries": {spec: retries(2), chart: "bad", ran: "install uninstall-remediation install uninstall-remediation install",
			stall: "RetriesExceeded: Failed to install after 3 attempt(s)", ready: metav1.ConditionFalse, reason: helmv2.InstallFailedReason,
			message: "Helm install failed for release ns/app with chart chart@bad: Deployment ns/app is not ready", failures: 3, installs: 3},
		"bad, the last is remediated": {spec: func(s *helmv2.HelmReleaseSpec) {
			s.Install = &helmv2.Install{Remediation: &helmv2.InstallRemediation{RemediateLastFailure: new(true)}}
		}, chart: "bad", ran: "install uninstall-remediation", stall: "RetriesExceeded: Failed to install after 1 attempt(s)", ready: metav1.ConditionFalse,
			reason: helmv2.UninstallSucceededReason, message: "Helm uninstall remediation for release ns/app.v1 with chart chart@bad succeeded", failures: 1, installs: 1},
		"bad, history kept": {spec: keepHistory, chart: "bad", ran: "install uninstall-remediation install", stall: "RetriesExceeded: Failed to install after 2 attempt(s)",
			ready: metav1.ConditionFalse, reason: helmv2.InstallFailedReason, message: "Helm install failed for release ns/app with chart chart@bad: Deployment ns/app is not ready", failures: 2, installs: 2},
		"bad, retried without remedy": {spec: retryOnFailure, chart: "bad", ran: "install" + strings.Repeat(" upgrade", 9), retry: time.Minute, ready: metav1.ConditionFalse, reason: helmv2.UpgradeFailedReason,
			message: "Helm upgrade failed for release ns/app with chart chart@bad: Deployment ns/app is not ready", failures: 10, installs: 1},
		"bad, retried without a pause": {spec: func(s *helmv2.HelmReleaseSpec) {
			retryOnFailure(s)
			s.Install.Strategy.RetryInterval, s.Upgrade.Strategy.RetryInterval = &metav1.Duration{}, &metav1.Duration{}
		}, chart: "bad", ran: "install" + strings.Repeat(" upgrade", 9), retry: defaultMinRetry, ready: metav1.ConditionFalse, reason: helmv2.UpgradeFailedReason,
			message: "Helm upgrade failed for release ns/app with chart chart@bad: Deployment ns/app is not ready", failures: 10, installs: 1},
		"it does not render": {spec: retries(1), chart: "broken", ran: strings.TrimSpace(strings.Repeat("install ", 10)), retry: 384 * time.Second, ready: metav1.ConditionFalse, reason: helmv2.InstallFailedReason,
			message: "Helm install failed for release ns/app with chart chart@broken: parse error", failures: 10},
		"its test fails": {spec: withTests(retries(1)), chart: "flaky", ran: "install test uninstall-remediation install test", stall: "RetriesExceeded: Failed to install after 2 attempt(s)",
			ready: metav1.ConditionFalse, reason: helmv2.TestFailedReason, message: "Helm test failed for release ns/app.v1 with chart chart@flaky: pod app-test failed", failures: 2, installs: 2},
		"its test fails and that is ignored": {spec: func(s *helmv2.HelmReleaseSpec) { s.Test = &helmv2.Test{Enable: true, IgnoreFailures: true} }, chart: "flaky", ran: "install test",
			ready: metav1.ConditionTrue, reason: helmv2.InstallSucceededReason, message: "Helm install succeeded for release ns/app.v1 with chart chart@flaky"},
		"its test fails and is no reason to remediate": {spec: func(s *helmv2.HelmReleaseSpec) {
			withTests(retries(3))(s)
			s.Install.Remediation.IgnoreTestFailures = new(true)
		}, chart: "flaky", ran: "install test", ready: metav1.ConditionFalse, reason: helmv2.TestFailedReason,
			message: "Helm test failed for release ns/app.v1 with chart chart@flaky: pod app-test failed"},
		"no test is selected": {spec: func(s *helmv2.HelmReleaseSpec) {
			s.Test = &helmv2.Test{Enable: true, Filters: &[]helmv2.Filter{{Name: "app-test", Exclude: true}}}
		}, chart: "good-1", ran: "install test", ready: metav1.ConditionTrue, reason: helmv2.TestSucceededReason,
			message: "Helm test succeeded for release ns/app.v1 with chart chart@good-1: no test hooks"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.spec)
			w.chart(tc.chart)
			step := w.converge()
			w.wants(step, tc.stall, tc.ran)
			w.ready(tc.ready, tc.reason, tc.message)
			if step.Retry != tc.retry {
				t.Errorf("it is tried again after %s, want %s", step.Retry, tc.retry)
			}
			if status := w.obj.Status; status.Failures != tc.failures || status.InstallFailures != tc.installs {
				t.Errorf("%d failures, %d of installs, want %d and %d", status.Failures, status.InstallFailures, tc.failures, tc.installs)
			}
		})
	}
}

func TestUpgrade(t *testing.T) {
	const failed = "Helm upgrade failed for release ns/app with chart chart@bad: Deployment ns/app is not ready"
	for name, tc := range map[string]struct {
		spec            func(*helmv2.HelmReleaseSpec)
		chart           string
		change          func(*world)
		stall, ran      string
		ready           metav1.ConditionStatus
		reason, message string
	}{
		"good": {chart: "good-2", ran: "upgrade", ready: metav1.ConditionTrue, reason: helmv2.UpgradeSucceededReason, message: "Helm upgrade succeeded for release ns/app.v2 with chart chart@good-2"},
		"bad":  {chart: "bad", ran: "upgrade", stall: "RetriesExceeded: Failed to upgrade after 1 attempt(s)", ready: metav1.ConditionFalse, reason: helmv2.UpgradeFailedReason, message: failed},
		"bad, a retry": {spec: retries(1), chart: "bad", ran: "upgrade rollback upgrade rollback", stall: "RetriesExceeded: Failed to upgrade after 2 attempt(s)", ready: metav1.ConditionFalse,
			reason: helmv2.RollbackSucceededReason, message: "Helm rollback to previous release ns/app.v3 with chart chart@good-1 succeeded"},
		"bad, uninstalled": {spec: uninstallUpgrades, chart: "bad", ran: "upgrade uninstall-remediation install uninstall-remediation install",
			stall: "RetriesExceeded: Failed to install after 2 attempt(s)", ready: metav1.ConditionFalse, reason: helmv2.InstallFailedReason,
			message: "Helm install failed for release ns/app with chart chart@bad: Deployment ns/app is not ready"},
		"bad, nothing to roll back to": {spec: retries(1), chart: "bad", change: func(w *world) {
			w.obj.Status.History[0].TestHooks = &map[string]*helmv2.TestHookStatus{"app-test": {Phase: release.HookFailed}}
		}, ran: "upgrade", stall: "MissingRollbackTarget: Failed to perform remediation: missing target release for rollback: cannot remediate failed release", ready: metav1.ConditionFalse,
			reason: helmv2.UpgradeFailedReason, message: failed},
		"bad, somebody has changed what to roll back to": {spec: retries(1), chart: "bad", change: func(w *world) {
			w.kill = never
			w.reconcile()
			w.stored[1].Manifest = "changed"
		}, ran: "upgrade upgrade", stall: "RetriesExceeded: Failed to upgrade after 2 attempt(s)", ready: metav1.ConditionFalse, reason: helmv2.UpgradeFailedReason, message: failed},
		"a rollback fails": {spec: retries(1), chart: "bad", change: func(w *world) { w.brokenRollback = true }, ran: "upgrade" + strings.Repeat(" rollback", 10),
			ready: metav1.ConditionFalse, reason: helmv2.RollbackFailedReason, message: "Helm rollback to previous release ns/app.v1 with chart chart@good-1 failed: Deployment ns/app is not ready"},
		"its test fails": {spec: withTests(retries(1)), chart: "flaky", ran: "upgrade test rollback upgrade test rollback", stall: "RetriesExceeded: Failed to upgrade after 2 attempt(s)",
			ready: metav1.ConditionFalse, reason: helmv2.RollbackSucceededReason, message: "Helm rollback to previous release ns/app.v3 with chart chart@good-1 succeeded"},
		"other post-renderers": {chart: "good-1", change: func(w *world) { w.want.PostRenderersDigest, w.obj.Generation = "sha256:1", 2 }, ran: "upgrade", ready: metav1.ConditionTrue,
			reason: helmv2.UpgradeSucceededReason, message: "Helm upgrade succeeded for release ns/app.v2 with chart chart@good-1"},
		"other common metadata": {chart: "good-1", change: func(w *world) { w.want.CommonMetadataDigest, w.obj.Generation = "sha256:1", 2 }, ran: "upgrade", ready: metav1.ConditionTrue,
			reason: helmv2.UpgradeSucceededReason, message: "Helm upgrade succeeded for release ns/app.v2 with chart chart@good-1"},
		"nothing that matters": {chart: "good-1", change: func(w *world) { w.obj.Generation = 2 }, ready: metav1.ConditionTrue,
			reason: helmv2.InstallSucceededReason, message: "Helm install succeeded for release ns/app.v1 with chart chart@good-1"},
		"forced": {chart: "good-1", change: func(w *world) {
			w.obj.Annotations = map[string]string{helmv2.ForceAnnotation: "now", reconcileAnnotation: "now"}
		}, ran: "upgrade", ready: metav1.ConditionTrue, reason: helmv2.UpgradeSucceededReason, message: "Helm upgrade succeeded for release ns/app.v2 with chart chart@good-1"},
		"forced with another token": {chart: "good-1", change: func(w *world) {
			w.obj.Annotations = map[string]string{helmv2.ForceAnnotation: "before", reconcileAnnotation: "now"}
		}, ready: metav1.ConditionTrue, reason: helmv2.InstallSucceededReason, message: "Helm install succeeded for release ns/app.v1 with chart chart@good-1"},
		"somebody has changed the release": {chart: "good-1", change: func(w *world) { w.stored[0].Description = "changed" }, ran: "upgrade", ready: metav1.ConditionTrue,
			reason: helmv2.UpgradeSucceededReason, message: "Helm upgrade succeeded for release ns/app.v2 with chart chart@good-1"},
		"somebody has removed the release": {chart: "good-1", change: func(w *world) { w.stored = nil }, ran: "install", ready: metav1.ConditionTrue,
			reason: helmv2.InstallSucceededReason, message: "Helm install succeeded for release ns/app.v1 with chart chart@good-1"},
		"another release name": {chart: "good-1", change: func(w *world) { w.want.Target.Name = "other" }, ran: "uninstall install", ready: metav1.ConditionTrue,
			reason: helmv2.InstallSucceededReason, message: "Helm install succeeded for release ns/other.v1 with chart chart@good-1"},
		"another chart": {chart: "good-1", change: func(w *world) { w.want.Chart.Name = "other" }, ran: "uninstall install", ready: metav1.ConditionTrue,
			reason: helmv2.InstallSucceededReason, message: "Helm install succeeded for release ns/app.v1 with chart other@good-1"},
		"another chart in place": {spec: func(s *helmv2.HelmReleaseSpec) {
			s.Upgrade = &helmv2.Upgrade{ChartNameChangeStrategy: helmv2.ChartNameChangeStrategyInPlaceUpdate}
		}, chart: "good-1", change: func(w *world) { w.want.Chart.Name = "other" }, ran: "upgrade", ready: metav1.ConditionTrue,
			reason: helmv2.UpgradeSucceededReason, message: "Helm upgrade succeeded for release ns/app.v2 with chart other@good-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.spec)
			if step := w.converge(); step.Stalled != nil || w.state() != InSync {
				t.Fatalf("the install came to %+v", step)
			}
			w.actions = nil
			w.chart(tc.chart)
			if tc.change != nil {
				tc.change(w)
			}
			w.wants(w.converge(), tc.stall, tc.ran)
			w.ready(tc.ready, tc.reason, tc.message)
			w.actions = nil
			if step := w.settle(); tc.ready == metav1.ConditionTrue && (w.ran() != "" || step.Retry != 0) {
				t.Errorf("in sync, it ran %s and came to %+v", w.ran(), step)
			}
		})
	}
}
