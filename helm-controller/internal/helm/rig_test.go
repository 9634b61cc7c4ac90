// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"helm.sh/helm/v3/pkg/chart/loader"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/pkg/watch"
)

// deadline of anything that a test waits for.
const deadline = 60 * time.Second

// rig is one process: a runner and what it needs, for releases in a namespace of
// the test's own.
type rig struct {
	*testing.T
	namespace string
	object    *helmv2.HelmRelease
	runner    *Runner
	woken     chan types.NamespacedName
	admin     kubernetes.Interface

	dynamic dynamic.Interface
	mapper  *apply.Client
	config  *rest.Config
	engine  *apply.Engine
	store   *storage.Store
	life    context.CancelFunc

	mu     sync.Mutex
	before func(*http.Request) error // of each request
	sent   []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, namespace: "test-" + rand.String(8)}
	r.object = &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "app", Generation: 1}}
	r.object.Spec.Timeout = &metav1.Duration{Duration: deadline}
	admin, err := kubernetes.NewForConfig(cluster.Config())
	r.must(err)
	r.admin = admin
	_, err = admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}, metav1.CreateOptions{})
	r.must(err)
	r.start()
	return r
}

// start begins anew, as after a restart of the process.
func (r *rig) start() {
	r.Helper()
	if r.life != nil {
		r.life()
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	r.Cleanup(cancel)
	r.life = cancel
	r.config = cluster.Config()
	r.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if err := r.pass(req); err != nil {
				return nil, err
			}
			return next.RoundTrip(req)
		})
	})
	client, err := rest.HTTPClientFor(r.config)
	r.must(err)
	mapper, err := apiutil.NewDynamicRESTMapper(r.config, client)
	r.must(err)
	r.dynamic, err = dynamic.NewForConfigAndClient(r.config, client)
	r.must(err)
	watcher, err := dynamic.NewForConfig(cluster.Config())
	r.must(err)
	r.mapper = &apply.Client{Dynamic: r.dynamic, Mapper: mapper, Manager: helmv2.FieldManager}
	r.engine = apply.NewEngine(ctx, apply.Config{
		Watch: watch.Config{Client: watcher, Mapper: mapper, Labels: kube.Labels(), Managers: kube.Managers(), Log: logr.Discard()},
		Keys:  kube.Keys(), Concurrency: 4, Wake: func(types.NamespacedName, time.Duration) {},
	})
	r.store = storage.New(ctx, storage.Options{Log: logr.Discard()})
	r.woken = make(chan types.NamespacedName, 1000)
	woken := r.woken
	r.runner = NewRunner(ctx, 4, shared, func(owner types.NamespacedName) { woken <- owner })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (r *rig) pass(req *http.Request) error {
	r.mu.Lock()
	r.sent = append(r.sent, req.Method+" "+req.URL.Path)
	before := r.before
	r.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(req)
}

// each has every request pass a function first.
func (r *rig) each(before func(*http.Request) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before, r.sent = before, nil
}

// requests returns those since each was called.
func (r *rig) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// numbers of charts, which all rigs have rendered by the same processes.
var numbers atomic.Uint64

// chart loads a chart as Charts do.
func (r *rig) chart(built testkit.HelmChart) *Chart {
	r.Helper()
	archive, err := built.Archive()
	r.must(err)
	parsed, err := loader.LoadArchive(bytes.NewReader(archive))
	r.must(err)
	return newChart(parsed, "sha256:"+built.FileName(), numbers.Add(1))
}

// job is an action on the release of the rig's object.
func (r *rig) job(action state.Action, chart *Chart, values map[string]any) *Job {
	r.Helper()
	post, err := postrender.New(r.object)
	r.must(err)
	target := state.Target{Name: r.object.GetReleaseName(), Namespace: r.object.GetReleaseNamespace(), StorageNamespace: r.namespace}
	return &Job{
		Owner: types.NamespacedName{Namespace: r.namespace, Name: r.object.Name}, UID: "uid",
		Step:   state.Step{Action: action, Target: target, Timeout: r.object.GetTimeout(), MaxHistory: r.object.GetMaxHistory()},
		Object: r.object.DeepCopy(), Chart: chart, Values: values, Post: post,
		Records: func(ctx context.Context) *storage.Records { return r.store.For(ctx, r.dynamic, r.namespace) },
		Kube:    kube.Options{Client: r.mapper, Config: r.config, Engine: r.engine, Log: logr.Discard()},
	}
}

// run starts a job and waits for its outcome.
func (r *rig) run(job *Job) Outcome {
	r.Helper()
	if !r.runner.Start(job) {
		r.Fatal("the action did not start")
	}
	return r.await()
}

func (r *rig) await() Outcome {
	r.Helper()
	select {
	case owner := <-r.woken:
		outcome, ok := r.runner.Take(owner)
		if !ok {
			r.Fatalf("woken for %s without an outcome", owner)
		}
		return outcome
	case <-time.After(deadline):
		r.Fatal("the action has not ended")
		return Outcome{}
	}
}

// done runs a job that has to succeed.
func (r *rig) done(job *Job) *release.Release {
	r.Helper()
	outcome := r.run(job)
	if outcome.Err != nil {
		r.Fatalf("%s: %s\nlogs:\n%s", job.Step.Action, outcome.Err, strings.Join(outcome.Logs, "\n"))
	}
	return outcome.Release
}

// history lists "<version> <status>" of what is stored, the newest first.
func (r *rig) history() []string {
	r.Helper()
	records, err := r.store.For(context.Background(), r.dynamic, r.namespace).History(r.object.GetReleaseName())
	r.must(err)
	var out []string
	for _, record := range records {
		out = append(out, record.Release.Chart.Version+" "+string(record.Release.Status))
	}
	return out
}

// value returns the key of a ConfigMap, and "absent" without one.
func (r *rig) value(name string) string {
	r.Helper()
	found, err := r.admin.CoreV1().ConfigMaps(r.namespace).Get(context.Background(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "absent"
	}
	r.must(err)
	return found.Data["value"]
}

var errGone = errors.New("the process is gone")

func testEnabled() *helmv2.Test { return &helmv2.Test{Enable: true} }
