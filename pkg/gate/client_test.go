// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/weir-gitops/weir/pkg/testkit"
)

var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }))
}

// desk is one process that asks, with a namespace of Weir's own, and a count of
// what it sends.
type desk struct {
	*testing.T
	*Client
	admin     dynamic.Interface
	namespace string

	mu    sync.Mutex
	sent  []string
	woken []types.NamespacedName
}

var (
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	crds       = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	quotas     = schema.GroupVersionResource{Group: "quota.weir.dev", Version: "v1alpha1", Resource: "gpuquotas"}
)

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{T: t, namespace: "weir-" + rand.String(8)}
	var err error
	d.admin, err = dynamic.NewForConfig(cluster.Config())
	d.must(err)
	d.create(namespaces, "", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": d.namespace}})
	config := cluster.Config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counter{d, next} })
	httpClient, err := rest.HTTPClientFor(config)
	d.must(err)
	mapper, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	d.must(err)
	asks, err := dynamic.NewForConfigAndClient(config, httpClient)
	d.must(err)
	d.Client = NewClient(t.Context(), Config{
		Client: asks, Mapper: mapper, Namespace: d.namespace, Kind: "Kustomization", Patience: time.Second, Log: logr.Discard(),
		Wake: func(owner types.NamespacedName) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.woken = append(d.woken, owner)
		},
	})
	return d
}

// counter notes requests, but for watches, their lists, and discovery.
type counter struct {
	desk *desk
	next http.RoundTripper
}

func (c counter) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Query().Get("labelSelector") == "" && strings.Count(req.URL.Path, "/") > 3 {
		c.desk.mu.Lock()
		c.desk.sent = append(c.desk.sent, req.Method+" "+req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:])
		c.desk.mu.Unlock()
	}
	return c.next.RoundTrip(req)
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) create(resource schema.GroupVersionResource, namespace string, obj map[string]any) {
	d.Helper()
	_, err := d.admin.Resource(resource).Namespace(namespace).Create(d.Context(), &unstructured.Unstructured{Object: obj}, metav1.CreateOptions{})
	d.must(err)
}

// requests returns what was sent since it was last asked.
func (d *desk) requests() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent := d.sent
	d.sent = nil
	return sent
}

func (d *desk) eventually(what string, done func() bool) {
	d.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			d.Fatalf("not in time: %s", what)
		}
	}
}

// answer writes a verdict, as the leader does.
func (d *desk) answer(owner types.UID, verdict Verdict) {
	d.Helper()
	var cm *unstructured.Unstructured
	d.eventually("the request is there", func() bool {
		var err error
		cm, err = d.admin.Resource(configMaps).Namespace(d.namespace).Get(d.Context(), Name(owner), metav1.GetOptions{})
		return err == nil
	})
	verdict.Hash = read(cm).Hash
	text, err := json.Marshal(verdict)
	d.must(err)
	patch, err := json.Marshal(map[string]any{"data": map[string]string{VerdictKey: string(text)}})
	d.must(err)
	_, err = d.admin.Resource(configMaps).Namespace(d.namespace).Patch(d.Context(), Name(owner), types.MergePatchType, patch, metav1.PatchOptions{})
	d.must(err)
}

// definition is that of GPUQuotas, as far as listing them needs it.
func definition() map[string]any {
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "gpuquotas.quota.weir.dev"},
		"spec": map[string]any{
			"group": "quota.weir.dev", "scope": "Cluster",
			"names": map[string]any{"kind": "GPUQuota", "listKind": "GPUQuotaList", "plural": "gpuquotas", "singular": "gpuquota"},
			"versions": []any{map[string]any{
				"name": "v1alpha1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}
}

// sends checks what was sent since it was last asked.
func (d *desk) sends(want ...string) {
	d.Helper()
	if diff := cmp.Diff(want, slices.DeleteFunc(d.requests(), func(line string) bool { return line == "GET v1alpha1" })); diff != "" {
		d.Errorf("requests (-want +got):\n%s", diff)
	}
}

// One story, since whether a cluster has the kind is the same for all.
func TestClient(t *testing.T) {
	d := newDesk(t)
	grows := request(Object{Key: "apps/Deployment/ns/web", Namespace: "ns", After: pods(4, 1)})
	ask := func(r Request) (Verdict, error) {
		t.Helper()
		return d.Ask(t.Context(), r)
	}
	name := Name(grows.UID)

	if v, err := ask(grows); err != nil || v.Answer != Granted {
		t.Errorf("without the kind: %+v, %v", v, err)
	}
	d.sends()
	d.create(crds, "", definition())
	d.eventually("the kind is served", func() bool {
		_, err := d.admin.Resource(quotas).List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
	d.eventually("the kind is found", func() bool {
		_, err := ask(grows)
		return err == nil && slices.Contains(d.requests(), "GET gpuquotas")
	})
	d.requests()
	if v, err := ask(grows); err != nil || v.Answer != Granted {
		t.Errorf("without a quota: %+v, %v", v, err)
	}
	d.sends("GET gpuquotas")
	d.must(d.Withdraw(t.Context(), grows.UID, true, false))
	d.sends()
	d.create(quotas, "", map[string]any{"apiVersion": "quota.weir.dev/v1alpha1", "kind": "GPUQuota", "metadata": map[string]any{"name": "q"}})

	if _, err := ask(grows); !IsUnavailable(err) || !d.silent.Load() {
		t.Errorf("without a leader: %v", err)
	}
	d.sends("GET gpuquotas", "GET "+name, "POST configmaps", "GET gpuquotas")
	if _, err := ask(grows); !IsUnavailable(err) {
		t.Errorf("still without a leader: %v", err)
	}
	d.sends("GET gpuquotas", "GET "+name, "GET gpuquotas")
	d.answer(grows.UID, Verdict{Answer: Waiting, Text: "full"})
	d.eventually("the owner is woken", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return slices.Contains(d.woken, types.NamespacedName{Namespace: "team", Name: "app"})
	})
	if v, err := ask(grows); err != nil || v.Answer != Waiting || v.Text != "full" {
		t.Errorf("answered: %+v, %v", v, err)
	}
	d.requests()

	d.replaced(grows)
}

// replaced is the story's second half: another revision needs another answer, a
// part of the same does not.
func (d *desk) replaced(next Request) {
	d.Helper()
	name := Name(next.UID)
	next.Revision = "main@sha1:2"
	done := make(chan Verdict)
	go func() {
		v, err := d.Ask(d.Context(), next)
		if err != nil {
			d.Error(err)
		}
		done <- v
	}()
	d.eventually("the request is replaced", func() bool {
		cm, err := d.admin.Resource(configMaps).Namespace(d.namespace).Get(d.Context(), name, metav1.GetOptions{})
		return err == nil && read(cm).Request.Revision == next.Revision
	})
	d.answer(next.UID, Verdict{Answer: Granted})
	if v := <-done; v.Answer != Granted {
		d.Errorf("answered: %+v", v)
	}
	d.requests()
	next.Objects = []Object{{Key: "apps/Deployment/ns/web", Namespace: "ns", Before: pods(2, 1), After: pods(4, 1)}}
	if v, err := d.Ask(d.Context(), next); err != nil || v.Answer != Granted {
		d.Errorf("a part of it: %+v, %v", v, err)
	}
	d.sends("GET " + name)

	d.must(d.Withdraw(d.Context(), next.UID, false, false)) // granted, and nothing shrinks: it stays
	d.sends()
	d.must(d.Withdraw(d.Context(), next.UID, true, false))
	d.sends("DELETE " + name)
	d.eventually("it is gone", func() bool { known, _ := d.verdicts.granted(next.UID); return !known })

	d.must(d.admin.Resource(quotas).Delete(d.Context(), "q", metav1.DeleteOptions{}))
	if v, err := d.Ask(d.Context(), next); err != nil || v.Answer != Granted {
		d.Errorf("without a quota any more: %+v, %v", v, err)
	}
	if _, err := d.admin.Resource(configMaps).Namespace(d.namespace).Get(d.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		d.Errorf("the request that nobody has to answer: %v, want it gone", err)
	}
	d.requests()
	d.must(d.Withdraw(d.Context(), next.UID, true, true))
	d.must(d.Forget(d.Context(), next.UID))
	d.sends()
}
