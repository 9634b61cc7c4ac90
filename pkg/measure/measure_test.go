// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

const finalizer = "finalizers.fluxcd.io"

// manager is all that the metrics need of one.
type manager struct {
	ctrl.Manager
	scheme *runtime.Scheme
}

func (m manager) GetScheme() *runtime.Scheme { return m.scheme }

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	if err := sourcev1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func repository(name string, change ...func(*sourcev1.GitRepository)) *sourcev1.GitRepository {
	obj := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, Finalizers: []string{finalizer}}}
	for _, f := range change {
		f(obj)
	}
	return obj
}

func failing(obj *sourcev1.GitRepository) {
	conditions.MarkFalse(obj, fluxmeta.ReadyCondition, "GitOperationFailed", "no such host")
}

func ready(obj *sourcev1.GitRepository) {
	conditions.MarkTrue(obj, fluxmeta.ReadyCondition, "Succeeded", "stored")
}

func expect(t *testing.T, registry prometheus.Gatherer, name, want string) {
	t.Helper()
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
}

func TestFailures(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m, err := New(registry, manager{scheme: scheme(t)}, finalizer)
	if err != nil {
		t.Fatal(err)
	}
	record := func(obj *sourcev1.GitRepository) { m.RecordDuration(t.Context(), obj, time.Now()) }
	record(repository("well", ready))
	record(repository("ill", failing))
	record(repository("ill", failing))
	record(repository("ill", ready))
	record(repository("suspended", failing, func(obj *sourcev1.GitRepository) { obj.Spec.Suspend = true }))
	record(repository("waiting", func(obj *sourcev1.GitRepository) {
		conditions.MarkFalse(obj, fluxmeta.ReadyCondition, fluxmeta.DependencyNotReadyReason, "b is not ready")
	}))
	record(repository("gone", failing))
	record(repository("gone", failing, func(obj *sourcev1.GitRepository) { obj.Finalizers, obj.DeletionTimestamp = nil, new(metav1.Now()) }))
	expect(t, registry, "weir_reconcile_failures_total", `
# HELP weir_reconcile_failures_total Reconciles that left an object not ready, waits for its dependencies apart.
# TYPE weir_reconcile_failures_total counter
weir_reconcile_failures_total{kind="GitRepository",name="ill",namespace="ml"} 2
weir_reconcile_failures_total{kind="GitRepository",name="suspended",namespace="ml"} 0
weir_reconcile_failures_total{kind="GitRepository",name="waiting",namespace="ml"} 0
weir_reconcile_failures_total{kind="GitRepository",name="well",namespace="ml"} 0
`)
}

func TestDelivered(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		committed string
		series    int
		want      string
	}{
		"commit known":          {"2026-03-01T11:59:00Z", 2, `le="60"} 1`},
		"commit not known":      {"", 1, ""},
		"commit is nonsense":    {"yesterday", 1, ""},
		"a clock that is ahead": {"2026-03-01T12:05:00Z", 2, `le="0.5"} 1`},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewPedanticRegistry()
			m, err := New(registry, manager{scheme: scheme(t)})
			if err != nil {
				t.Fatal(err)
			}
			artifact := &fluxmeta.Artifact{LastUpdateTime: metav1.NewTime(now.Add(-3 * time.Second)), Metadata: map[string]string{CommitTime: tc.committed}}
			m.Delivered(repository("a"), artifact, now)
			if got := testutil.CollectAndCount(m.delivery, "weir_delivery_seconds"); got != tc.series {
				t.Errorf("%d histograms, want %d", got, tc.series)
			}
			text, err := testutil.CollectAndFormat(m.delivery, expfmt.TypeTextPlain, "weir_delivery_seconds")
			if err != nil {
				t.Fatal(err)
			}
			if want := `from="artifact",kind="GitRepository",namespace="ml",le="5"} 1`; !strings.Contains(string(text), want) {
				t.Errorf("no %s in\n%s", want, text)
			}
			if want := `from="commit",kind="GitRepository",namespace="ml",` + tc.want; tc.want != "" && !strings.Contains(string(text), want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		})
	}
}

func TestResources(t *testing.T) {
	s := scheme(t)
	objects := fake.NewClientBuilder().WithScheme(s).WithObjects(
		repository("well", ready),
		repository("ill", failing, func(obj *sourcev1.GitRepository) {
			obj.Spec.Suspend = true
			obj.Status.Conditions = append(obj.Status.Conditions, obj.Status.Conditions[0])
		}),
		repository("new"),
	).Build()
	elected := make(chan struct{})
	r, err := NewResources("source-controller", "source-controller-leader-election", objects, s, elected, []client.Object{&sourcev1.GitRepository{}})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := Register(registry, r); err != nil {
		t.Fatal(err)
	}
	const leader = "# HELP weir_leader 1 if this process reconciles, and 0 if it stands by.\n# TYPE weir_leader gauge\n"
	expect(t, registry, "weir_leader", leader+`weir_leader{controller="source-controller",lease="source-controller-leader-election"} 0`+"\n")
	if got, err := testutil.GatherAndCount(registry); got != 1 || err != nil {
		t.Errorf("a standby has %d series and error %v, want that it does not lead and nothing else", got, err)
	}
	close(elected)
	expect(t, registry, "weir_leader", leader+`weir_leader{controller="source-controller",lease="source-controller-leader-election"} 1`+"\n")
	expect(t, registry, "weir_resource_condition", `
# HELP weir_resource_condition 1 if a condition of an object is True, and 0 if it is False or Unknown.
# TYPE weir_resource_condition gauge
weir_resource_condition{kind="GitRepository",name="ill",namespace="ml",reason="GitOperationFailed",type="Ready"} 0
weir_resource_condition{kind="GitRepository",name="well",namespace="ml",reason="Succeeded",type="Ready"} 1
`)
	expect(t, registry, "weir_resource_suspended", `
# HELP weir_resource_suspended 1 if an object is suspended, and 0 if not.
# TYPE weir_resource_suspended gauge
weir_resource_suspended{kind="GitRepository",name="ill",namespace="ml"} 1
weir_resource_suspended{kind="GitRepository",name="new",namespace="ml"} 0
weir_resource_suspended{kind="GitRepository",name="well",namespace="ml"} 0
`)
}

func TestMeasuringNothing(t *testing.T) {
	m := Metrics{}
	m.RecordDuration(t.Context(), repository("a"), time.Now())
	m.Corrected(repository("a"), 1)
	m.Delivered(repository("a"), &fluxmeta.Artifact{}, time.Now())
}

func TestTwiceInAProcess(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, lease := range []string{"source-controller-leader-election", "source-controller-leader-election-shard1"} {
		if _, err := New(registry, manager{scheme: scheme(t)}); err != nil {
			t.Fatal(err)
		}
		r, err := NewResources("source-controller", lease, nil, scheme(t), make(chan struct{}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := Register(registry, r); err != nil {
			t.Fatalf("a second controller of one process: %v", err)
		}
	}
}
