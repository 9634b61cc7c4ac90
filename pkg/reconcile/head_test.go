// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const finalizer = "weir.example/finalizer"

// unmeasured takes the place of the metrics.
type unmeasured struct{}

func (unmeasured) RecordDuration(context.Context, conditions.Getter, time.Time) {}

// life is what Head made of an object.
type life struct {
	*world
	deleted, ran, requested, leaving bool
	fail                             error
}

func (l *life) reconcile() error {
	l.Helper()
	l.deleted, l.ran, l.requested = false, false, false
	obj := &sourcev1.GitRepository{}
	_, err := Head{Store: l.store, Finalizer: finalizer, Metrics: unmeasured{}, Leaving: func() bool { return l.leaving }}.Reconcile(
		l.Context(), ctrl.Request{NamespacedName: key}, Subject{
			Object: obj, Request: &obj.Status.ReconcileRequestStatus, Suspended: func() bool { return obj.Spec.Suspend },
			Delete: func(context.Context, *Patcher) error { l.deleted = true; return l.fail },
			Run: func(_ context.Context, _ *Patcher, requested bool) (ctrl.Result, error) {
				l.ran, l.requested = true, requested
				conditions.MarkTrue(obj, fluxmeta.ReadyCondition, "Ran", "it ran")
				return ctrl.Result{}, l.fail
			},
		})
	return err
}

func (l *life) object() *sourcev1.GitRepository {
	l.Helper()
	obj := &sourcev1.GitRepository{}
	if err := l.server.Get(l.Context(), key, obj); err != nil {
		l.Fatal(err)
	}
	return obj
}

func (l *life) edit(change func(*sourcev1.GitRepository)) {
	l.Helper()
	obj := l.object()
	change(obj)
	if err := l.server.Update(l.Context(), obj); err != nil {
		l.Fatal(err)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	l := &life{world: newWorld(t), fail: errors.New("failed")}
	l.leaving = true
	if err := l.reconcile(); err != nil || l.ran || len(l.object().Finalizers) > 0 {
		t.Errorf("while leaving: %v, %+v", err, l.object())
	}
	l.leaving = false
	if err := l.reconcile(); !errors.Is(err, l.fail) || !l.ran || l.requested {
		t.Errorf("first: %v, %+v", err, l)
	}
	obj := l.object()
	if diff := cmp.Diff([]string{finalizer}, obj.Finalizers); diff != "" || !conditions.IsReady(obj) {
		t.Errorf("after a failure: %s, %+v", diff, obj.Status)
	}
	l.edit(func(g *sourcev1.GitRepository) {
		g.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "now"}
	})
	l.fail = nil
	if err := l.reconcile(); err != nil || !l.requested || l.object().Status.LastHandledReconcileAt != "now" {
		t.Errorf("requested: %v, %+v", err, l)
	}
	if err := l.reconcile(); err != nil || !l.ran || l.requested {
		t.Errorf("after the request: %v, %+v", err, l)
	}
	l.edit(func(g *sourcev1.GitRepository) {
		g.Spec.Suspend, g.Annotations[fluxmeta.ReconcileRequestAnnotation] = true, "later"
	})
	if err := l.reconcile(); err != nil || l.ran || l.object().Status.LastHandledReconcileAt != "later" {
		t.Errorf("suspended: %v, %+v", err, l)
	}

	l.fail = errors.New("not yet")
	if err := l.server.Delete(l.Context(), l.object()); err != nil {
		t.Fatal(err)
	}
	if err := l.reconcile(); !errors.Is(err, l.fail) || !l.deleted || l.ran || len(l.object().Finalizers) != 1 {
		t.Errorf("a deletion that fails: %v, %+v", err, l)
	}
	l.fail = Progress(time.Second, "Progressing", errors.New("not gone yet"))
	if err := l.reconcile(); err != nil || !l.deleted || len(l.object().Finalizers) != 1 {
		t.Errorf("while it is being deleted: %v, %+v", err, l)
	}
	l.fail = nil
	if err := l.reconcile(); err != nil || !l.deleted {
		t.Errorf("deleted: %v, %+v", err, l)
	}
	if err := client.IgnoreNotFound(l.reconcile()); err != nil || l.deleted || l.ran {
		t.Errorf("gone: %v, %+v", err, l)
	}
}

func TestAnnounceAndBackground(t *testing.T) {
	t.Parallel()
	progress := Progress(0, fluxmeta.ProgressingReason, errors.New("working"))
	tests := map[string]struct {
		before              error
		observed            int64
		requested           bool
		announced, unmarked bool
		ready               string
	}{
		"poll":                         {nil, 3, false, false, true, "True"},
		"request":                      {nil, 3, true, true, false, "True"},
		"another generation":           {nil, 2, false, true, false, "True"},
		"again after a failure":        {Fail("A", errors.New("x")), 2, false, false, true, "False"},
		"request after a failure":      {Fail("A", errors.New("x")), 2, true, true, false, "Unknown"},
		"again while work is shown":    {progress, 3, false, false, false, "Unknown"},
		"another generation meanwhile": {progress, 2, false, true, false, "Unknown"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(3)
			_, _ = s.finish(tc.before, retryAfter)
			if got := Announce(s.GitRepository, tc.observed, tc.requested); got != tc.announced {
				t.Errorf("announced %t, want %t", got, tc.announced)
			}
			if got := InBackground(s.GitRepository, progress); got != tc.unmarked {
				t.Errorf("in the background %t, want %t", got, tc.unmarked)
			}
			if got := string(conditions.Get(s.GitRepository, fluxmeta.ReadyCondition).Status); got != tc.ready {
				t.Errorf("Ready %s, want %s", got, tc.ready)
			}
			if InBackground(s.GitRepository, nil) || InBackground(s.GitRepository, Fail("A", errors.New("x"))) {
				t.Error("an end counts as work in the background")
			}
		})
	}
}

func TestWaker(t *testing.T) {
	t.Parallel()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[ctrl.Request]())
	defer queue.ShutDown()
	w := &Waker{}
	name := types.NamespacedName{Namespace: "a", Name: "b"}
	w.Wake(name) // nobody is there yet
	w.Go(name, func(context.Context) { t.Error("work began before the controller") })

	ctx, cancel := context.WithCancel(t.Context())
	if err := w.Source().Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	w.Wake(name)
	if got, _ := queue.Get(); got.NamespacedName != name {
		t.Errorf("woke %v", got)
	}
	queue.Done(ctrl.Request{NamespacedName: name})
	ended := false
	w.Go(name, func(ctx context.Context) {
		<-ctx.Done()
		ended = true
	})
	cancel()
	if got, _ := queue.Get(); got.NamespacedName != name || !ended {
		t.Errorf("woke %v, and the work had ended: %t", got, ended)
	}
}
