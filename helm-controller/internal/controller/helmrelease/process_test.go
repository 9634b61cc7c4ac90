// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// alone is a test with a controller of its own, for the HelmReleases that it
// makes from now on.
func (s *suite) alone(flags ...string) *process {
	s.Helper()
	s.shard = true
	config, err := cluster.ServiceAccountConfig(s.Context(), "weir-system", "helm-controller")
	s.must(err)
	return startController(config, append(flags, "--watch-label-selector="+shardLabel+"="+s.ns)...)
}

// tap writes down what a controller asks the API server, apart from watches.
type tap struct {
	mu       sync.Mutex
	requests []string
}

// note is for a proxy that lets everything pass.
func (p *tap) note(r *http.Request) testkit.Fault {
	if !testkit.IsWatch(r) {
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		p.mu.Unlock()
	}
	return testkit.Fault{}
}

// take returns what was asked since the last call.
func (p *tap) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	requests := p.requests
	p.requests = nil
	return requests
}

// A release that nobody has touched costs a read of each Secret and ConfigMap
// that its spec names at every interval, and nothing for its objects, with drift
// detection or without.
func TestUnchangedReleaseCostsNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	config, err := cluster.ServiceAccountConfig(t.Context(), "weir-system", "helm-controller")
	s.must(err)
	proxy, err := testkit.NewFaultProxy(cluster.Config())
	s.must(err)
	requests := &tap{}
	proxy.Inject(requests.note)
	s.shard = true
	controller := startController(proxy.Config(config), "--watch-label-selector="+shardLabel+"="+s.ns, "--interval-jitter-percentage=0")
	t.Cleanup(func() {
		controller.stop(t)
		proxy.Close()
	})
	s.secret("settings", "message: from-secret")
	s.create("web", driftMode(meta.DriftEnabled), func(r *helmv2.HelmRelease) {
		r.Spec.Interval = metav1.Duration{Duration: time.Second}
		r.Spec.ValuesFrom = []helmv2.ValuesReference{{Kind: "Secret", Name: "settings"}}
	})
	s.awaitReady("web", 1)
	s.await("web", "is watched", func(r *helmv2.HelmRelease) bool { return conditions.IsFalse(r, helmv2.DriftedCondition) })
	read := "GET /api/v1/namespaces/" + s.ns + "/secrets/settings"
	count := func(all []string) (n int) {
		for _, request := range all {
			if request == read {
				n++
			}
		}
		return n
	}
	settled := []string{}
	s.eventually("it is settled", func() bool {
		settled = append(settled, requests.take()...)
		return count(settled) >= 3
	})
	var seen []string
	s.eventually("four intervals are over", func() bool {
		seen = append(seen, requests.take()...)
		return count(seen) >= 4
	})
	others := slices.DeleteFunc(seen, func(request string) bool {
		return request == read || strings.Contains(request, "/events") || strings.Contains(request, "/leases")
	})
	if len(others) > 0 {
		t.Errorf("beside one read of its Secret at each of 4 intervals it asked:\n%s", strings.Join(others, "\n"))
	}
}

// A controller that stops in the middle of an action leaves a release that the
// next one brings to its right end.
func TestRestartInTheMiddleOfAnAction(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	first := s.alone("--graceful-shutdown-timeout=1s")
	s.create("web", func(r *helmv2.HelmRelease) { r.Spec.Timeout = &metav1.Duration{Duration: time.Hour} })
	s.awaitReady("web", 1)
	s.publish(never("1.1.0"))
	s.await("web", "waits", func(r *helmv2.HelmRelease) bool {
		return s.exists("apps/v1/Deployment", "slow") && r.Status.Weir != nil && r.Status.Weir.Pending != nil
	})
	first.stop(t)
	s.publish(appChart("1.2.0"))
	second := s.alone()
	t.Cleanup(func() { second.stop(t) })
	obj := s.await("web", "is ready with 1.2.0", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && r.Status.History[0].ChartVersion == "1.2.0"
	})
	if obj.Status.Failures != 0 || obj.Status.History[0].Version > 4 || s.exists("apps/v1/Deployment", "slow") {
		t.Errorf("status\n%s", statusText(obj))
	}
	s.delete("web")
}

// What Flux has released is taken over without a new revision.
func TestTakesOverFromFlux(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.ns = "shops"
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	fixture := func(file string, into any) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join("..", "..", "release", "testdata", file))
		s.must(err)
		s.must(json.Unmarshal(data, into))
	}
	var secrets corev1.SecretList
	fixture("flux-installed-secrets.json", &secrets)
	for _, secret := range secrets.Items {
		s.must(kube.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: secret.Name, Labels: secret.Labels}, Type: secret.Type, Data: secret.Data,
		}))
	}
	var history helmv2.Snapshots
	fixture("flux-installed-history.json", &history)
	var configs []struct {
		Name   string
		Values json.RawMessage
	}
	fixture("config.json", &configs)
	i := slices.IndexFunc(configs, func(c struct {
		Name   string
		Values json.RawMessage
	}) bool {
		return c.Name == "big"
	})
	chart := testkit.HelmChart{Name: "shop", Version: "1.0.0", AppVersion: "7.1"}
	s.publish(chart.ConfigMap("config", "x"))
	s.create("shop", values(string(configs[i].Values)), func(r *helmv2.HelmRelease) {
		r.Spec.Chart.Spec.Chart, r.Spec.Suspend = "shop", true
	})
	obj := s.get("shop")
	before := obj.DeepCopy()
	obj.Status.History, obj.Status.StorageNamespace = history, s.ns
	s.must(kube.Status().Patch(t.Context(), obj, client.MergeFrom(before)))
	s.edit("shop", func(r *helmv2.HelmRelease) { r.Spec.Suspend = false })
	obj = s.awaitReady("shop", 1)
	if got := s.releases("shop"); got != 1 || obj.Status.History[0].Digest != history[0].Digest {
		t.Errorf("%d records\n%s", got, statusText(obj))
	}
}

func TestLockdown(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	controller := s.alone("--no-cross-namespace-refs", "--default-service-account=tenant")
	t.Cleanup(func() { controller.stop(t) })
	s.create("elsewhere", func(r *helmv2.HelmRelease) {
		r.Spec.Chart.Spec.SourceRef.Namespace = "weir-system"
		r.Spec.DependsOn = []meta.DependencyReference{{Namespace: "kube-system", Name: "x"}}
	})
	obj := s.awaitFailure("elsewhere", helmv2.AccessDeniedReason)
	s.wants(ready(obj), `spec.chart.spec.sourceRef names repo in namespace "weir-system"`, "spec.dependsOn names x")
	if !conditions.IsStalled(obj) || obj.Status.HelmChart != "" {
		t.Errorf("status\n%s", statusText(obj))
	}
	s.create("web")
	s.wants(ready(s.awaitFailure("web", helmv2.InstallFailedReason)), "system:serviceaccount:"+s.ns+":tenant")
	s.delete("elsewhere")
	s.delete("web")
}

func TestChartInAnotherNamespace(t *testing.T) {
	t.Parallel()
	s, source := newSuite(t), newSuite(t)
	source.publish(appChart("1.0.0"))
	s.create("web", func(r *helmv2.HelmRelease) { r.Spec.Chart.Spec.SourceRef.Namespace = source.ns })
	obj := s.awaitReady("web", 1)
	if want := source.ns + "/" + s.ns + "-web"; obj.Status.HelmChart != want {
		t.Errorf("HelmChart %q, want %q", obj.Status.HelmChart, want)
	}
	// From now on the chart is somebody else's.
	s.edit("web", func(r *helmv2.HelmRelease) { r.Spec.Chart.Spec.SourceRef.Namespace = "" })
	s.publish(appChart("1.0.0"))
	s.await("web", "has a HelmChart here", func(r *helmv2.HelmRelease) bool { return r.Status.HelmChart == s.ns+"/"+s.ns+"-web" })
	if source.exists("source.toolkit.fluxcd.io/v1/HelmChart", s.ns+"-web") {
		t.Error("the HelmChart in the other namespace is still there")
	}
}

// The values of a release can be read without digging, and without Secrets.
func TestValuesCommand(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	s.secret("settings", "password: hunter22\nmessage: loses\n")
	s.create("web", values("message: wins"), func(r *helmv2.HelmRelease) {
		r.Spec.ValuesFrom = []helmv2.ValuesReference{{Kind: "Secret", Name: "settings"}}
	})
	var out bytes.Buffer
	s.must(app.Values(t.Context(), []string{s.ns + "/web"}, &out))
	if got, want := out.String(), "message: wins\npassword: '**********'\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := app.Values(t.Context(), []string{"web"}, &out); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("error %v", err)
	}
}

// Tools that wait for objects compute what HelmReleases are from their status. It
// must be right in every phase of a life with failures.
func TestStatusConformsToKstatus(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	watched, err := kube.Watch(t.Context(), &helmv2.HelmReleaseList{}, client.InNamespace(s.ns))
	s.must(err)
	defer watched.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watched.ResultChan() {
			if obj, ok := event.Object.(*helmv2.HelmRelease); ok && event.Type != "DELETED" {
				s.conforms(obj)
			}
		}
	}()
	s.create("web", remediate)
	s.awaitReady("web", 1)
	s.publish(broken(appChart("1.1.0")))
	s.await("web", "is stalled", func(r *helmv2.HelmRelease) bool { return conditions.IsStalled(r) })
	s.edit("web", func(r *helmv2.HelmRelease) { r.Spec.Test = &helmv2.Test{Enable: true} })
	s.publish(appChart("1.2.0"))
	s.await("web", "is ready again", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && r.Status.LastAttemptedRevision == "1.2.0"
	})
	s.edit("web", func(r *helmv2.HelmRelease) { r.Spec.DependsOn = []meta.DependencyReference{{Name: "none"}} })
	s.awaitFailure("web", helmv2.DependencyNotReadyReason)
	s.delete("web")
	watched.Stop()
	<-done
}

// conforms checks one state of a HelmRelease.
func (s *suite) conforms(obj *helmv2.HelmRelease) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		s.Error(err)
		return
	}
	got, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		s.Error(err)
		return
	}
	current := conditions.IsReady(obj) && !conditions.Has(obj, fluxmeta.ReconcilingCondition) && obj.Status.ObservedGeneration == obj.Generation
	if obj.DeletionTimestamp == nil && (got.Status == status.CurrentStatus) != current || (got.Status == status.FailedStatus) != (conditions.IsStalled(obj) && obj.Status.ObservedGeneration == obj.Generation) {
		s.Errorf("kstatus says %s: %s\n%s", got.Status, got.Message, statusText(obj))
	}
	for _, c := range obj.Status.Conditions {
		if (c.Type == fluxmeta.ReconcilingCondition || c.Type == fluxmeta.StalledCondition) && c.Status != metav1.ConditionTrue {
			s.Errorf("condition %s is %s, and should be there while True only", c.Type, c.Status)
		}
		if c.ObservedGeneration < 1 {
			s.Errorf("condition %s has no observed generation", c.Type)
		}
	}
	if conditions.IsStalled(obj) && conditions.IsReconciling(obj) {
		s.Errorf("stalled and reconciling\n%s", statusText(obj))
	}
}

// A kubeconfig leads to another cluster, and the release is stored there. When
// nobody can say any more how to get there, the release is left.
func TestRemoteCluster(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig())
	s.must(err)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "remote"}, Data: map[string][]byte{"value": kubeconfig}}
	s.create("web", func(r *helmv2.HelmRelease) {
		r.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "remote"}}
	})
	s.wants(ready(s.awaitFailure("web", helmv2.RESTClientErrorReason)), "remote")
	s.must(kube.Create(t.Context(), secret))
	obj := s.awaitReady("web", 1)
	if obj.Status.Weir == nil || !strings.HasPrefix(obj.Status.Weir.Cluster, "https://") {
		t.Errorf("status\n%s", statusText(obj))
	}
	s.must(kube.Delete(t.Context(), secret))
	s.delete("web")
	if !s.exists("v1/ConfigMap", "web-config") {
		t.Error("the release was uninstalled")
	}
}

// Where the controller may not watch what a spec refers to, Ready says so, and
// the interval has to do.
func TestSaysWhatIsNotWatched(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.publish(appChart("1.0.0"))
	config, err := cluster.ServiceAccountConfig(t.Context(), "weir-system", "helm-controller")
	s.must(err)
	proxy, err := testkit.NewFaultProxy(cluster.Config())
	s.must(err)
	proxy.Inject(func(r *http.Request) testkit.Fault {
		// What Helm has stored is watched by a label of its own.
		if r.Method == http.MethodGet && r.URL.Path == "/api/v1/namespaces/"+s.ns+"/secrets" && !strings.Contains(r.URL.Query().Get("labelSelector"), "owner=helm") {
			return testkit.Fault{Code: http.StatusForbidden}
		}
		return testkit.Fault{}
	})
	s.shard = true
	controller := startController(proxy.Config(config), "--watch-label-selector="+shardLabel+"="+s.ns)
	t.Cleanup(func() {
		controller.stop(t)
		proxy.Close()
	})
	s.secret("settings", "message: from-secret")
	s.create("web", func(r *helmv2.HelmRelease) {
		r.Spec.Interval = metav1.Duration{Duration: 2 * time.Second}
		r.Spec.ValuesFrom = []helmv2.ValuesReference{{Kind: "Secret", Name: "settings"}}
	})
	s.await("web", "says that nothing is watched", func(r *helmv2.HelmRelease) bool {
		return conditions.IsReady(r) && strings.HasSuffix(ready(r), "; the Secrets and ConfigMaps that the spec refers to are read at every interval and not watched, since this controller may not")
	})
	s.secret("settings", "message: other-secret")
	s.awaitReady("web", 2)
}
