// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package measure has the metrics that the controllers share: what comes of
// reconciles, how long a commit takes to be ready, how often a change by hand
// was put back, and what the objects say of themselves.
package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	helper "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/metrics"
	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// CommitTime is the key of an artifact's metadata for when its commit was made,
// by the clock of whoever made it, as in RFC 3339.
const CommitTime = "weir.dev/commit-time"

// Values of the label from of weir_delivery_seconds.
const (
	// FromCommit measures from the time of the commit.
	FromCommit = "commit"
	// FromArtifact measures from when source-controller had it.
	FromArtifact = "artifact"
)

// Metrics are told what controllers do. The zero value measures nothing.
type Metrics struct {
	helper.Metrics

	failures, corrections *prometheus.CounterVec
	delivery              *prometheus.HistogramVec
}

// New registers the metrics. Objects that have none of the finalizers any more
// and are being deleted are forgotten. A second Metrics of one process measures
// for itself, and the first one stays the one served.
func New(registry prometheus.Registerer, mgr ctrl.Manager, finalizers ...string) (Metrics, error) {
	recorder := metrics.NewRecorder()
	object := []string{"kind", "namespace", "name"}
	m := Metrics{
		Metrics: helper.NewMetrics(mgr, recorder, finalizers...),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_reconcile_failures_total", Help: "Reconciles that left an object not ready, waits for its dependencies apart.",
		}, object),
		corrections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_drift_corrections_total", Help: "Managed objects of a Kustomization or HelmRelease that somebody had changed and that were put back.",
		}, object),
		delivery: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "weir_delivery_seconds",
			Help:    "How long a new revision took until a Kustomization or HelmRelease was ready at it, from its commit or from its artifact.",
			Buckets: []float64{.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600},
		}, []string{"kind", "namespace", "from"}),
	}
	return m, Register(registry, append(recorder.Collectors(), m.failures, m.corrections, m.delivery)...)
}

// Register has collectors served. One that is served already, by another
// controller of the process, stays as it is.
func Register(registry prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, collector := range collectors {
		err := registry.Register(collector)
		if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !twice {
			return fmt.Errorf("register the metrics: %w", err)
		}
	}
	return nil
}

// RecordDuration measures a reconcile that has ended, by what the object says
// of itself now.
func (m Metrics) RecordDuration(ctx context.Context, obj conditions.Getter, start time.Time) {
	m.Metrics.RecordDuration(ctx, obj, start)
	if m.failures == nil {
		return
	}
	labels := m.labels(obj)
	if m.IsDelete(obj) {
		m.failures.Delete(labels)
		m.corrections.Delete(labels)
		return
	}
	// At 0 from the beginning: a counter that begins with 1 shows no increase.
	failures := m.failures.With(labels)
	if conditions.IsFalse(obj, fluxmeta.ReadyCondition) && !suspended(obj) &&
		conditions.GetReason(obj, fluxmeta.ReadyCondition) != fluxmeta.DependencyNotReadyReason {
		failures.Inc()
	}
}

// Corrected counts objects that were put back. None is worth a call: then it is
// known that there was none.
func (m Metrics) Corrected(obj client.Object, count int) {
	if m.corrections != nil {
		m.corrections.With(m.labels(obj)).Add(float64(count))
	}
}

// Delivered measures the delivery of an artifact that an object has become
// ready at. An artifact that does not tell the time of its commit is measured
// from when source-controller had it, and only so.
func (m Metrics) Delivered(obj client.Object, artifact *fluxmeta.Artifact, ready time.Time) {
	if m.delivery == nil {
		return
	}
	observe := func(from string, since time.Time) {
		labels := prometheus.Labels{"kind": m.kind(obj), "namespace": obj.GetNamespace(), "from": from}
		// Clocks differ: nothing is ready before it was committed.
		m.delivery.With(labels).Observe(max(ready.Sub(since), 0).Seconds())
	}
	observe(FromArtifact, artifact.LastUpdateTime.Time)
	if committed, err := time.Parse(time.RFC3339, artifact.Metadata[CommitTime]); err == nil {
		observe(FromCommit, committed)
	}
}

func (m Metrics) labels(obj client.Object) prometheus.Labels {
	return prometheus.Labels{"kind": m.kind(obj), "namespace": obj.GetNamespace(), "name": obj.GetName()}
}

func (m Metrics) kind(obj client.Object) string {
	gvk, err := apiutil.GVKForObject(obj, m.Scheme)
	if err != nil {
		return "" // no controller reconciles what its scheme does not know
	}
	return gvk.Kind
}
