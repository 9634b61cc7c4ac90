// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v2

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

const (
	defaultTimeout       = 5 * time.Minute
	defaultRetryInterval = 5 * time.Minute
	defaultMaxHistory    = 5

	// maxReleaseName is the length in bytes that Helm allows; longer names keep shortReleaseName of them and get a hash.
	maxReleaseName   = 53
	shortReleaseName = 40
	releaseNameHash  = 12
)

// GetConditions returns the conditions of the status.
func (r *HelmRelease) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (r *HelmRelease) SetConditions(conditions []metav1.Condition) { r.Status.Conditions = conditions }

// GetLastHandledReconcileRequest returns the token of the last request that was handled.
func (r *HelmRelease) GetLastHandledReconcileRequest() string {
	return r.Status.GetLastHandledReconcileRequest()
}

// SetLastHandledReconcileRequest records the token of a request that was handled.
func (r *HelmRelease) SetLastHandledReconcileRequest(token string) {
	r.Status.SetLastHandledReconcileRequest(token)
}

// GetRequeueAfter returns the interval.
func (r *HelmRelease) GetRequeueAfter() time.Duration { return r.Spec.Interval.Duration }

// GetTimeout returns how long a single operation may take: spec.timeout, or else 5 minutes.
func (r *HelmRelease) GetTimeout() time.Duration { return orElse(r.Spec.Timeout, defaultTimeout) }

// GetMaxHistory returns how many revisions of the release Helm keeps: spec.maxHistory, or else 5. 0 keeps all.
func (r *HelmRelease) GetMaxHistory() int {
	if r.Spec.MaxHistory == nil {
		return defaultMaxHistory
	}
	return *r.Spec.MaxHistory
}

// GetReleaseName returns spec.releaseName, or else the name of the HelmRelease with the target namespace, if one is set,
// and a dash in front. What Helm would refuse as too long is shortened as ShortenReleaseName does.
func (r *HelmRelease) GetReleaseName() string {
	name := r.Spec.ReleaseName
	if name == "" && r.Spec.TargetNamespace != "" {
		name = r.Spec.TargetNamespace + "-" + r.Name
	}
	if name == "" {
		name = r.Name
	}
	return ShortenReleaseName(name)
}

// ShortenReleaseName returns a name of at most 53 bytes: the name itself, or its first 40 bytes, a dash, and the first 12
// hex digits of its SHA-256, as Flux makes it.
func ShortenReleaseName(name string) string {
	if len(name) <= maxReleaseName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:shortReleaseName] + "-" + hex.EncodeToString(sum[:])[:releaseNameHash]
}

// GetReleaseNamespace returns what the chart is released to: spec.targetNamespace, or else the HelmRelease's own.
func (r *HelmRelease) GetReleaseNamespace() string {
	return orString(r.Spec.TargetNamespace, r.Namespace)
}

// GetStorageNamespace returns where Helm stores the release: spec.storageNamespace, or else the HelmRelease's own.
func (r *HelmRelease) GetStorageNamespace() string {
	return orString(r.Spec.StorageNamespace, r.Namespace)
}

// GetDependsOn returns the dependencies as they are written. An empty namespace stands for that of the HelmRelease.
func (r *HelmRelease) GetDependsOn() []meta.DependencyReference { return r.Spec.DependsOn }

// GetPostRenderStrategy returns spec.postRenderStrategy, or else PostRenderStrategyCombined.
func (r *HelmRelease) GetPostRenderStrategy() PostRenderStrategy {
	return PostRenderStrategy(orString(string(r.Spec.PostRenderStrategy), string(PostRenderStrategyCombined)))
}

// GetWaitStrategy returns the name of spec.waitStrategy, or else WaitStrategyPoller.
func (r *HelmRelease) GetWaitStrategy() WaitStrategyName {
	if r.Spec.WaitStrategy == nil || r.Spec.WaitStrategy.Name == "" {
		return WaitStrategyPoller
	}
	return r.Spec.WaitStrategy.Name
}

// GetDriftMode returns what becomes of drift: the mode of spec.driftDetection, or else DriftDisabled.
func (r *HelmRelease) GetDriftMode() meta.DriftMode {
	if r.Spec.DriftDetection == nil || r.Spec.DriftDetection.Mode == "" {
		return meta.DriftDisabled
	}
	return r.Spec.DriftDetection.Mode
}

// GetInstall returns spec.install, or one without settings.
func (r *HelmRelease) GetInstall() Install { return deref(r.Spec.Install) }

// GetUpgrade returns spec.upgrade, or one without settings.
func (r *HelmRelease) GetUpgrade() Upgrade { return deref(r.Spec.Upgrade) }

// GetTest returns spec.test, or one without settings.
func (r *HelmRelease) GetTest() Test { return deref(r.Spec.Test) }

// GetRollback returns spec.rollback, or one without settings.
func (r *HelmRelease) GetRollback() Rollback { return deref(r.Spec.Rollback) }

// GetUninstall returns spec.uninstall, or one without settings.
func (r *HelmRelease) GetUninstall() Uninstall { return deref(r.Spec.Uninstall) }

// GetTimeout returns the timeout of the install, or else the given one.
func (i Install) GetTimeout(timeout time.Duration) time.Duration { return orElse(i.Timeout, timeout) }

// GetTimeout returns the timeout of the upgrade, or else the given one.
func (u Upgrade) GetTimeout(timeout time.Duration) time.Duration { return orElse(u.Timeout, timeout) }

// GetTimeout returns the timeout of the tests, or else the given one.
func (t Test) GetTimeout(timeout time.Duration) time.Duration { return orElse(t.Timeout, timeout) }

// GetTimeout returns the timeout of the rollback, or else the given one.
func (r Rollback) GetTimeout(timeout time.Duration) time.Duration { return orElse(r.Timeout, timeout) }

// GetTimeout returns the timeout of the uninstall, or else the given one.
func (u Uninstall) GetTimeout(timeout time.Duration) time.Duration { return orElse(u.Timeout, timeout) }

// GetDeletionPropagation returns the policy, or else "background".
func (u Uninstall) GetDeletionPropagation() string {
	if u.DeletionPropagation == nil {
		return "background"
	}
	return *u.DeletionPropagation
}

// GetFilters returns the filters, none if there are none.
func (t Test) GetFilters() []Filter { return deref(t.Filters) }

// GetChartNameChangeStrategy returns the strategy, or else ChartNameChangeStrategyReinstall.
func (u Upgrade) GetChartNameChangeStrategy() ChartNameChangeStrategy {
	return ChartNameChangeStrategy(orString(string(u.ChartNameChangeStrategy), string(ChartNameChangeStrategyReinstall)))
}

// GetStrategy returns the strategy, or else RollbackRemediationStrategy.
func (u UpgradeRemediation) GetStrategy() RemediationStrategy {
	if u.Strategy == nil {
		return RollbackRemediationStrategy
	}
	return *u.Strategy
}

// GetRetryInterval returns the time from a failure to the next try, 5 minutes by default.
func (s InstallStrategy) GetRetryInterval() time.Duration {
	return orElse(s.RetryInterval, defaultRetryInterval)
}

// GetRetryInterval returns the time from a failure to the next try, 5 minutes by default.
func (s UpgradeStrategy) GetRetryInterval() time.Duration {
	return orElse(s.RetryInterval, defaultRetryInterval)
}

// ChartReference identifies the source of a chart.
type ChartReference struct {
	Kind, Namespace, Name string
}

// GetChartReference returns the source of the chart: the one that spec.chartRef names, or the one that the controller
// makes from spec.chart, in the namespace of the source that it refers to.
func (r *HelmRelease) GetChartReference() ChartReference {
	if ref := r.Spec.ChartRef; ref != nil {
		return ChartReference{orString(ref.Kind, sourcev1.HelmChartKind), orString(ref.Namespace, r.Namespace), ref.Name}
	}
	template := r.Spec.Chart
	if template == nil {
		return ChartReference{}
	}
	made := ChartReference{orString(template.Kind, sourcev1.HelmChartKind), r.Namespace, r.Namespace + "-" + r.Name}
	if ref := template.Spec.SourceRef; ref != nil && made.Kind == sourcev1.HelmChartKind {
		made.Namespace = orString(ref.Namespace, r.Namespace)
	}
	return made
}

// SetChart records the source that the controller has made; the zero reference, that there is none. A HelmChart is
// written without its kind, as it was when there were no others.
func (s *HelmReleaseStatus) SetChart(ref ChartReference) {
	switch ref.Kind {
	case "":
		s.HelmChart = ""
	case sourcev1.HelmChartKind:
		s.HelmChart = ref.Namespace + "/" + ref.Name
	default:
		s.HelmChart = ref.Kind + "/" + ref.Namespace + "/" + ref.Name
	}
}

// GetChart returns the source that the controller has made, or the zero reference.
func (s *HelmReleaseStatus) GetChart() ChartReference {
	parts := strings.Split(s.HelmChart, "/")
	switch len(parts) {
	case 2:
		return ChartReference{sourcev1.HelmChartKind, parts[0], parts[1]}
	case 3:
		return ChartReference{parts[0], parts[1], parts[2]}
	}
	return ChartReference{}
}

// GetTemplateInterval returns the interval of the source that the controller makes: its own, or else that of the
// HelmRelease.
func (r *HelmRelease) GetTemplateInterval() metav1.Duration {
	if r.Spec.Chart == nil || r.Spec.Chart.Spec.Interval == nil {
		return r.Spec.Interval
	}
	return *r.Spec.Chart.Spec.Interval
}

// GetKey returns the key that holds the values: valuesKey, or else values.yaml.
func (v ValuesReference) GetKey() string { return orString(v.ValuesKey, "values.yaml") }

func orString(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func orElse(d *metav1.Duration, fallback time.Duration) time.Duration {
	if d == nil {
		return fallback
	}
	return d.Duration
}

func deref[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}
