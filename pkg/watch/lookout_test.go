// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/pkg/watch"
)

var (
	configMapGVK = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	configMapGVR = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// lookoutRig is a Lookout on a real cluster, and whom it woke.
type lookoutRig struct {
	*testing.T
	client  dynamic.Interface
	lookout *watch.Lookout
	woken   chan string
}

func newLookoutRig(t *testing.T, config *rest.Config) *lookoutRig {
	t.Helper()
	r := &lookoutRig{T: t, woken: make(chan string, 100)}
	client, err := dynamic.NewForConfig(config)
	r.must(err)
	httpClient, err := rest.HTTPClientFor(config)
	r.must(err)
	mapper, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	r.must(err)
	r.client = client
	r.lookout = watch.NewLookout(t.Context(), client, mapper, logr.Discard(), func(who types.NamespacedName, _ time.Duration) { r.woken <- who.Name })
	return r
}

func (r *lookoutRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// put writes a ConfigMap with a text that matters and one that does not.
func (r *lookoutRig) put(name, matters, other string) *unstructured.Unstructured {
	r.Helper()
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "default"},
		"data": map[string]any{"matters": matters, "other": other},
	}}
	live, err := r.client.Resource(configMapGVR).Namespace("default").Apply(r.Context(), name, obj, metav1.ApplyOptions{FieldManager: "test"})
	r.must(err)
	return live
}

func (r *lookoutRig) remove(name string) {
	r.Helper()
	r.must(r.client.Resource(configMapGVR).Namespace("default").Delete(r.Context(), name, metav1.DeleteOptions{}))
}

func awaited(name string, live *unstructured.Unstructured) watch.Awaited {
	return watch.Awaited{
		GVK: configMapGVK, NamespacedName: types.NamespacedName{Namespace: "default", Name: name}, Live: live, View: "matters",
		State: func(obj *unstructured.Unstructured) string {
			value, _, _ := unstructured.NestedString(obj.Object, "data", "matters")
			return value
		},
	}
}

func (r *lookoutRig) await(who string, objects ...watch.Awaited) {
	r.lookout.Await(types.NamespacedName{Name: who}, objects...)
}

// expect waits until exactly these were woken, in any order, once or more.
func (r *lookoutRig) expect(who ...string) {
	r.Helper()
	missing := map[string]bool{}
	for _, name := range who {
		missing[name] = true
	}
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	for len(missing) > 0 {
		select {
		case name := <-r.woken:
			delete(missing, name)
		case <-ctx.Done():
			r.Fatalf("not woken: %v", missing)
		}
	}
}

// quiet tells a change that must wake nobody from one that does, by another
// that comes after it.
func (r *lookoutRig) quiet(but string) {
	r.Helper()
	select {
	case name := <-r.woken:
		if name != but {
			r.Errorf("%s was woken", name)
		}
	case <-time.After(20 * time.Second):
		r.Error("nobody was woken")
	}
}

func TestLookout(t *testing.T) {
	cluster, err := testkit.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stopped := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := cluster.Stop(stopped); err != nil {
			t.Error(err)
		}
	})
	r := newLookoutRig(t, cluster.Config())

	t.Run("what matters wakes, the rest does not", func(t *testing.T) {
		r.await("a", awaited("one", r.put("one", "no", "x")))
		r.put("one", "no", "y")
		r.put("one", "yes", "y")
		r.expect("a")
		if n := len(r.woken); n > 0 {
			t.Errorf("woken %d times more", n)
		}
	})
	t.Run("two share a watch, and who left sleeps on", func(t *testing.T) {
		live := r.put("one", "yes", "y")
		r.await("b", awaited("one", live))
		if n := r.lookout.Watching(); n != 1 {
			t.Errorf("%d watches, want 1", n)
		}
		r.put("one", "both", "y")
		r.expect("a", "b")
		r.await("a")
		r.put("one", "b only", "y")
		r.quiet("b")
	})
	t.Run("changed since it was read", func(*testing.T) {
		stale := r.put("one", "old", "y")
		r.put("one", "new", "y")
		r.expect("b")
		for len(r.woken) > 0 {
			<-r.woken
		}
		r.await("c", awaited("one", stale))
		r.expect("c")
		// A watch that begins is told by its first list.
		stale = r.put("two", "old", "")
		r.put("two", "new", "")
		r.await("d", awaited("two", stale))
		r.expect("d")
	})
	t.Run("appears and goes", func(*testing.T) {
		r.await("e", awaited("three", nil))
		r.put("three", "", "")
		r.expect("e")
		r.remove("three")
		r.expect("e")
		r.await("f", awaited("three", r.put("four", "", "")))
		r.expect("f")
	})
	t.Run("nobody left", func(t *testing.T) {
		for _, who := range []string{"a", "b", "c", "d", "e", "f"} {
			r.await(who)
		}
		if n := r.lookout.Watching(); n != 0 {
			t.Errorf("%d watches are left", n)
		}
	})
	t.Run("unknown kind", func(t *testing.T) {
		object := awaited("one", nil)
		object.GVK = schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
		r.await("a", object)
		if n := r.lookout.Watching(); n != 0 {
			t.Errorf("%d watches of a kind that is not there", n)
		}
	})
	if _, err := r.client.Resource(configMapGVR).Namespace("default").Get(t.Context(), "three", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want that it is gone", err)
	}
}
