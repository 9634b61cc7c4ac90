// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	deadline = 60 * time.Second
	// shardLabel is on HelmReleases that the shared controller leaves to one that a
	// test starts.
	shardLabel = "sharding.fluxcd.io/key"
)

// Shared by the tests of this package: one cluster with Weir's manifests, a
// stand-in for source-controller, one controller.
var (
	cluster *testkit.Cluster
	kube    client.WithWatch
	charts  *chartSource
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == app.RenderWorker {
		if err := app.Render(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := testkit.Main(m, func(c *testkit.Cluster) {
		if err := setup(c); err != nil {
			fmt.Fprintln(os.Stderr, "set up the tests:", err)
			os.Exit(1)
		}
	}, testkit.WithGPUNodes(2))
	quotas.Stop()
	os.Exit(code)
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
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, "weir-system", "helm-controller")
	if err != nil {
		return err
	}
	if err := os.Setenv("KUBECONFIG", kubeconfig); err != nil {
		return err
	}
	if charts, err = newChartSource(ctx); err != nil {
		return err
	}
	ctrl.SetLogger(quiet)
	startController(nil, "--watch-label-selector=!"+shardLabel)
	return nil
}

var quiet = logr.New(log.NullLogSink{})

// process is a running controller.
type process struct {
	cancel context.CancelFunc
	done   chan error
}

// startController runs the controller with the token of its own service account,
// as it ships, against the API server of config. Nil: the shared cluster's.
func startController(config *rest.Config, flags ...string) *process {
	// The loggers of the flags are global, and there are several controllers.
	o := &app.Options{Config: config, Logger: &quiet}
	fs := pflag.NewFlagSet("test", pflag.PanicOnError)
	o.Bind(fs)
	_ = fs.Parse(append([]string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=weir-system", "--allow-local-sources",
		"--requeue-dependency=2s", "--http-retry=0", "--concurrent=8",
	}, flags...))
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- app.Run(ctx, o) }()
	return p
}

// stop ends the controller and waits until it is gone.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cancel()
	if err := <-p.done; err != nil {
		t.Errorf("the controller ended with %v", err)
	}
}

// suite is one test with a namespace of its own.
type suite struct {
	*testing.T
	ns string
	// shard has the HelmReleases left to a controller of the test's own.
	shard bool
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{T: t, ns: "test-" + rand.String(8)}
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	return s
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// publish makes a chart the newest of its name.
func (s *suite) publish(chart testkit.HelmChart) {
	s.Helper()
	archive, err := chart.Archive()
	s.must(err)
	artifact := charts.store(archive, chart.Version)
	charts.mu.Lock()
	charts.artifacts[s.ns+"/"+chart.Name] = artifact
	charts.mu.Unlock()
	var list sourcev1.HelmChartList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
	for i := range list.Items {
		charts.settle(s.Context(), &list.Items[i])
	}
}

// app is a chart with one ConfigMap, "<release>-config", whose value is that of
// the key message.
func appChart(version string) testkit.HelmChart {
	return testkit.HelmChart{Name: "app", Version: version, AppVersion: "9." + version, Values: "message: hello\n"}.
		ConfigMap("config", "{{ .Values.message }}")
}

// broken returns a chart with an object that the API server refuses.
func broken(chart testkit.HelmChart) testkit.HelmChart {
	return chart.With("templates/broken.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: broken}\nspec: {ports: [{port: 99999}]}\n")
}

// create makes a HelmRelease of the chart "app"; change may adjust it.
func (s *suite) create(name string, change ...func(*helmv2.HelmRelease)) {
	s.Helper()
	obj := &helmv2.HelmRelease{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name},
		Spec: helmv2.HelmReleaseSpec{
			Interval: metav1.Duration{Duration: time.Hour},
			Timeout:  &metav1.Duration{Duration: 30 * time.Second},
			Chart: &helmv2.HelmChartTemplate{Spec: helmv2.HelmChartTemplateSpec{
				Chart: "app", SourceRef: &helmv2.ChartSourceReference{Kind: "HelmRepository", Name: "repo"},
			}},
		},
	}
	if s.shard {
		obj.Labels = map[string]string{shardLabel: s.ns}
	}
	for _, f := range change {
		f(obj)
	}
	s.must(kube.Create(s.Context(), obj))
	s.Cleanup(func() {
		if !s.shard {
			s.delete(name)
		}
	})
}

// delete deletes a HelmRelease and waits until it is gone.
func (s *suite) delete(name string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	obj := &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}}
	s.must(client.IgnoreNotFound(kube.Delete(ctx, obj)))
	s.pollWith(ctx, "HelmRelease "+name+" is gone", func() bool {
		return apierrors.IsNotFound(kube.Get(ctx, client.ObjectKeyFromObject(obj), obj))
	}, func() string { return statusText(obj) })
}

func (s *suite) get(name string) *helmv2.HelmRelease {
	s.Helper()
	obj := &helmv2.HelmRelease{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj))
	return obj
}

// edit changes a HelmRelease.
func (s *suite) edit(name string, change func(*helmv2.HelmRelease)) {
	s.Helper()
	obj := s.get(name)
	before := obj.DeepCopy()
	change(obj)
	s.must(kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

func statusText(obj *helmv2.HelmRelease) string {
	out, _ := yaml.Marshal(obj.Status)
	return string(out)
}

// await waits until a HelmRelease is as wanted, and returns it.
func (s *suite) await(name, what string, wanted func(*helmv2.HelmRelease) bool) *helmv2.HelmRelease {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	var obj *helmv2.HelmRelease
	s.pollWith(ctx, "HelmRelease "+name+" "+what, func() bool {
		obj = s.get(name)
		return wanted(obj)
	}, func() string { return statusText(obj) + strings.Join(s.events(name), "\n") })
	return obj
}

// awaitReady waits until a HelmRelease is ready with a version of a release.
func (s *suite) awaitReady(name string, version int) *helmv2.HelmRelease {
	s.Helper()
	return s.await(name, fmt.Sprintf("is ready with v%d", version), func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && r.Status.ObservedGeneration == r.Generation && len(r.Status.History) > 0 && r.Status.History[0].Version == version
	})
}

// awaitFailure waits until a HelmRelease is not ready for a reason, and returns
// it.
func (s *suite) awaitFailure(name, reason string) *helmv2.HelmRelease {
	s.Helper()
	return s.await(name, "fails with "+reason, func(r *helmv2.HelmRelease) bool {
		return conditions.IsFalse(r, fluxmeta.ReadyCondition) && conditions.GetReason(r, fluxmeta.ReadyCondition) == reason
	})
}

func ready(obj *helmv2.HelmRelease) string {
	return conditions.GetMessage(obj, fluxmeta.ReadyCondition)
}

func (s *suite) pollWith(ctx context.Context, what string, done func() bool, state func() string) {
	s.Helper()
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

// eventually waits until something holds.
func (s *suite) eventually(what string, done func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	s.pollWith(ctx, what, done, func() string { return "" })
}

// value returns the value in a ConfigMap, or "" without one.
func (s *suite) value(name string) string {
	s.Helper()
	value, _, _ := unstructured.NestedString(s.live("v1/ConfigMap", name).Object, "data", "value")
	return value
}

// live reads an object such as "v1/ConfigMap"; one without content if there is
// none.
func (s *suite) live(kind, name string) *unstructured.Unstructured {
	s.Helper()
	at := strings.LastIndexByte(kind, '/')
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(kind[:at])
	obj.SetKind(kind[at+1:])
	s.must(client.IgnoreNotFound(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj)))
	return obj
}

func (s *suite) exists(kind, name string) bool {
	s.Helper()
	return s.live(kind, name).GetUID() != ""
}

// setValue changes a ConfigMap by hand.
func (s *suite) setValue(name, value string) {
	s.Helper()
	obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}}
	s.must(kube.Patch(s.Context(), obj, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"value":"`+value+`"}}`)), client.FieldOwner("kubectl-edit")))
}

// secret writes a Secret with values.
func (s *suite) secret(name, values string) {
	s.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}, Data: map[string][]byte{"values.yaml": []byte(values)}}
	err := kube.Create(s.Context(), secret)
	if apierrors.IsAlreadyExists(err) {
		err = kube.Update(s.Context(), secret)
	}
	s.must(err)
}

// releases returns how many records Helm's storage has of a release.
func (s *suite) releases(name string) int {
	s.Helper()
	var list corev1.SecretList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns), client.MatchingLabels{"owner": "helm", "name": name}))
	return len(list.Items)
}

// events returns reason and message of the events of a HelmRelease.
func (s *suite) events(name string) []string {
	s.Helper()
	var list corev1.EventList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
	var messages []string
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == helmv2.HelmReleaseKind && e.InvolvedObject.Name == name {
			messages = append(messages, e.Reason+": "+e.Message)
		}
	}
	return messages
}

// tells waits for an event that begins so.
func (s *suite) tells(name, begins string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	s.pollWith(ctx, "an event of "+name+": "+begins, func() bool {
		for _, message := range s.events(name) {
			if strings.HasPrefix(message, begins) {
				return true
			}
		}
		return false
	}, func() string { return strings.Join(s.events(name), "\n") })
}

// wants checks that a text holds others.
func (s *suite) wants(got string, want ...string) {
	s.Helper()
	for _, text := range want {
		if !strings.Contains(got, text) {
			s.Errorf("%q, want %q in it", got, text)
		}
	}
}

// values sets spec.values.
func values(text string) func(*helmv2.HelmRelease) {
	return func(r *helmv2.HelmRelease) {
		raw, _ := yaml.YAMLToJSON([]byte(text))
		r.Spec.Values = &apiextensionsv1.JSON{Raw: raw}
	}
}
