// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// world is an API server with one object, a cache that can be held back, and
// a list of what was asked of either.
type world struct {
	*testing.T
	store  *Store
	server client.WithWatch
	stale  *sourcev1.GitRepository // what the cache shows, if set
	asked  []string
	fail   error
}

var key = client.ObjectKey{Namespace: "ns", Name: "a"}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := sourcev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t}
	obj := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: "u"}}
	w.server = fake.NewClientBuilder().WithScheme(scheme).WithObjects(obj).WithStatusSubresource(obj).Build()
	owner := func(opts []client.PatchOption) string {
		return (&client.PatchOptions{}).ApplyOptions(opts).FieldManager
	}
	cached := interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			w.asked = append(w.asked, "cache")
			if out, ok := obj.(*sourcev1.GitRepository); ok && w.stale != nil {
				w.stale.DeepCopyInto(out)
				return nil
			}
			return c.Get(ctx, key, obj, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			data, _ := patch.Data(obj)
			w.asked = append(w.asked, "patch by "+owner(opts)+" "+string(data))
			if w.fail != nil {
				return w.fail
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			data, _ := patch.Data(obj)
			options := (&client.SubResourcePatchOptions{}).ApplyOptions(opts)
			w.asked = append(w.asked, sub+" patch by "+options.FieldManager+" "+string(data))
			if w.fail != nil {
				return w.fail
			}
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		},
	})
	live := interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			w.asked = append(w.asked, "live")
			return c.Get(ctx, key, obj, opts...)
		},
	})
	w.store = NewStore(cached, live, "weir")
	return w
}

func (w *world) get() *sourcev1.GitRepository {
	w.Helper()
	obj := &sourcev1.GitRepository{}
	if err := w.store.Get(w.Context(), key, obj); err != nil {
		w.Fatal(err)
	}
	return obj
}

// wants compares what was asked since the last time.
func (w *world) wants(want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, w.asked); diff != "" {
		w.Errorf("asked (-want +got):\n%s", diff)
	}
	w.asked = nil
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func TestPatcherSendsNothingForNoChange(t *testing.T) {
	w := newWorld(t)
	p := w.store.Patcher(w.get())
	w.must(p.Status(t.Context()))
	w.must(p.Metadata(t.Context()))
	w.wants("cache")
}

func TestPatcherSendsEachChangeOnce(t *testing.T) {
	w := newWorld(t)
	obj := w.get()
	before := obj.ResourceVersion
	p := w.store.Patcher(obj)
	obj.Status.ObservedGeneration = 7
	w.must(p.Status(t.Context()))
	w.must(p.Status(t.Context()))
	w.wants("cache", `status patch by weir {"status":{"observedGeneration":7}}`)
	if obj.ResourceVersion == before {
		t.Error("the object still has the resource version from before")
	}
}

func TestMetadataLeavesTheStatusPending(t *testing.T) {
	w := newWorld(t)
	obj := w.get()
	p := w.store.Patcher(obj)
	obj.Status.ObservedGeneration = 7
	obj.Finalizers = []string{"weir.dev/x"}
	obj.Spec.URL = "https://not-ours.example"
	w.must(p.Metadata(t.Context()))
	w.wants("cache", `patch by weir {"metadata":{"finalizers":["weir.dev/x"]}}`)
	if obj.Status.ObservedGeneration != 7 {
		t.Error("the response has overwritten the status")
	}
	live := &sourcev1.GitRepository{}
	w.must(w.server.Get(t.Context(), key, live))
	if live.Status.ObservedGeneration != 0 || len(live.Finalizers) != 1 {
		t.Errorf("on the server: observed generation %d and finalizers %v, want none and one", live.Status.ObservedGeneration, live.Finalizers)
	}
	obj.Spec.URL = ""
	w.must(p.Status(t.Context()))
	w.wants(`status patch by weir {"status":{"observedGeneration":7}}`)
}

func TestStatusLeavesTheMetadataPending(t *testing.T) {
	w := newWorld(t)
	obj := w.get()
	p := w.store.Patcher(obj)
	obj.Status.ObservedGeneration = 7
	obj.Finalizers = []string{"weir.dev/x"}
	w.must(p.Status(t.Context()))
	w.must(p.Metadata(t.Context()))
	w.wants("cache", `status patch by weir {"status":{"observedGeneration":7}}`, `patch by weir {"metadata":{"finalizers":["weir.dev/x"]}}`)
}

func TestFailedPatchIsSentAgain(t *testing.T) {
	w := newWorld(t)
	obj := w.get()
	p := w.store.Patcher(obj)
	obj.Status.ObservedGeneration = 7
	w.fail = errors.New("down")
	if err := p.Status(t.Context()); !errors.Is(err, w.fail) {
		t.Errorf("error %v, want that of the server", err)
	}
	w.fail = nil
	w.must(p.Status(t.Context()))
	const patch = `status patch by weir {"status":{"observedGeneration":7}}`
	w.wants("cache", patch, patch)
}

func TestPatchOfWhatIsGone(t *testing.T) {
	w := newWorld(t)
	obj := w.get()
	p := w.store.Patcher(obj)
	obj.Status.ObservedGeneration = 7
	w.must(w.server.Delete(t.Context(), obj.DeepCopy()))
	w.must(p.Status(t.Context()))
	if err := w.store.Get(t.Context(), key, obj); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want that it is not found", err)
	}
}

func TestGetReadsLiveOnlyWhenTheCacheIsBehind(t *testing.T) {
	w := newWorld(t)
	w.stale = w.get()
	w.get()
	w.wants("cache", "cache")

	obj := w.get()
	p := w.store.Patcher(obj)
	obj.Status.ObservedGeneration = 7
	w.must(p.Status(t.Context()))
	w.asked = nil

	if got := w.get(); got.Status.ObservedGeneration != 7 {
		t.Errorf("observed generation %d, want the 7 that was written", got.Status.ObservedGeneration)
	}
	w.wants("cache", "live")

	w.stale = nil
	w.get()
	w.wants("cache")

	newer := w.get()
	newer.Spec.URL = "https://else.example"
	w.must(w.server.Update(t.Context(), newer))
	w.asked = nil
	if got := w.get(); got.Spec.URL != "https://else.example" {
		t.Error("the cache is ahead of what was written, and was not believed")
	}
	w.wants("cache")
}

// A server restored from a backup shows versions older than what was written.
// Once that is known, its own word is the truth.
func TestGetAfterARestore(t *testing.T) {
	w := newWorld(t)
	w.store.written["u"] = "1000000"
	w.get()
	w.wants("cache", "live")
	w.get()
	w.wants("cache")
}

func TestVersionsThatDoNotCompareCountAsOlder(t *testing.T) {
	w := newWorld(t)
	w.store.written["u"] = "abc"
	w.get()
	w.wants("cache", "live")
}

func TestForget(t *testing.T) {
	w := newWorld(t)
	w.store.written["u"] = "1000000"
	w.store.Forget("u")
	w.get()
	w.wants("cache")
}
