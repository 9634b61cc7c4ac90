// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/hack/chaos/judge"
)

// rightPatience is how long it may take until all is right again. After that the
// loss is counted as it is then.
const rightPatience = 5 * time.Minute

// errNotRight is wrapped by what is lost because patience has ended. Any other
// error says that there was no proper disturbance.
var errNotRight = fmt.Errorf("it did not become right within %s", rightPatience)

// An arena is a ground under load, with everybody who watches it.
type arena struct {
	ground ground
	load   *load
	crowd  *crowd
	client dynamic.Interface
	out    io.Writer

	apps, releases, models *observer
	// working is why the load has ended before its time, if it has; end ends it.
	working, end func() error
	// undo is what remains to be done after a scenario, the last first.
	undo []func(context.Context) error
}

// afterwards has something done when a scenario is over.
func (a *arena) afterwards(do func(context.Context) error) { a.undo = append(a.undo, do) }

// tidy does what remains to be done after a scenario.
func (a *arena) tidy(ctx context.Context) error {
	var errs []error
	for _, undo := range slices.Backward(a.undo) {
		errs = append(errs, undo(ctx))
	}
	a.undo = nil
	return errors.Join(errs...)
}

// enter puts the load on a ground and returns when the cluster is as Git says.
func enter(ctx context.Context, g ground, out io.Writer) (_ *arena, err error) {
	a := &arena{ground: g, out: out, end: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.leave())
		}
	}()
	if a.client, err = dynamic.NewForConfig(g.cluster().Config()); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	if err := a.createNamespaces(ctx); err != nil {
		return nil, err
	}
	if a.load, err = newLoad(ctx, g.host(), filepath.Join(g.dir(), "load")); err != nil {
		return nil, err
	}
	if err := a.connect(ctx); err != nil {
		return nil, err
	}
	a.crowd = &crowd{client: a.client}
	if err := a.watch(ctx); err != nil {
		return nil, err
	}
	if _, err := a.untilRight(ctx, time.Now()); err != nil {
		return nil, fmt.Errorf("before anything was disturbed: %w", err)
	}
	loadCtx, stop := context.WithCancel(ctx)
	group, loadCtx := errgroup.WithContext(loadCtx)
	group.Go(func() error { return a.load.run(loadCtx) })
	group.Go(func() error {
		a.crowd.run(loadCtx)
		return nil
	})
	a.working = func() error { return context.Cause(loadCtx) }
	a.end = func() error {
		stop()
		return group.Wait()
	}
	return a, nil
}

// leave ends the load and the watches.
func (a *arena) leave() error {
	err := a.end()
	a.unwatch()
	if a.load != nil {
		a.load.close()
	}
	return err
}

func (a *arena) createNamespaces(ctx context.Context) error {
	for _, name := range []string{ties, apps, releases, models, gpus} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
		u.SetName(name)
		if name == gpus {
			u.SetLabels(map[string]string{"quota.weir.dev/team": "chaos"})
		}
		if _, err := a.client.Resource(namespaces).Create(ctx, u, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create the namespace %s: %w", name, err)
		}
	}
	return nil
}

// connect creates what ties the load to the cluster.
func (a *arena) connect(ctx context.Context) error {
	list, err := parse(a.load.tie())
	if err != nil {
		return err
	}
	c, err := client.New(a.ground.cluster().Config(), client.Options{})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	for _, u := range list {
		if err := c.Create(ctx, u); err != nil {
			return fmt.Errorf("create %s: %w", refOf(u), err)
		}
	}
	return nil
}

// watch begins to write down what becomes of the load's objects. What was written
// down before is forgotten, but for which Jobs have completed.
func (a *arena) watch(ctx context.Context) error {
	finished := map[judge.Ref]bool{}
	if a.apps != nil {
		finished = a.apps.done()
	}
	a.unwatch()
	var err error
	if a.apps, err = observe(ctx, a.client, appKinds(), finished); err != nil {
		return err
	}
	if a.releases, err = observe(ctx, a.client, releaseKinds(), nil); err != nil {
		return err
	}
	a.models, err = observe(ctx, a.client, modelKinds(), nil)
	return err
}

func (a *arena) unwatch() {
	for _, o := range []*observer{a.apps, a.releases, a.models} {
		if o != nil {
			o.close()
		}
	}
}

// done are the Jobs that have completed so far.
func (o *observer) done() map[judge.Ref]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	done := maps.Clone(o.finished)
	for _, s := range o.sightings {
		if s.Done {
			done[s.Ref] = true
		}
	}
	return done
}

// right returns nil if all is as it should be: the cluster as in Git, Git as in
// the registry, and somebody decides about GPUs.
func (a *arena) right(ctx context.Context) error {
	commits, versions := a.load.history()
	if err := a.apps.right(ctx, commits); err != nil {
		return err
	}
	if err := a.releases.right(ctx, versions); err != nil {
		return err
	}
	set, _, err := a.load.modelCommits(ctx)
	if err != nil {
		return err
	}
	_, _, published := a.load.heads()
	if got := set[len(set)-1].Number; got != published {
		return fmt.Errorf("model %d was published, and %d is in Git", published, got)
	}
	if err := a.models.right(ctx, set); err != nil {
		return err
	}
	return a.crowd.answers(ctx)
}

// untilRight returns the time from a moment until all is right.
func (a *arena) untilRight(ctx context.Context, from time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, rightPatience, errNotRight)
	defer cancel()
	err := await(ctx, a.right)
	return time.Since(from), err
}

// lookEvery is how often the cluster is looked at, and so how exact the times
// are. More often, and looking would be a load of its own.
const lookEvery = 250 * time.Millisecond

// await repeats check until it returns nil. If ctx ends before, the error is the
// last one of check, and why ctx ended.
func await(ctx context.Context, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ended := pause(ctx, lookEvery); ended != nil {
			return errors.Join(err, ended)
		}
	}
}

// caughtUp returns nil if the cluster has reached a commit, a version of the
// release and a model, or later ones.
func (a *arena) caughtUp(commit, version, published int) error {
	for _, part := range []struct {
		what string
		at   int
		want int
	}{
		{"the apps", a.apps.reached(), commit}, {"the release", a.releases.reached(), version}, {"the model", a.models.reached(), published},
	} {
		if part.at < part.want {
			return fmt.Errorf("%s are at %d, not at %d", part.what, part.at, part.want)
		}
	}
	return nil
}

// losses judges everything that was seen since watch.
func (a *arena) losses(ctx context.Context, looksBefore int) ([]string, error) {
	commits, versions := a.load.history()
	modelCommits, set, err := a.load.modelCommits(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, part := range []struct {
		seen    *observer
		commits []judge.Commit
	}{{a.apps, commits}, {a.releases, versions}, {a.models, modelCommits}} {
		e, err := part.seen.evidence(ctx, part.commits)
		if err != nil {
			return nil, err
		}
		all = append(all, judge.Losses(e)...)
	}
	_, _, published := a.load.heads()
	all = append(all, judge.Automation(set, published)...)
	charged, _, _, _ := a.crowd.peek()
	return append(all, judge.Quota(charged[looksBefore:], gpuLimit)...), nil
}
