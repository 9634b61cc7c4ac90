// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	gpuResource = corev1.ResourceName("nvidia.com/gpu")
	teamLabel   = quotav1.LabelPrefix + "team"
)

// gpuRig is a fresh cluster with Weir's manifests, and replicas of
// gpu-quota-controller once they are asked for.
type gpuRig struct {
	platform *platform.Platform
	api      kubernetes.Interface
	quotas   client.Client
	replicas []*platform.Controller
}

// onGPUs measures on a fresh cluster.
func onGPUs(ctx context.Context, measure func(*gpuRig) error, opts ...testkit.ClusterOption) (err error) {
	p, err := platform.StartBare(ctx, opts...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(context.WithoutCancel(ctx))) }()
	r := &gpuRig{platform: p}
	if r.api, err = kubernetes.NewForConfig(p.Cluster.Config()); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := quotav1.AddToScheme(scheme); err != nil {
		return err
	}
	if r.quotas, err = client.New(p.Cluster.Config(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return measure(r)
}

// start starts replicas of the controller.
func (r *gpuRig) start(ctx context.Context, n int, flags ...string) (err error) {
	r.replicas, err = r.platform.StartQuotaReplicas(ctx, n, flags...)
	return err
}

// namespace creates a namespace whose pods draw on the quota of that name, or
// on none if team is empty.
func (r *gpuRig) namespace(ctx context.Context, name, team string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if team != "" {
		namespace.Labels = map[string]string{teamLabel: team}
	}
	_, err := r.api.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	return err
}

// quota creates a quota with a limit for its namespaces.
func (r *gpuRig) quota(ctx context.Context, name, parent string, hard int64) error {
	quota := &quotav1.GPUQuota{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: quotav1.GPUQuotaSpec{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{teamLabel: name}},
			Limits:            []quotav1.Limit{{Device: quotav1.DefaultDevice, Hard: strconv.FormatInt(hard, 10)}},
		},
	}
	if parent != "" {
		quota.Spec.ParentRef = &quotav1.ParentReference{Name: parent}
	}
	return r.quotas.Create(ctx, quota)
}

// enforced waits until every quota is.
func (r *gpuRig) enforced(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return platform.Await(ctx, func(ctx context.Context) error {
		var list quotav1.GPUQuotaList
		if err := r.quotas.List(ctx, &list); err != nil {
			return err
		}
		for i := range list.Items {
			if !meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, "Ready") {
				return fmt.Errorf("GPUQuota %q is not enforced", list.Items[i].Name)
			}
		}
		return nil
	})
}

// pod asks for a number of GPUs, or for none. Nobody schedules it, so that the
// scheduler does not take part in what is measured.
func pod(gpus int64) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"},
		Spec: corev1.PodSpec{
			SchedulerName:                "nobody",
			AutomountServiceAccountToken: new(false),
			Containers:                   []corev1.Container{{Name: "bench", Image: "none"}},
		},
	}
	if gpus > 0 {
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{gpuResource: *resource.NewQuantity(gpus, resource.DecimalSI)}
	}
	return p
}

// latencies of requests, and how long all of them took together.
type latencies struct {
	each []time.Duration
	took time.Duration
}

// create creates pods, in turn in each of the namespaces, with a number of
// clients at a time.
func (r *gpuRig) create(ctx context.Context, namespaces []string, n, clients int, gpus int64) (*latencies, error) {
	result := &latencies{each: make([]time.Duration, n)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	begun := time.Now()
	for i := range n {
		group.Go(func() error {
			start := time.Now()
			_, err := r.api.CoreV1().Pods(namespaces[i%len(namespaces)]).Create(ctx, pod(gpus), metav1.CreateOptions{})
			result.each[i] = time.Since(start)
			return err
		})
	}
	err := group.Wait()
	result.took = time.Since(begun)
	return result, err
}

// merge adds the requests of another round.
func (l *latencies) merge(other *latencies) {
	l.each, l.took = append(l.each, other.each...), l.took+other.took
}

// quantile in milliseconds.
func (l *latencies) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(l.each))
	return float64(sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]) / float64(time.Millisecond)
}

// perSecond is how many there were.
func (l *latencies) perSecond() float64 { return float64(len(l.each)) / l.took.Seconds() }

// spread returns the names of n namespaces.
func spread(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%02d", prefix, i)
	}
	return names
}

// inParallel calls do for each name, 20 at a time.
func inParallel(ctx context.Context, names []string, do func(ctx context.Context, name string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, name := range names {
		group.Go(func() error { return do(ctx, name) })
	}
	return group.Wait()
}

// histogram sums the buckets of a metric over all replicas and the series that
// match.
type histogram struct {
	buckets map[float64]uint64
	count   uint64
}

// observed reads a histogram from the replicas.
func (r *gpuRig) observed(name string, match func(map[string]string) bool) (*histogram, error) {
	h := &histogram{buckets: map[float64]uint64{}}
	for _, replica := range r.replicas {
		c := &controller{metrics: replica.Metrics}
		list, err := c.series(name, match)
		if err != nil {
			return nil, err
		}
		for _, series := range list {
			h.count += series.GetHistogram().GetSampleCount()
			for _, bucket := range series.GetHistogram().GetBucket() {
				h.buckets[bucket.GetUpperBound()] += bucket.GetCumulativeCount()
			}
		}
	}
	return h, nil
}

// total adds a counter up over all replicas.
func (r *gpuRig) total(name string) (float64, error) {
	sum := 0.0
	for _, replica := range r.replicas {
		c := &controller{metrics: replica.Metrics}
		n, err := c.sum(name, nil)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// writes is how often ledgers were written, and how often somebody else was
// faster.
func (r *gpuRig) writes() (written, conflicts float64, err error) {
	if written, err = r.total("gpuquota_ledger_writes_total"); err != nil {
		return 0, 0, err
	}
	conflicts, err = r.total("gpuquota_ledger_cas_conflicts_total")
	return written, conflicts, err
}

// since returns what was added after before was read.
func (h *histogram) since(before *histogram) *histogram {
	d := &histogram{buckets: map[float64]uint64{}, count: h.count - before.count}
	for bound, n := range h.buckets {
		d.buckets[bound] = n - before.buckets[bound]
	}
	return d
}

// quantile interpolates within the bucket, as Prometheus does. In seconds.
func (h *histogram) quantile(q float64) float64 {
	rank, lower, below := q*float64(h.count), 0.0, uint64(0)
	bounds := make([]float64, 0, len(h.buckets))
	for bound := range h.buckets {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	for _, bound := range bounds {
		if n := h.buckets[bound]; float64(n) >= rank {
			if math.IsInf(bound, 1) {
				return lower
			}
			return lower + (bound-lower)*(rank-float64(below))/math.Max(1, float64(n-below))
		}
		lower, below = bound, h.buckets[bound]
	}
	return lower
}
