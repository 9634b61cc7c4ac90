// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/app"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/webhook"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	namespace = "weir-system"
	teamLabel = "quota.weir.dev/team"
	deadline  = 30 * time.Second
)

// Shared by the tests of this package: one cluster with simulated nodes and
// Weir's manifests, and the whole controller, which does what its roles allow.
var (
	cluster    *testkit.Cluster
	kube       client.Client
	clients    *kubernetes.Clientset
	books      *ledger.Store
	controller *process
	// hours is the clock of the controllers. It runs like any other, and tests
	// that are alone put it forward.
	hours = clocktesting.NewFakeClock(time.Now())
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.New(log.NullLogSink{}))
	os.Exit(testkit.Main(suite{m}, func(c *testkit.Cluster) { cluster = c }, testkit.WithGPUNodes(3)))
}

// suite runs the tests between the start and the end of the controller.
type suite struct{ tests *testing.M }

func (s suite) Run() int {
	if err := setup(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "set up the tests:", err)
		return 1
	}
	code := s.tests.Run()
	controller.stop()
	return code
}

func setup(ctx context.Context) error {
	if err := cluster.Install(ctx); err != nil {
		return err
	}
	var err error
	if kube, err = client.New(cluster.Config(), client.Options{Scheme: app.Scheme()}); err != nil {
		return err
	}
	if clients, err = kubernetes.NewForConfig(cluster.Config()); err != nil {
		return err
	}
	books = ledger.NewStore(clients.CoreV1(), namespace, nil)
	port, err := testkit.FreePort()
	if err != nil {
		return err
	}
	go run(hours)
	controller = &process{port: port}
	return controller.start(ctx)
}

// run lets a clock go on with time.
func run(hours *clocktesting.FakeClock) {
	last := time.Now()
	for now := range time.Tick(50 * time.Millisecond) {
		hours.Step(now.Sub(last))
		last = now
	}
}

// process is the controller, which can be stopped and started again.
type process struct {
	port int
	// front is the port that the API server connects to; 0: port.
	front  int
	cancel context.CancelFunc
	done   chan error
}

// start runs the controller with more flags and returns when it is ready.
func (p *process) start(ctx context.Context, flags ...string) error {
	config, err := cluster.ServiceAccountConfig(ctx, namespace, "gpu-quota-controller")
	if err != nil {
		return err
	}
	health, err := testkit.FreePort()
	if err != nil {
		return err
	}
	options := &app.Options{}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	options.Bind(fs)
	err = fs.Parse(append([]string{
		"--metrics-addr=0", "--health-addr=127.0.0.1:" + strconv.Itoa(health), "--runtime-namespace=" + namespace,
		"--webhook-port=" + strconv.Itoa(p.port), "--webhook-url=https://localhost:" + strconv.Itoa(cmp.Or(p.front, p.port)),
		"--enable-leader-election", "--leader-election-lease-duration=6s", "--leader-election-renew-deadline=4s", "--leader-election-retry-period=500ms",
	}, flags...))
	if err != nil {
		return err
	}
	quiet := logr.New(log.NullLogSink{})
	options.Config, options.Logger, options.Clock = config, &quiet, hours
	ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.done = make(chan error, 1)
	go func() { p.done <- app.Run(ctx, options) }()
	return poll(ctx, deadline, func() error {
		select {
		case err := <-p.done:
			p.done <- err
			return nil
		default:
		}
		answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(health) + "/readyz?verbose")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", answer.Status)
		}
		return nil
	})
}

// stop ends the controller, as scaling it to 0 does.
func (p *process) stop() {
	p.cancel()
	if err := <-p.done; err != nil {
		fmt.Fprintln(os.Stderr, "the controller ended:", err)
	}
}

// poll repeats check until it returns nil; the error is the last one.
func poll(ctx context.Context, limit time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-ticker.C:
		}
	}
}

func within(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	if err := poll(t.Context(), limit, check); err != nil {
		t.Fatal(err)
	}
}

// newTeam makes a namespace and a quota for it with so many GPUs, and returns
// when that is enforced.
func newTeam(t *testing.T, name string, gpus int, change ...func(*quotav1.GPUQuota)) {
	t.Helper()
	newNamespace(t, name, map[string]string{teamLabel: name})
	quota := &quotav1.GPUQuota{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: quotav1.GPUQuotaSpec{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{teamLabel: name}},
			Limits:            []quotav1.Limit{{Device: "gpu", Hard: strconv.Itoa(gpus)}},
		},
	}
	for _, f := range change {
		f(quota)
	}
	if err := kube.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	within(t, deadline, func() error { return enforced(t, name) })
}

// enforced returns an error unless the ledger of a root is open and the API
// server asks.
func enforced(t *testing.T, root string) error {
	record, err := books.Get(t.Context(), root)
	if err != nil {
		return err
	}
	if record.Closed != "" {
		return fmt.Errorf("closed: %s", record.Closed)
	}
	config, err := clients.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), webhook.ConfigurationName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(config.Webhooks) == 0 {
		return fmt.Errorf("nothing is asked about")
	}
	return nil
}

func newNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	if err := kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}); err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "default"}}
	if err := kube.Create(t.Context(), account); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// template of pods that ask for GPUs, or for none.
func template(gpus int) corev1.PodTemplateSpec {
	resources := corev1.ResourceRequirements{}
	if gpus > 0 {
		resources.Limits = corev1.ResourceList{"nvidia.com/gpu": *resource.NewQuantity(int64(gpus), resource.DecimalSI)}
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(0)),
			Containers:                    []corev1.Container{{Name: "c", Image: "c", Resources: resources}},
		},
	}
}

// newPod is never bound, so that it takes no GPU of a node from other tests.
func newPod(ns, name string, gpus int) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: template(gpus).Spec}
	pod.Spec.NodeSelector = map[string]string{"no": "such"}
	return pod
}

// newDeployment asks for gpus in each of its pods, which replace each other at
// full quota.
func newDeployment(ns, name string, replicas, gpus int) *appsv1.Deployment {
	pods := template(gpus)
	pods.Labels = map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(replicas)), Template: pods, Selector: &metav1.LabelSelector{MatchLabels: pods.Labels},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		},
	}
}

// pods of an app that are not being deleted.
func podsOf(t *testing.T, ns, name string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := kube.List(t.Context(), &list, client.InNamespace(ns), client.MatchingLabels{"app": name}); err != nil {
		t.Fatal(err)
	}
	var there []corev1.Pod
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			there = append(there, list.Items[i])
		}
	}
	return there
}

// wantPods waits until an app has n pods.
func wantPods(t *testing.T, limit time.Duration, ns, name string, n int) {
	t.Helper()
	within(t, limit, func() error {
		if got := len(podsOf(t, ns, name)); got != n {
			return fmt.Errorf("%s/%s has %d pods, want %d", ns, name, got, n)
		}
		return nil
	})
}

// booked is what the ledger of a root says is used and reserved.
func booked(t *testing.T, root string) (used, reserved gpu.Amount) {
	t.Helper()
	record, err := books.Get(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	balance := record.Balance(root)["gpu"]
	return balance.Used, balance.Reserved
}

// wantUsed waits until the ledger has counted n GPUs and nothing is on its way.
func wantUsed(t *testing.T, root string, n int64) {
	t.Helper()
	within(t, deadline, func() error {
		used, reserved := booked(t, root)
		if !used.Equal(gpu.Whole(n)) || !reserved.IsZero() {
			return fmt.Errorf("%s: used %s, reserved %s; want %d and 0", root, used, reserved, n)
		}
		return nil
	})
}

// warned keeps warnings of the API server.
type warned struct {
	mu    sync.Mutex
	texts []string
}

func (w *warned) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

// warning returns a client for pods that keeps warnings.
func warning(t *testing.T, ns string) (corev1client.PodInterface, *warned) {
	t.Helper()
	w := &warned{}
	config := rest.CopyConfig(cluster.Config())
	config.WarningHandlerWithContext = w
	c, err := corev1client.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c.Pods(ns), w
}
