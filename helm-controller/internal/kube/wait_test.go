// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// unschedulable asks for more GPUs than the cluster has.
const unschedulable = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: greedy}
spec:
  selector: {matchLabels: {app: greedy}}
  template:
    metadata: {labels: {app: greedy}}
    spec:
      containers:
      - name: c
        image: registry.example.com/greedy:1
        resources: {limits: {nvidia.com/gpu: 99}}
`

const shortWait = 3 * time.Second

func TestWaitTimesOut(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"followed by the shared watch": func(*Options) {},
		"read by itself":               func(o *Options) { o.ServerSide = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			objects := r.create(r.action(), unschedulable)
			idle, resumed := 0, 0
			err := r.action(change, func(o *Options) {
				o.Idle = func() func() { idle++; return func() { resumed++ } }
			}).WaitReady(objects, true, shortWait)
			r.wantText(err, "timeout waiting for objects to be ready: [Deployment/$NS/greedy status: 'InProgress':", "FailedScheduling", "Insufficient nvidia.com/gpu")
			failure, ok := errors.AsType[*WaitError](err)
			if !ok || !failure.Timeout || len(failure.Ailing) != 1 {
				t.Errorf("the error is %#v", err)
			}
			if idle != 1 || resumed != 1 {
				t.Errorf("told %d times that it is idle, and %d times that it goes on", idle, resumed)
			}
		})
	}
}

func TestWaitFailsFast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	checks, err := health.Compile("spec.healthCheckExprs", []meta.CustomHealthCheck{
		{APIVersion: "v1", Kind: "ConfigMap", Current: "data.state == 'good'", Failed: "data.state == 'bad'"},
	})
	r.must(err)
	c := r.action(func(o *Options) { o.Checks = checks })
	objects := r.create(c, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {state: unclear}}\n---\n"+unschedulable)
	done := make(chan error, 1)
	go func() { done <- c.WaitReady(objects, true, deadline) }()
	r.kubectl("operator", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {state: bad}}")
	r.wantText(<-done, "waiting for objects to be ready failed: [ConfigMap/$NS/a status: 'Failed'")
	r.kubectl("operator", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {state: good}}")
	r.eventually("what has recovered is ready", func() bool { return c.WaitReady(objects[:1], true, deadline) == nil })
}

// A Job that waits for its turn has no time to lose: the timeout counts from when
// it leaves the queue.
func TestWaitForTheQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	objects := r.create(c, `
apiVersion: batch/v1
kind: Job
metadata: {name: train, labels: {kueue.x-k8s.io/queue-name: gpus}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: "registry.example.com/train:1", resources: {limits: {nvidia.com/gpu: 99}}}]
`)
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- c.WaitReady(objects, true, shortWait) }()
	queued := 2 * shortWait
	select {
	case err := <-done:
		t.Fatalf("the wait ended while the Job was in its queue: %v", err)
	case <-time.After(queued):
	}
	r.kubectl("kueue", "{apiVersion: batch/v1, kind: Job, metadata: {name: train, namespace: $NS}, spec: {suspend: false}}")
	r.wantText(<-done, "timeout waiting for objects to be ready: [Job/$NS/train", "Insufficient nvidia.com/gpu")
	if took := time.Since(begun); took < queued+shortWait/2 {
		t.Errorf("the timeout was over after %s, of which %s in the queue", took, queued)
	}
}

func TestWaitEndsWithTheAction(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"followed by the shared watch": func(*Options) {},
		"read by itself":               func(o *Options) { o.ServerSide = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			objects := r.create(r.action(), unschedulable)
			ctx, cancel := context.WithCancelCause(t.Context())
			c := r.actionIn(ctx, change)
			done := make(chan error, 1)
			go func() { done <- c.WaitReady(objects, true, deadline) }()
			cancel(errors.New("new values have come"))
			r.wantText(<-done, "the wait for objects to be ready was ended: new values have come")
			r.sent()
			_, err := c.Create(objects, true)
			r.wantText(err, "new values have come")
			_, err = c.Delete(objects, "Background")
			r.wantText(err, "new values have come")
			r.wantText(c.WaitGone(objects, deadline), "new values have come")
			if sent := r.sent(); len(sent) > 0 {
				t.Errorf("requests after the end: %q", sent)
			}
		})
	}
}

func jobNamed(name, more string) string {
	return `
apiVersion: batch/v1
kind: Job
metadata: {name: ` + name + `, annotations: {` + more + `}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "registry.example.com/i:1"}]}}}
`
}

func TestJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	stuck := strings.Replace(jobNamed("stuck", ""), `image: "registry.example.com/i:1"`, `image: "i:1", resources: {limits: {nvidia.com/gpu: 99}}`, 1)
	objects := r.create(c, stuck)
	r.must(c.WaitReady(objects, false, deadline))
	r.wantText(c.WaitReady(objects, true, shortWait), "timeout waiting for objects to be ready: [Job/$NS/stuck status: 'InProgress'", "FailedScheduling")
	objects = r.create(c, jobNamed("quick", ""))
	r.must(c.WaitReady(objects, true, deadline))
}

func TestHooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	objects := r.create(c, jobNamed("migrate", "helm.sh/hook: pre-upgrade")+"---"+`
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {helm.sh/hook: pre-upgrade}}
---
apiVersion: v1
kind: Pod
metadata: {name: check, annotations: {helm.sh/hook: pre-upgrade}}
spec: {restartPolicy: Never, containers: [{name: c, image: "i:1"}], nodeSelector: {nowhere: "true"}}
`)
	r.must(c.WaitHook(objects[:2], deadline))
	// No node has the pod: what it comes to is up to this test.
	_, err := r.resource(objects[2]).Patch(t.Context(), "check", types.MergePatchType,
		[]byte(`{"status": {"phase": "Failed", "message": "exit code 3"}}`), metav1.PatchOptions{}, "status")
	r.must(err)
	r.wantText(c.WaitHook(objects[2:], deadline), "waiting for objects of the hook to complete failed: [Pod/$NS/check status: 'Failed': exit code 3")
	if c.set.Member(inventory.Ref{Namespace: r.ns, Name: "hook", Kind: "ConfigMap"}) {
		t.Error("a hook is followed for drift")
	}
}

func TestWaitGoneNamesFinalizers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	objects := r.create(c, `{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.com/hold]}}`)
	_, err := c.Delete(objects, "Background")
	r.must(err)
	r.wantText(c.WaitGone(objects, shortWait), `timeout waiting for objects to be gone: [ConfigMap/$NS/held status: 'Terminating': it is held by the finalizers "example.com/hold"]`)
	done := make(chan error, 1)
	go func() { done <- c.WaitGone(objects, deadline) }()
	r.kubectl("operator", "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, namespace: $NS, finalizers: null}}")
	r.must(<-done)
}

// Kinds that may not be watched are read as the tenant, and that is said.
func TestForbiddenWatches(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("system:serviceaccount:" + r.ns + ":nobody")
	c := r.action()
	objects := r.create(c, fourObjects)
	r.must(c.WaitReady(objects, true, deadline))
	if got := c.Unwatched(); !slices.Contains(got, "Deployment.apps") {
		t.Errorf("unwatched kinds: %q", got)
	}
	r.mu.Lock()
	logged := strings.Join(r.logged, "\n")
	r.mu.Unlock()
	if !strings.Contains(logged, "may not be watched") {
		t.Errorf("nothing said: %s", logged)
	}
	r.wantText(c.WaitReady(r.create(c, unschedulable), true, shortWait), "FailedScheduling")
}

// A tenant that may read its hooks and not watch them waits all the same.
func TestHookThatMayNotBeWatched(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.kubectl("create", `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: modest, namespace: $NS}
rules: [{apiGroups: [batch], resources: [jobs], verbs: [get, create, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: modest, namespace: $NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: modest}
subjects: [{kind: ServiceAccount, name: modest, namespace: $NS}]`)
	r.tenant = "system:serviceaccount:" + r.ns + ":modest"
	r.start("")
	c := r.action()
	objects := r.members(jobNamed("migrate", "helm.sh/hook: pre-upgrade"))
	r.eventually("the tenant has its rights", func() bool { _, err := c.Create(objects, true); return err == nil })
	r.must(c.WaitHook(objects, deadline))
	if diff := cmp.Diff([]string{"Job.batch"}, c.Unwatched()); diff != "" {
		t.Errorf("unwatched (-want +got):\n%s", diff)
	}
}

// An object that loses the owner's labels is not seen by the shared watch.
func TestWaitForObjectWithoutLabels(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	checks, err := health.Compile("spec.healthCheckExprs", []meta.CustomHealthCheck{{APIVersion: "v1", Kind: "ConfigMap", Current: "data.state == 'good'"}})
	r.must(err)
	c := r.action(func(o *Options) { o.Checks = checks })
	objects := r.create(c, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {state: new}}`)
	r.kubectl("stripper", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS, labels: {helm.toolkit.fluxcd.io/name: null}}}`)
	done := make(chan error, 1)
	go func() { done <- c.WaitReady(objects, true, deadline) }()
	r.kubectl("operator", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {state: good}}`)
	r.must(<-done)
}

// An object that somebody changes at once does not keep a wait from its end.
func TestWaitForObjectsThatOthersChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.action()
	objects := r.create(c, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {ca: ""}}`)
	r.kubectl("injector", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {ca: injected}}`)
	r.must(c.WaitReady(objects, true, deadline))
	r.kubectl("delete", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}}`)
	r.eventually("a wait says that it is gone", func() bool {
		err := c.WaitReady(objects, true, shortWait)
		return err != nil && strings.Contains(err.Error(), "/a status: 'NotFound': not in the cluster")
	})
}

func TestLenient(t *testing.T) {
	t.Parallel()
	object := func(version, kind string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": kind, "spec": spec}}
	}
	plain, ttl := object("batch/v1", "Job", nil), object("batch/v1", "Job", map[string]any{"ttlSecondsAfterFinished": int64(1)})
	web := object("apps/v1", "Deployment", nil)
	for name, tc := range map[string]struct {
		obj    *unstructured.Unstructured
		status health.Status
		jobs   bool
		want   health.Status
	}{
		"a job under way, not waited for":   {plain, health.InProgress, false, health.Current},
		"a job in a queue, not waited for":  {plain, health.Queued, false, health.Current},
		"a job under way":                   {plain, health.InProgress, true, health.InProgress},
		"a failed job, not waited for":      {plain, health.Failed, false, health.Failed},
		"a job that removed itself":         {ttl, health.NotFound, true, health.Current},
		"a job that somebody removed":       {plain, health.NotFound, true, health.NotFound},
		"a Deployment under way":            {web, health.InProgress, false, health.InProgress},
		"a Deployment that is well already": {web, health.Current, false, health.Current},
	} {
		if got := lenient(tc.obj, health.Result{Status: tc.status}, tc.jobs); got.Status != tc.want {
			t.Errorf("%s: %s, want %s", name, got.Status, tc.want)
		}
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var l look
	for name, result := range map[string]health.Result{
		"well": {Status: health.Current}, "on its way": {Status: health.InProgress}, "failed": {Status: health.Failed},
		"failed for now": {Status: health.Failed, FailedAt: 1030}, "failed for good": {Status: health.Failed, FailedAt: 990},
	} {
		l.add(apply.Ailing{Ref: inventory.Ref{Name: name}, Health: result}, now)
	}
	names := func(ailing []apply.Ailing) (out []string) {
		for _, a := range ailing {
			out = append(out, a.Ref.Name)
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff([]string{"failed", "failed for good"}, names(l.failed)); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"failed for now", "on its way"}, names(l.pending)); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	if l.again != 30*time.Second {
		t.Errorf("looks again after %s", l.again)
	}
}
