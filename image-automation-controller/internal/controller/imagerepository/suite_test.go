// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagerepository_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const deadline = 2 * time.Minute

// quiet logs nothing. logr.Discard has no sink at all, which the recorder of
// events does not expect.
var quiet = logr.New(log.NullLogSink{})

// kube talks to the cluster of all tests as the administrator.
var kube client.Client

func TestMain(m *testing.M) {
	ctrl.SetLogger(quiet)
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) {
		if err := setup(c); err != nil {
			fmt.Fprintln(os.Stderr, "set up the tests:", err)
			os.Exit(1)
		}
	}))
}

// setup installs Weir's manifests. Controllers of the tests run with the token
// of the service account that ships.
func setup(c *testkit.Cluster) error {
	ctx := context.Background()
	err := c.Install(ctx)
	if err != nil {
		return err
	}
	if kube, err = client.New(c.Config(), client.Options{Scheme: app.Scheme()}); err != nil {
		return err
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, "weir-system", "image-automation-controller")
	if err != nil {
		return err
	}
	return os.Setenv("KUBECONFIG", kubeconfig)
}

// suite is one test: a namespace, a registry with the repository team/models,
// and a controller for that namespace alone.
type suite struct {
	*testing.T
	ns       string
	registry *testkit.Registry
	flags    []string
	stop     func()
}

func newSuite(t *testing.T, options ...testkit.RegistryOption) *suite {
	t.Helper()
	s := &suite{T: t, ns: "test-" + rand.String(8)}
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	registry, err := testkit.NewRegistry(options...)
	s.must(err)
	t.Cleanup(registry.Close)
	s.registry = registry
	s.flags = []string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=" + s.ns, "--watch-all-namespaces=false",
		"--allow-local-sources", "--min-retry-delay=100ms", "--max-retry-delay=500ms", "--storage-path=" + t.TempDir(),
	}
	return s
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// start runs the controller with more flags until the test ends, or stop is
// called.
func (s *suite) start(flags ...string) {
	s.Helper()
	o := &app.Options{}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(fs)
	s.must(fs.Parse(append(append([]string{}, s.flags...), flags...)))
	o.Logger = &quiet
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, o) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			s.Errorf("the controller ended with %v", err)
		}
	}
	s.Cleanup(func() { s.stop() })
}

// create makes the ImageRepository "models"; change may adjust it.
func (s *suite) create(change ...func(*imagev1.ImageRepository)) {
	s.Helper()
	obj := &imagev1.ImageRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "models"},
		Spec: imagev1.ImageRepositorySpec{
			Image:          s.registry.Host + "/team/models",
			Interval:       metav1.Duration{Duration: time.Hour},
			RegistryAccess: imagev1.RegistryAccess{Insecure: true},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.must(kube.Create(s.Context(), obj))
}

func (s *suite) get() *imagev1.ImageRepository {
	s.Helper()
	obj := &imagev1.ImageRepository{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: "models"}, obj))
	return obj
}

func (s *suite) edit(change func(*imagev1.ImageRepository)) {
	s.Helper()
	obj := s.get()
	before := obj.DeepCopy()
	change(obj)
	s.must(kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

// request asks for a reconcile by annotation and waits until it was handled.
func (s *suite) request() *imagev1.ImageRepository {
	s.Helper()
	token := rand.String(8)
	s.edit(func(r *imagev1.ImageRepository) {
		r.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: token}
	})
	return s.await("handled the request", func(r *imagev1.ImageRepository) bool {
		return r.Status.LastHandledReconcileAt == token && conditions.GetReason(r, fluxmeta.ReconcilingCondition) != fluxmeta.ProgressingReason
	})
}

// await waits until the ImageRepository is as wanted, and returns it.
func (s *suite) await(what string, wanted func(*imagev1.ImageRepository) bool) *imagev1.ImageRepository {
	s.Helper()
	var obj *imagev1.ImageRepository
	s.poll("ImageRepository "+what, func() bool {
		obj = s.get()
		return wanted(obj)
	}, func() string {
		out, _ := yaml.Marshal(obj.Status)
		return string(out)
	})
	return obj
}

// awaitTags waits until the object is ready with so many tags.
func (s *suite) awaitTags(count int) *imagev1.ImageRepository {
	s.Helper()
	return s.await(fmt.Sprintf("is ready with %d tags", count), func(r *imagev1.ImageRepository) bool {
		return conditions.IsReady(r) && !conditions.IsReconciling(r) && r.Status.ObservedGeneration == r.Generation &&
			r.Status.LastScanResult != nil && r.Status.LastScanResult.TagCount == count
	})
}

// awaitFailure waits until the object is not ready with a message.
func (s *suite) awaitFailure(reason, message string) *imagev1.ImageRepository {
	s.Helper()
	return s.await("fails with "+reason+": "+message, func(r *imagev1.ImageRepository) bool {
		return conditions.IsFalse(r, fluxmeta.ReadyCondition) && conditions.GetReason(r, fluxmeta.ReadyCondition) == reason &&
			strings.Contains(conditions.GetMessage(r, fluxmeta.ReadyCondition), message)
	})
}

func (s *suite) eventually(what string, done func() bool) {
	s.Helper()
	s.poll(what, done, func() string { return "" })
}

func (s *suite) poll(what string, done func() bool, state func() string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s\n%s", deadline, what, state())
		case <-tick.C:
		}
	}
}

// events returns the messages of the object's events with a reason.
func (s *suite) events(reason string) []string {
	s.Helper()
	var list corev1.EventList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
	var messages []string
	for _, e := range list.Items {
		if e.Reason == reason && e.InvolvedObject.Kind == imagev1.ImageRepositoryKind {
			messages = append(messages, e.Message)
		}
	}
	return messages
}

// checkConditions compares all conditions, as "status reason message" by type.
func checkConditions(t *testing.T, r *imagev1.ImageRepository, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, c := range r.Status.Conditions {
		got[c.Type] = string(c.Status) + " " + c.Reason + " " + c.Message
		if c.ObservedGeneration != r.Generation {
			t.Errorf("condition %s is of generation %d, the object of %d", c.Type, c.ObservedGeneration, r.Generation)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// checkStatus checks what generic tools make of the object.
func checkStatus(t *testing.T, r *imagev1.ImageRepository, want status.Status) {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil || got.Status != want {
		t.Errorf("kstatus %+v, %v; want %s", got, err, want)
	}
}
