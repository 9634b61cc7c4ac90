// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/ledger"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	deadline  = 30 * time.Second
	namespace = "weir-system"
	team      = "quota.weir.dev/team"
)

// Shared by the tests of this package: one cluster with Weir's manifests and
// nodes with 8 GPUs each, and one controller.
var (
	cluster    *testkit.Cluster
	kube       client.WithWatch
	account    *rest.Config
	controller *process
	// hours is the clock of the controllers. It runs like any other, and tests
	// that are alone put it forward.
	hours = clocktesting.NewFakeClock(time.Now())
)

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) {
		if err := setup(c); err != nil {
			fmt.Fprintln(os.Stderr, "set up the tests:", err)
			os.Exit(1)
		}
	}, testkit.WithGPUNodes(4)))
}

func setup(c *testkit.Cluster) error {
	cluster = c
	ctx := context.Background()
	err := c.Install(ctx)
	if err != nil {
		return err
	}
	if kube, err = client.NewWithWatch(c.Config(), client.Options{Scheme: app.Scheme()}); err != nil {
		return err
	}
	if account, err = c.ServiceAccountConfig(ctx, namespace, "gpu-quota-controller"); err != nil {
		return err
	}
	ctrl.SetLogger(logr.New(log.NullLogSink{}))
	go run(hours)
	controller = start(account)
	return nil
}

// run lets a clock go on with time.
func run(hours *clocktesting.FakeClock) {
	last := time.Now()
	for now := range time.Tick(50 * time.Millisecond) {
		hours.Step(now.Sub(last))
		last = now
	}
}

// process is a running controller.
type process struct {
	// port of its webhook.
	port   int
	cancel context.CancelFunc
	done   chan error
}

// start runs the controller with the token of its own service account, as it
// ships, against the API server of config.
func start(config *rest.Config, flags ...string) *process {
	logger := logr.New(log.NullLogSink{})
	if os.Getenv("WEIR_TEST_LOG") != "" {
		logger = funcr.New(func(prefix, args string) { fmt.Fprintln(os.Stderr, prefix, args) }, funcr.Options{LogTimestamp: true})
	}
	o := &app.Options{Config: config, Logger: &logger, Clock: hours}
	fs := pflag.NewFlagSet("test", pflag.PanicOnError)
	o.Bind(fs)
	port := freePort()
	_ = fs.Parse(append([]string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=" + namespace,
		fmt.Sprintf("--webhook-port=%d", port), fmt.Sprintf("--webhook-url=https://localhost:%d", port),
	}, flags...))
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{port: port, cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- app.Run(ctx, o) }()
	return p
}

func freePort() int {
	port, err := testkit.FreePort()
	if err != nil {
		return 0 // which the controller refuses
	}
	return port
}

// stop ends the controller and waits until it is gone.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cancel()
	if err := <-p.done; err != nil {
		t.Errorf("the controller ended with %v", err)
	}
}

// suite is one test with names of its own.
type suite struct {
	*testing.T
	id string
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	return &suite{T: t, id: rand.String(6)}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// name makes a name the test's own.
func (s *suite) name(name string) string { return name + "-" + s.id }

// namespace creates a namespace of a team.
func (s *suite) namespace(name, of string) string {
	s.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.name(name), Labels: map[string]string{team: s.name(of)}}}
	s.must(kube.Create(s.Context(), ns))
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_ = kube.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(ns.Name), client.GracePeriodSeconds(0))
		_ = kube.Delete(ctx, ns)
	})
	return ns.Name
}

// quota creates a quota for the namespaces of the team of its name.
func (s *suite) quota(name string, change ...func(*quotav1.GPUQuota)) {
	s.Helper()
	q := &quotav1.GPUQuota{
		ObjectMeta: metav1.ObjectMeta{Name: s.name(name)},
		Spec:       quotav1.GPUQuotaSpec{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{team: s.name(name)}}},
	}
	for _, f := range change {
		f(q)
	}
	s.must(kube.Create(s.Context(), q))
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_ = kube.Delete(ctx, q)
	})
}

func hard(limit string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) {
		q.Spec.Limits = []quotav1.Limit{{Device: quotav1.DefaultDevice, Hard: limit}}
	}
}

func (s *suite) below(parent string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) { q.Spec.ParentRef = &quotav1.ParentReference{Name: s.name(parent)} }
}

func (s *suite) get(name string) *quotav1.GPUQuota {
	s.Helper()
	q := &quotav1.GPUQuota{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Name: s.name(name)}, q))
	return q
}

// edit changes a quota.
func (s *suite) edit(name string, change func(*quotav1.GPUQuota)) {
	s.Helper()
	q := s.get(name)
	before := q.DeepCopy()
	change(q)
	s.must(kube.Patch(s.Context(), q, client.MergeFrom(before)))
}

// await waits until a quota is as wanted, and returns it.
func (s *suite) await(name, what string, wanted func(*quotav1.GPUQuota) bool) *quotav1.GPUQuota {
	s.Helper()
	var q *quotav1.GPUQuota
	s.poll("GPUQuota "+name+" "+what, func() bool {
		q = s.get(name)
		return wanted(q)
	}, func() string {
		out, _ := yaml.Marshal(q.Status)
		return string(out)
	})
	return q
}

// awaitReady waits until a quota is ready for its generation with a reason.
func (s *suite) awaitReady(name, reason string) *quotav1.GPUQuota {
	s.Helper()
	return s.await(name, "is ready with "+reason, func(q *quotav1.GPUQuota) bool {
		return conditions.IsReady(q) && q.Status.ObservedGeneration == q.Generation && conditions.GetReason(q, fluxmeta.ReadyCondition) == reason
	})
}

// awaitNotReady waits until a quota is not ready for a reason, and returns the
// message.
func (s *suite) awaitNotReady(name, reason string) string {
	s.Helper()
	q := s.await(name, "is not ready with "+reason, func(q *quotav1.GPUQuota) bool {
		return conditions.IsFalse(q, fluxmeta.ReadyCondition) && conditions.GetReason(q, fluxmeta.ReadyCondition) == reason
	})
	return conditions.GetMessage(q, fluxmeta.ReadyCondition)
}

func (s *suite) eventually(what string, done func() bool) {
	s.Helper()
	s.poll(what, done, func() string { return "" })
}

func (s *suite) poll(what string, done func() bool, state func() string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s\n%s", deadline, what, state())
		case <-tick.C:
		}
	}
}

// record reads the ledger of a tree, or returns nil if there is none.
func (s *suite) record(root string) *ledger.Record {
	s.Helper()
	cm := &corev1.ConfigMap{}
	err := kube.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: ledger.Name(s.name(root))}, cm)
	if apierrors.IsNotFound(err) {
		return nil
	}
	s.must(err)
	record, err := ledger.Decode([]byte(cm.Data[ledger.DataKey]))
	s.must(err)
	return record
}

// awaitFigures waits until the ledger of a tree says what a quota and those
// below it use and have reserved of the default device.
func (s *suite) awaitFigures(root, quota, used, reserved string) {
	s.Helper()
	var got ledger.Balance
	s.poll(fmt.Sprintf("GPUQuota %s uses %s and has reserved %s", quota, used, reserved), func() bool {
		record := s.record(root)
		if record == nil || record.Closed != "" {
			return false
		}
		got = record.Balance(s.name(quota))[quotav1.DefaultDevice]
		return got.Used.String() == used && got.Reserved.String() == reserved
	}, func() string {
		return fmt.Sprintf("it uses %s and has reserved %s\n%+v", got.Used, got.Reserved, s.record(root))
	})
}

// pod makes a pod that asks for GPUs.
func pod(ns, name string, gpus int64) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       podSpec(gpus),
	}
}

func podSpec(gpus int64) corev1.PodSpec {
	quantity := *resource.NewQuantity(gpus, resource.DecimalSI)
	return corev1.PodSpec{
		TerminationGracePeriodSeconds: new(int64(0)),
		Containers: []corev1.Container{{Name: "c", Image: "c", Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"nvidia.com/gpu": quantity},
		}}},
	}
}

// create creates a pod as soon as it is admitted.
func (s *suite) create(pod *corev1.Pod) {
	s.Helper()
	var err error
	s.poll("pod "+pod.Name+" is admitted", func() bool {
		err = kube.Create(s.Context(), pod.DeepCopy())
		return err == nil
	}, func() string { return fmt.Sprint(err) })
}

// denied creates a pod and returns why it is not admitted.
func (s *suite) denied(pod *corev1.Pod) string {
	s.Helper()
	var err error
	s.poll("pod "+pod.Name+" is denied", func() bool {
		err = kube.Create(s.Context(), pod.DeepCopy(), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "exceeded quota")
	}, func() string { return fmt.Sprint(err) })
	return err.Error()
}
