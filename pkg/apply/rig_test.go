// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/pkg/watch"
)

var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }, testkit.WithGPUNodes(1)))
}

const (
	manager  = "test-controller"
	deadline = 20 * time.Second
)

var (
	testLabels = watch.Labels{Name: "test.weir.dev/name", Namespace: "test.weir.dev/namespace"}
	testKeys   = Keys{
		Reconcile: "test.weir.dev/reconcile",
		Prune:     "test.weir.dev/prune",
		Policy:    "test.weir.dev/ssa",
		Force:     "test.weir.dev/force",
	}
)

// rig is one process as the API server sees it: an engine, a client, and a
// count of what they send.
type rig struct {
	*testing.T
	engine *Engine
	client *Client
	set    *Set
	owner  types.NamespacedName
	woken  chan types.NamespacedName

	mu       sync.Mutex
	requests []string
	// before is called before a request is sent.
	before func(line string)
}

// newRig starts an engine for an owner in a namespace of its own.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, owner: types.NamespacedName{Namespace: "test-" + rand.String(8), Name: "owner"}}
	r.start()
	r.kubectl("create", namespaceGVR, "", `{apiVersion: v1, kind: Namespace, metadata: {name: `+r.owner.Namespace+`}}`)
	return r
}

// start begins anew, as after a restart of the process.
func (r *rig) start() {
	r.Helper()
	r.startAs(func(*rest.Config) {})
}

// startAs is start with other rights for the watches; what is applied is still
// applied by somebody who may do anything.
func (r *rig) startAs(change func(*rest.Config)) {
	r.Helper()
	cfg := cluster.Config()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			r.count(req)
			return next.RoundTrip(req)
		})
	})
	httpClient, err := rest.HTTPClientFor(cfg)
	r.must(err)
	mapper, err := apiutil.NewDynamicRESTMapper(cfg, httpClient)
	r.must(err)
	dyn, err := dynamic.NewForConfigAndClient(cfg, httpClient)
	r.must(err)
	watcherConfig := rest.CopyConfig(cfg)
	change(watcherConfig)
	watcher, err := dynamic.NewForConfig(watcherConfig)
	r.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	r.Cleanup(cancel)
	r.woken = make(chan types.NamespacedName, 1000)
	woken := r.woken
	r.client = &Client{Dynamic: dyn, Mapper: mapper, Manager: manager}
	r.engine = NewEngine(ctx, Config{
		Watch: watch.Config{
			Client: watcher, Mapper: mapper, Labels: testLabels, Log: logr.Discard(),
			Managers: watch.Managers{Self: manager, TakeOver: TakeOver(manager)},
		},
		Keys: testKeys, Concurrency: 4,
		Wake: func(owner types.NamespacedName, _ time.Duration) { woken <- owner },
	})
	r.set = r.engine.Set(r.owner, "uid")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// exempt has fields left to others from now on.
func (r *rig) exempt(rules ...exemption.Rule) {
	r.Helper()
	compiled, err := exemption.Compile(rules)
	r.must(err)
	r.set.Exempt(compiled)
}

func (r *rig) count(req *http.Request) {
	if req.URL.Query().Get("watch") != "" || strings.HasPrefix(req.URL.Path, "/api") && strings.Count(req.URL.Path, "/") < 4 {
		return // watches, discovery and lists of a kind
	}
	line := req.Method + " " + req.URL.Path
	if req.URL.Query().Get("dryRun") != "" {
		line += " dry-run"
	}
	r.mu.Lock()
	r.requests = append(r.requests, line)
	before := r.before
	r.mu.Unlock()
	if before != nil {
		before(line)
	}
}

// sent returns the requests since it was last asked.
func (r *rig) sent() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	return out
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// desired prepares YAML documents; $NS stands for the namespace.
func (r *rig) desired(docs string) []*Desired {
	r.Helper()
	desired, err := Prepare(r.objects(docs), r.owner, testLabels, testKeys)
	r.must(err)
	return desired
}

func (r *rig) objects(docs string) []*unstructured.Unstructured {
	r.Helper()
	var objects []*unstructured.Unstructured
	for doc := range strings.SplitSeq(strings.ReplaceAll(docs, "$NS", r.owner.Namespace), "\n---\n") {
		obj := &unstructured.Unstructured{}
		r.must(yaml.Unmarshal([]byte(doc), &obj.Object))
		objects = append(objects, obj)
	}
	return objects
}

// apply watches and applies, as a reconciler does.
func (r *rig) apply(docs string, change ...func(*Options)) ([]Change, error) {
	r.Helper()
	desired := r.desired(docs)
	inv := inventory.Inventory{}
	for _, d := range desired {
		inv[d.Ref] = d.GVK.Version
	}
	r.must(r.engine.Watch(r.Context(), r.set, inv, nil))
	opts := Options{Client: r.client, StageTimeout: deadline}
	for _, f := range change {
		f(&opts)
	}
	changes, err := r.engine.Apply(r.Context(), r.set, desired, opts)
	if err == nil {
		r.must(r.engine.Watch(r.Context(), r.set, inv, nil))
		r.settle()
	}
	return changes, err
}

func (r *rig) mustApply(docs string, change ...func(*Options)) map[string]Action {
	r.Helper()
	changes, err := r.apply(docs, change...)
	r.must(err)
	actions := map[string]Action{}
	for _, c := range changes {
		actions[c.Ref.Kind+"/"+c.Ref.Name] = c.Action
	}
	return actions
}

// settle waits until the watch has seen what was applied.
func (r *rig) settle() {
	r.Helper()
	r.eventually("the watch sees what was applied", func() bool { return len(r.drifted()) == 0 })
}

func (r *rig) drifted() []inventory.Ref {
	r.Helper()
	drifted, err := r.engine.Drifted(r.Context(), r.set, r.client)
	r.must(err)
	return drifted
}

// correct waits for drift and puts it back.
func (r *rig) correct(change ...func(*Options)) Drift {
	r.Helper()
	r.eventually("drift is seen", func() bool { return len(r.drifted()) > 0 })
	opts := Options{Client: r.client, StageTimeout: deadline}
	for _, f := range change {
		f(&opts)
	}
	drift, err := r.engine.Correct(r.Context(), r.set, r.drifted(), opts)
	r.must(err)
	return drift
}

func (r *rig) eventually(what string, done func() bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			r.Fatalf("not within %s: %s", deadline, what)
		case <-tick.C:
		}
	}
}

var (
	namespaceGVR  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	deploymentGVR = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	configMapGVR  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	jobGVR        = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
)

// kubectl does by hand, under the given manager, what a person would.
func (r *rig) kubectl(by string, gvr schema.GroupVersionResource, name, body string) *unstructured.Unstructured {
	r.Helper()
	dyn, err := dynamic.NewForConfig(cluster.Config())
	r.must(err)
	resource := dyn.Resource(gvr).Namespace(r.owner.Namespace)
	if gvr == namespaceGVR {
		resource = dyn.Resource(gvr)
	}
	data, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(body, "$NS", r.owner.Namespace)))
	r.must(err)
	var out *unstructured.Unstructured
	switch {
	case name == "":
		obj := &unstructured.Unstructured{}
		r.must(obj.UnmarshalJSON(data))
		out, err = resource.Create(r.Context(), obj, metav1.CreateOptions{FieldManager: by})
	case body == "":
		background := metav1.DeletePropagationBackground
		err = resource.Delete(r.Context(), name, metav1.DeleteOptions{PropagationPolicy: &background})
	default:
		out, err = resource.Patch(r.Context(), name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: by})
	}
	r.must(err)
	return out
}

// live reads an object, or returns nil if it does not exist.
func (r *rig) live(gvr schema.GroupVersionResource, name string) *unstructured.Unstructured {
	r.Helper()
	dyn, err := dynamic.NewForConfig(cluster.Config())
	r.must(err)
	obj, err := dyn.Resource(gvr).Namespace(r.owner.Namespace).Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return obj
}
