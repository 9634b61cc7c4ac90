// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// releasesRig is a cluster with helm-controller alone, which is killed while
// each of many releases is at another request of the same action.
type releasesRig struct {
	*testing.T
	p      *platform.Platform
	client client.Client
	proxy  *testkit.FaultProxy
	charts *httptest.Server

	mu      sync.Mutex
	archive map[string][]byte
	// armed says that requests are counted, by namespace, and held at the one
	// that it is the namespace's turn to die at.
	armed bool
	count map[string]int
	held  map[string]bool
}

// startReleases brings up a cluster with helm-controller.
func startReleases(ctx context.Context, t *testing.T) *releasesRig {
	t.Helper()
	p, err := platform.StartBare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := &releasesRig{T: t, p: p, archive: map[string][]byte{}}
	t.Cleanup(func() {
		if t.Failed() && p.Helm != nil {
			t.Logf("helm-controller:\n%s", p.Helm.LogTail(60))
		}
		r.proxy.Inject(nil)
		if err := p.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
		r.proxy.Close()
	})
	ctrl.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, helmv2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	if r.client, err = client.New(p.Cluster.Config(), client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if r.proxy, err = testkit.NewFaultProxy(p.Cluster.Config()); err != nil {
		t.Fatal(err)
	}
	r.proxy.Inject(r.decide)
	r.charts = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.charts.Close)
	r.start(ctx)
	return r
}

func (r *releasesRig) start(ctx context.Context) {
	r.Helper()
	if err := r.p.StartHelmController(ctx, r.proxy, "--concurrent=20"); err != nil {
		r.Fatal(err)
	}
}

func (r *releasesRig) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	body, ok := r.archive[req.URL.Path]
	r.mu.Unlock()
	if !ok {
		http.NotFound(w, req)
		return
	}
	_, _ = w.Write(body)
}

// decide holds the request of a namespace at which it is to die.
func (r *releasesRig) decide(req *http.Request) testkit.Fault {
	turn, ok := turnOf(req.URL.Path)
	if !ok || req.Method == http.MethodGet || req.URL.Query().Has("dryRun") || strings.HasSuffix(req.URL.Path, "/events") {
		return testkit.Fault{}
	}
	namespace := namespaceOf(turn)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.armed {
		return testkit.Fault{}
	}
	r.count[namespace]++
	if r.held[namespace] || r.count[namespace] == turn {
		r.held[namespace] = true
		return testkit.Fault{Hang: true}
	}
	return testkit.Fault{}
}

// turnOf is the number of the request that the namespace of a path dies at.
func turnOf(path string) (int, bool) {
	_, rest, found := strings.Cut(path, "/namespaces/dies-at-")
	var turn int
	n, err := fmt.Sscanf(rest, "%d", &turn)
	return turn, found && n == 1 && err == nil
}

func namespaceOf(turn int) string { return fmt.Sprintf("dies-at-%d", turn) }

// during has every release die at another request of an action, and expects
// all of them to come to the same end after a restart.
func (r *releasesRig) during(ctx context.Context, action string, begin func(), right func(ctx context.Context, namespace string) error) {
	r.Helper()
	r.mu.Lock()
	r.armed, r.count, r.held = true, map[string]int{}, map[string]bool{}
	r.mu.Unlock()
	begun := time.Now()
	begin()
	// A release is where it should be if it is held, or has got through the whole action.
	whole := 0
	for turn := range phases {
		namespace := namespaceOf(turn + 1)
		r.await(ctx, action+" in "+namespace, func(ctx context.Context) error {
			r.mu.Lock()
			held := r.held[namespace]
			r.mu.Unlock()
			if held {
				return nil
			}
			return right(ctx, namespace)
		})
		r.mu.Lock()
		if !r.held[namespace] {
			whole++
		}
		r.mu.Unlock()
	}
	if whole == 0 {
		r.Fatalf("%s: every release was held: the action has more than %d requests that change something, and those behind were not tried", action, phases)
	}
	if err := r.p.Helm.Kill(); err != nil {
		r.Fatal(err)
	}
	r.mu.Lock()
	r.armed = false
	r.mu.Unlock()
	r.start(ctx)
	for turn := range phases {
		namespace := namespaceOf(turn + 1)
		r.await(ctx, action+" in "+namespace+" after kill -9", func(ctx context.Context) error { return right(ctx, namespace) })
	}
	r.Logf("%s: killed at each of %d requests, all right after %.1f s", action, phases-whole, time.Since(begun).Seconds())
}

func (r *releasesRig) await(ctx context.Context, what string, check func(context.Context) error) {
	r.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := platform.Await(ctx, check); err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

// publish offers a chart to all releases.
func (r *releasesRig) publish(ctx context.Context, chart testkit.HelmChart) {
	r.Helper()
	body, err := chart.Archive()
	if err != nil {
		r.Fatal(err)
	}
	path := "/" + chart.FileName()
	r.mu.Lock()
	r.archive[path] = body
	r.mu.Unlock()
	source := &sourcev1.HelmChart{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: chart.Name},
		Spec: sourcev1.HelmChartSpec{
			Chart: chart.Name, Interval: metav1.Duration{Duration: time.Hour},
			SourceRef: sourcev1.LocalHelmChartSourceReference{Kind: sourcev1.HelmRepositoryKind, Name: "charts"},
		},
	}
	if err := r.client.Create(ctx, source); err != nil && !apierrors.IsAlreadyExists(err) {
		r.Fatal(err)
	}
	sum := sha256.Sum256(body)
	patch := fmt.Sprintf(`{"status": {"observedGeneration": 1, "artifact": {"url": %q, "path": %q, "revision": %q, "digest": "sha256:%s", "lastUpdateTime": %q},
		"conditions": [{"type": "Ready", "status": "True", "reason": "ChartPullSucceeded", "message": "", "lastTransitionTime": %[5]q, "observedGeneration": 1}]}}`,
		r.charts.URL+path, path[1:], chart.Version, hex.EncodeToString(sum[:]), time.Now().UTC().Format(time.RFC3339))
	if err := r.client.Status().Patch(ctx, source, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		r.Fatal(err)
	}
}

// createAll makes a release in a namespace of its own for each request.
func (r *releasesRig) createAll(ctx context.Context) {
	r.Helper()
	yes := true
	for turn := range phases {
		namespace := namespaceOf(turn + 1)
		release := &helmv2.HelmRelease{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"},
			Spec: helmv2.HelmReleaseSpec{
				Interval: metav1.Duration{Duration: time.Hour},
				Timeout:  &metav1.Duration{Duration: 30 * time.Second},
				ChartRef: &helmv2.CrossNamespaceSourceReference{Kind: "HelmChart", Name: "app", Namespace: "default"},
				Test:     &helmv2.Test{Enable: true},
				Upgrade:  &helmv2.Upgrade{Remediation: &helmv2.UpgradeRemediation{RemediateLastFailure: &yes}},
			},
		}
		for _, obj := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, release} {
			if err := r.client.Create(ctx, obj); err != nil {
				r.Fatal(err)
			}
		}
	}
}

func (r *releasesRig) deleteAll(ctx context.Context) {
	r.Helper()
	for turn := range phases {
		release := &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(turn + 1), Name: "app"}}
		if err := r.client.Delete(ctx, release); err != nil {
			r.Fatal(err)
		}
	}
}
