// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"sync"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gitops/weir/pkg/watch"
)

// read reads a ConfigMap. What cannot be read is as if it were not there: the
// applier writes its request anew, and the leader its verdict.
func read(obj *unstructured.Unstructured) Posted {
	data, _, _ := unstructured.NestedStringMap(obj.Object, "data")
	return Parse(data)
}

// verdicts keeps the last verdict of each request, and tells of others.
type verdicts struct {
	kind string
	wake func(types.NamespacedName)

	mu    sync.Mutex
	known map[string]posted
	// expected are the requests whose verdict somebody waits for.
	expected map[string]*expectation
	filled   bool
	// changed is closed, and made anew, when any verdict is another one.
	changed chan struct{}
}

// expectation is that of those who wait for a verdict.
type expectation struct {
	waiting int
	// missed: one came that has woken nobody.
	missed bool
}

// posted is a request as the watch has seen it.
type posted struct {
	kind    string
	owner   types.NamespacedName
	hash    string
	verdict Verdict
	// text is the verdict as it was written.
	text string
}

var _ cache.ReflectorStore = (*verdicts)(nil)

func newVerdicts(kind string, wake func(types.NamespacedName)) *verdicts {
	return &verdicts{kind: kind, wake: wake, known: map[string]posted{}, expected: map[string]*expectation{}, changed: make(chan struct{})}
}

// expect has a verdict wake nobody until the function is called. That takes what
// the caller goes by: if another verdict came meanwhile, the owner is woken after
// all, since no event will do it.
func (v *verdicts) expect(owner types.UID) (done func(told Verdict)) {
	name := Name(owner)
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.expected[name]
	if e == nil {
		e = &expectation{}
		v.expected[name] = e
	}
	e.waiting++
	return func(told Verdict) {
		v.mu.Lock()
		if e.waiting--; e.waiting == 0 {
			delete(v.expected, name)
		}
		p, known := v.known[name]
		late := e.waiting == 0 && e.missed && known && p.kind == v.kind && p.verdict.Hash == p.hash && !same(p.verdict, told)
		v.mu.Unlock()
		if late {
			v.wake(p.owner)
		}
	}
}

// follow watches the requests until ctx ends.
func (v *verdicts) follow(ctx context.Context, requests dynamic.ResourceInterface, log logr.Logger) {
	selector := Label + "=" + LabelValue
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			return requests.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			options.LabelSelector = selector
			return requests.Watch(ctx, options)
		},
	}
	reflector := cache.NewReflectorWithOptions(watch.Persistent(source), &unstructured.Unstructured{}, v, cache.ReflectorOptions{
		Name: "gpu-requests", TypeDescription: "gpu-requests", Logger: &log, Backoff: watch.Backoff(),
	})
	go reflector.RunWithContext(ctx)
}

// of returns the verdict about an owner, and a channel that is closed when any
// verdict changes after that.
func (v *verdicts) of(owner types.UID) (Verdict, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[Name(owner)].verdict, v.changed
}

// granted reports whether an owner has a request, and whether that was granted.
func (v *verdicts) granted(owner types.UID) (known, granted bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, known := v.known[Name(owner)]
	return known, known && p.verdict.Hash == p.hash && p.verdict.Answer == Granted
}

// complete reports whether all requests of the cluster are known.
func (v *verdicts) complete() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.filled
}

func (v *verdicts) drop(owner types.UID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, Name(owner))
}

// Add implements cache.ReflectorStore.
func (v *verdicts) Add(obj any) error { return v.Update(obj) }

// Update implements cache.ReflectorStore.
func (v *verdicts) Update(obj any) error {
	if live, ok := obj.(*unstructured.Unstructured); ok {
		v.put(live)
	}
	return nil
}

// Delete implements cache.ReflectorStore. That a request is gone wakes its owner
// too: a leader removes what it has no use for, and who waits has to ask again.
func (v *verdicts) Delete(obj any) error {
	live, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	v.gone(live.GetName())
	return nil
}

// gone forgets a request, and wakes who waits for its verdict.
func (v *verdicts) gone(name string) {
	v.mu.Lock()
	gone, known := v.known[name]
	delete(v.known, name)
	v.mu.Unlock()
	if known && gone.kind == v.kind && gone.verdict.Answer != Granted {
		v.wake(gone.owner)
	}
}

// Replace implements cache.ReflectorStore.
func (v *verdicts) Replace(list []any, _ string) error {
	stay := make(map[string]struct{}, len(list))
	for _, listed := range list {
		if live, ok := listed.(*unstructured.Unstructured); ok {
			stay[live.GetName()] = struct{}{}
			v.put(live)
		}
	}
	v.mu.Lock()
	var gone []string
	for name := range v.known {
		if _, still := stay[name]; !still {
			gone = append(gone, name)
		}
	}
	v.filled = true
	v.mu.Unlock()
	for _, name := range gone {
		v.gone(name)
	}
	return nil
}

// Resync implements cache.ReflectorStore; what is kept needs none.
func (v *verdicts) Resync() error { return nil }

func (v *verdicts) put(live *unstructured.Unstructured) {
	f := read(live)
	text, _, _ := unstructured.NestedString(live.Object, "data", VerdictKey)
	after := posted{
		kind: f.Request.Kind, owner: types.NamespacedName{Namespace: f.Request.Namespace, Name: f.Request.Name},
		hash: f.Hash, verdict: f.Verdict, text: text,
	}
	v.mu.Lock()
	before := v.known[live.GetName()]
	v.known[live.GetName()] = after
	news := before.text != after.text && after.verdict.Hash == after.hash
	if news {
		close(v.changed)
		v.changed = make(chan struct{})
	}
	expected := v.expected[live.GetName()]
	if news && expected != nil {
		expected.missed = true
	}
	wakes := news && after.kind == v.kind && expected == nil
	v.mu.Unlock()
	if wakes {
		v.wake(after.owner)
	}
}
