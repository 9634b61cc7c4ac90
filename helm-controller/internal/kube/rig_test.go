// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/pkg/watch"
)

var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }, testkit.WithGPUNodes(1)))
}

// deadline is how long a test waits for what is certain to come.
const deadline = 60 * time.Second

// rig is one process as the API server sees it: an engine with an identity of its
// own, and a tenant that acts in one namespace.
type rig struct {
	*testing.T
	ns     string
	tenant string
	admin  dynamic.Interface
	mapper meta.RESTMapper
	engine *apply.Engine
	client *apply.Client
	config *rest.Config
	woken  chan struct{}

	mu       sync.Mutex
	requests []string
	users    map[string]struct{}
	logged   []string
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, ns: "kube-" + rand.String(8), users: map[string]struct{}{}}
	r.tenant = "system:serviceaccount:" + r.ns + ":tenant"
	var err error
	r.admin, err = dynamic.NewForConfig(cluster.Config())
	r.must(err)
	httpClient, err := rest.HTTPClientFor(cluster.Config())
	r.must(err)
	r.mapper, err = apiutil.NewDynamicRESTMapper(cluster.Config(), httpClient)
	r.must(err)
	r.kubectl("create", `
apiVersion: v1
kind: Namespace
metadata: {name: $NS}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: $NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: tenant, namespace: $NS}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: $NS}`)
	r.start("")
	r.eventually("the tenant has its rights", func() bool {
		accounts := schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
		_, err := r.client.Dynamic.Resource(accounts).Namespace(r.ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	r.sent()
	return r
}

// start begins anew, as after a restart of the process. What it watches it
// watches as the given user, or as an administrator.
func (r *rig) start(watcher string) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	r.Cleanup(cancel)
	watches := cluster.Config()
	if watcher != "" {
		watches.Impersonate = rest.ImpersonationConfig{UserName: watcher}
	}
	requests, err := dynamic.NewForConfig(watches)
	r.must(err)
	r.config = cluster.Config()
	r.config.Impersonate = rest.ImpersonationConfig{UserName: r.tenant}
	r.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			r.count(req)
			return next.RoundTrip(req)
		})
	})
	tenant, err := dynamic.NewForConfig(r.config)
	r.must(err)
	r.client = &apply.Client{Dynamic: tenant, Mapper: r.mapper, Manager: "helm-controller"}
	r.woken = make(chan struct{}, 1000)
	woken := r.woken
	r.engine = apply.NewEngine(ctx, apply.Config{
		Watch: watch.Config{
			Client: requests, Mapper: r.mapper, Labels: Labels(), Managers: Managers(), Log: r.logger(),
		},
		Keys: Keys(), Concurrency: Concurrency,
		Wake: func(types.NamespacedName, time.Duration) { woken <- struct{}{} },
	})
}

func (r *rig) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.logged = append(r.logged, prefix+args)
	}, funcr.Options{})
}

func (r *rig) count(req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := req.Method + " " + req.URL.Path
	if req.URL.Query().Get("watch") != "" {
		line = "WATCH " + req.URL.Path
	}
	if req.URL.Query().Get("dryRun") != "" {
		line += " dry-run"
	}
	r.requests = append(r.requests, line)
	r.users[req.Header.Get("Impersonate-User")] = struct{}{}
}

// sent returns the tenant's requests since it was last asked.
func (r *rig) sent() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.requests
	r.requests = nil
	return sent
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) options(change ...func(*Options)) Options {
	o := Options{
		Client: r.client, Config: r.config, Engine: r.engine,
		Owner: types.NamespacedName{Namespace: r.ns, Name: "app"}, UID: "uid",
		Name: "app", Namespace: r.ns, ServerSide: true, TakeOwnership: true, Log: r.logger(),
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

// action returns the client of an action.
func (r *rig) action(change ...func(*Options)) *Client {
	r.Helper()
	return r.actionIn(r.Context(), change...)
}

func (r *rig) actionIn(ctx context.Context, change ...func(*Options)) *Client {
	r.Helper()
	client, err := New(ctx, r.options(change...))
	r.must(err)
	return client
}

// objects decodes documents as they are; $NS stands for the namespace.
func (r *rig) objects(docs string) []*unstructured.Unstructured {
	r.Helper()
	objects, err := Decode(strings.NewReader(strings.ReplaceAll(docs, "$NS", r.ns)))
	r.must(err)
	return objects
}

// members decodes the objects of a release, with Helm's marks.
func (r *rig) members(docs string) []*unstructured.Unstructured {
	r.Helper()
	objects := r.objects(docs)
	for _, obj := range objects {
		if _, err := Locate(r.mapper, obj, r.ns); err != nil && !noKind(err) {
			r.Fatal(err)
		}
		if !isHook(obj) {
			own(obj, "app", r.ns)
		}
	}
	return objects
}

// create writes a release and returns its objects.
func (r *rig) create(c *Client, docs string) []*unstructured.Unstructured {
	r.Helper()
	objects := r.members(docs)
	_, err := c.Create(objects, true)
	r.must(err)
	return objects
}

func (r *rig) resource(obj *unstructured.Unstructured) dynamic.ResourceInterface {
	r.Helper()
	gvk := obj.GroupVersionKind()
	mapping, err := r.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	r.must(err)
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return r.admin.Resource(mapping.Resource)
	}
	return r.admin.Resource(mapping.Resource).Namespace(obj.GetNamespace())
}

// kubectl does by hand what a person would: create or delete the objects, or
// merge them into the live ones under the given manager.
func (r *rig) kubectl(by, docs string) {
	r.Helper()
	for _, obj := range r.objects(docs) {
		var err error
		switch resource := r.resource(obj); by {
		case "create":
			if _, err = resource.Create(r.Context(), obj, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
				err = nil
			}
		case "delete":
			err = resource.Delete(r.Context(), obj.GetName(), metav1.DeleteOptions{})
		default:
			data, marshal := obj.MarshalJSON()
			r.must(marshal)
			_, err = resource.Patch(r.Context(), obj.GetName(), types.MergePatchType, data, metav1.PatchOptions{FieldManager: by})
		}
		r.must(err)
	}
}

// live reads an object named Kind.group/name, nil if there is none.
func (r *rig) live(version, kind, name string) *unstructured.Unstructured {
	r.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(schema.FromAPIVersionAndKind(version, kind))
	obj.SetNamespace(r.ns)
	live, err := r.resource(obj).Get(r.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	r.must(err)
	return live
}

// field of a ConfigMap, "" if there is none.
func (r *rig) field(name, key string) string {
	r.Helper()
	live := r.live("v1", "ConfigMap", name)
	if live == nil {
		return ""
	}
	text, _, _ := unstructured.NestedString(live.Object, "data", key)
	return text
}

func (r *rig) eventually(what string, done func() bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			r.Fatalf("not within %s: %s", deadline, what)
		case <-tick.C:
		}
	}
}

// wantText fails unless an error holds all of the texts.
func (r *rig) wantText(err error, texts ...string) {
	r.Helper()
	if err == nil {
		r.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range append(texts, "") {
		if !strings.Contains(err.Error(), strings.ReplaceAll(text, "$NS", r.ns)) {
			r.Errorf("error %q lacks %q", err, strings.ReplaceAll(text, "$NS", r.ns))
		}
	}
	if strings.Contains(err.Error(), "context deadline exceeded") {
		r.Errorf("error %q speaks of a context", err)
	}
}

// wantRequests compares requests in any order, the namespace left out.
func (r *rig) wantRequests(got []string, want ...string) {
	r.Helper()
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], r.ns, "$NS")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.Errorf("requests:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// manifest is documents as a release stores them.
func (r *rig) manifest(docs string) string { return strings.ReplaceAll(docs, "$NS", r.ns) }

func toYAML(t *testing.T, obj *unstructured.Unstructured) string {
	t.Helper()
	data, err := yaml.Marshal(obj.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func createOptions(manager string) metav1.CreateOptions {
	return metav1.CreateOptions{FieldManager: manager}
}

// contextWithoutEnd is for what is cleared up after the test.
func contextWithoutEnd(t *testing.T) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}
