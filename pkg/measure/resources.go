// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// patience is how long a scrape waits for the cache, which has what is asked of
// it unless the process has just begun.
const patience = time.Second

// Resources are what the objects of a controller say of themselves, read from
// its cache at each scrape. Only the leader tells, so of several replicas one
// does.
type Resources struct {
	reader  client.Reader
	scheme  *runtime.Scheme
	kinds   []schema.GroupVersionKind
	elected <-chan struct{}
	// controller and lease are the labels of leader. They vary, although not here: a
	// second controller of one process has the same metrics.
	controller, lease string

	condition, suspend, leader *prometheus.Desc
}

var _ prometheus.Collector = (*Resources)(nil)

// NewResources returns a collector for the kinds of the examples. The lease is
// what the replicas of one controller, or of one shard of it, take turns with.
// The channel is closed when this process leads.
func NewResources(controller, lease string, reader client.Reader, scheme *runtime.Scheme, elected <-chan struct{}, examples []client.Object) (*Resources, error) {
	r := &Resources{
		reader: reader, scheme: scheme, elected: elected, controller: controller, lease: lease,
		condition: prometheus.NewDesc("weir_resource_condition", "1 if a condition of an object is True, and 0 if it is False or Unknown.", []string{"kind", "namespace", "name", "type", "reason"}, nil),
		suspend:   prometheus.NewDesc("weir_resource_suspended", "1 if an object is suspended, and 0 if not.", []string{"kind", "namespace", "name"}, nil),
		leader:    prometheus.NewDesc("weir_leader", "1 if this process reconciles, and 0 if it stands by.", []string{"controller", "lease"}, nil),
	}
	for _, example := range examples {
		gvk, err := apiutil.GVKForObject(example, scheme)
		if err != nil {
			return nil, fmt.Errorf("set up the metrics: %w", err)
		}
		r.kinds = append(r.kinds, gvk)
	}
	return r, nil
}

// Describe implements prometheus.Collector.
func (r *Resources) Describe(ch chan<- *prometheus.Desc) {
	ch <- r.condition
	ch <- r.suspend
	ch <- r.leader
}

// Collect implements prometheus.Collector.
func (r *Resources) Collect(ch chan<- prometheus.Metric) {
	select {
	case <-r.elected:
	default:
		ch <- prometheus.MustNewConstMetric(r.leader, prometheus.GaugeValue, 0, r.controller, r.lease)
		return
	}
	ch <- prometheus.MustNewConstMetric(r.leader, prometheus.GaugeValue, 1, r.controller, r.lease)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, gvk := range r.kinds {
		for _, obj := range r.list(ctx, gvk) {
			r.collect(ch, gvk.Kind, obj)
		}
	}
}

// list returns the objects of a kind. One that cannot be listed now, since its
// cache is not filled yet, has none.
func (r *Resources) list(ctx context.Context, gvk schema.GroupVersionKind) []runtime.Object {
	made, err := r.scheme.New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err != nil {
		return nil
	}
	list, ok := made.(client.ObjectList)
	if !ok || r.reader.List(ctx, list, client.UnsafeDisableDeepCopy) != nil {
		return nil
	}
	objects, err := meta.ExtractList(list)
	if err != nil {
		return nil
	}
	return objects
}

func (r *Resources) collect(ch chan<- prometheus.Metric, kind string, object runtime.Object) {
	obj, ok := object.(conditions.Getter)
	if !ok {
		return
	}
	gauge := func(desc *prometheus.Desc, is bool, labels ...string) {
		value := 0.
		if is {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	seen := map[string]bool{}
	for _, c := range obj.GetConditions() {
		if !seen[c.Type] { // A scrape with one series twice is refused as a whole.
			seen[c.Type] = true
			gauge(r.condition, c.Status == metav1.ConditionTrue, kind, obj.GetNamespace(), obj.GetName(), c.Type, c.Reason)
		}
	}
	gauge(r.suspend, suspended(obj), kind, obj.GetNamespace(), obj.GetName())
}

// suspended reports spec.suspend, which every kind that can be suspended has.
func suspended(obj client.Object) bool {
	spec := reflect.Indirect(reflect.ValueOf(obj)).FieldByName("Spec")
	if spec.Kind() != reflect.Struct {
		return false
	}
	suspend := spec.FieldByName("Suspend")
	return suspend.Kind() == reflect.Bool && suspend.Bool()
}
