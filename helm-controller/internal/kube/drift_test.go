// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/exemption"
)

const drifting = `
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {key: chart, ignored: chart}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: chart}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: left, annotations: {helm.toolkit.fluxcd.io/driftDetection: disabled}}
data: {key: chart}
---
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: test}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "i:1"}]}}}
`

// keeper is a controller that keeps one release.
type keeper struct {
	*rig
	drift   Drift
	options DriftOptions
}

func newKeeper(t *testing.T, r *rig, docs string, mode meta.DriftMode) *keeper {
	t.Helper()
	ignore, err := exemption.Compile([]exemption.Rule{{Paths: []string{"/data/ignored"}}})
	r.must(err)
	o := r.options()
	return &keeper{rig: r, options: DriftOptions{
		Engine: r.engine, Client: r.client, Owner: o.Owner, UID: o.UID, Mode: mode, Ignore: ignore,
		Released: Released{Name: "app", Namespace: r.ns, Version: 1, Manifest: r.manifest(docs)},
	}}
}

func (k *keeper) look() Drifted {
	k.Helper()
	out, err := k.drift.Look(k.Context(), k.options)
	k.must(err)
	return out
}

// serve looks whenever it is woken, until the condition holds, and returns what
// was corrected.
func (k *keeper) serve(what string, done func(Drifted) bool) (all []apply.Correction) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		found := k.look()
		all = append(all, found.Corrected...)
		if done(found) {
			return all
		}
		select {
		case <-k.woken:
		case <-tick.C:
		case <-ctx.Done():
			k.Fatalf("not within %s: %s", deadline, what)
		}
	}
}

func (k *keeper) settled() {
	k.Helper()
	k.serve("there is no drift", func(d Drifted) bool { return len(d.Corrected)+len(d.Found) == 0 && !k.drifts() })
}

func (k *keeper) drifts() bool {
	refs, err := k.engine.Drifted(k.Context(), k.engine.Set(k.options.Owner, k.options.UID), k.client)
	return err != nil || len(refs) > 0
}

func TestDriftIsCorrected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	objects := r.members(drifting)
	c := r.action()
	_, err := c.Create(objects[:3], true)
	r.must(err)
	r.must(c.WaitReady(objects[:3], true, deadline))
	k := newKeeper(t, r, drifting, meta.DriftEnabled)
	k.settled()
	r.sent()

	changed := time.Now()
	r.kubectl("kubectl-edit", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: by hand, more: by hand}}")
	corrected := k.serve("the change is put back", func(Drifted) bool { return r.field("a", "key") == "chart" })
	t.Logf("put back after %s", time.Since(changed))
	if len(corrected) != 1 || corrected[0].Created || corrected[0].Ref.Name != "a" {
		t.Errorf("corrected %v", corrected)
	}
	if got := r.field("a", "more"); got != "by hand" {
		t.Errorf("what is not the release's was changed to %q", got)
	}
	r.wantRequests(r.sent(), "GET /api/v1/namespaces/$NS/configmaps/a", "PATCH /api/v1/namespaces/$NS/configmaps/a")

	r.kubectl("delete", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}}")
	corrected = k.serve("what was deleted is there", func(Drifted) bool { return r.field("a", "key") == "chart" })
	if len(corrected) != 1 || !corrected[0].Created {
		t.Errorf("corrected %v", corrected)
	}
	r.kubectl("kubectl-edit", "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: $NS}, data: {password: aGFuZA==}}")
	k.serve("the Secret is put back", func(Drifted) bool {
		password, _, _ := unstructured.NestedString(r.live("v1", "Secret", "s").Object, "data", "password")
		return password == "Y2hhcnQ="
	})

	// What is ignored, excluded, or a hook stays as it is.
	r.kubectl("kubectl-edit", `
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {ignored: by hand}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: left, namespace: $NS}, data: {key: by hand}}`)
	r.kubectl("kubectl-edit", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: by hand}}")
	k.serve("the change is put back", func(Drifted) bool { return r.field("a", "key") == "chart" })
	k.settled()
	if got := r.field("a", "ignored"); got != "by hand" {
		t.Errorf("the ignored path is %q", got)
	}
	if got := r.field("left", "key"); got != "by hand" {
		t.Errorf("the excluded object is %q", got)
	}
	if r.live("batch/v1", "Job", "hook") != nil {
		t.Error("a hook was made")
	}
}

// What an action has written needs no request to be looked after.
func TestDriftAfterAction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	docs := strings.Join(strings.SplitN(drifting, "---", 3)[:2], "---")
	k := newKeeper(t, r, docs, meta.DriftEnabled)
	c := r.action(func(o *Options) { o.Ignore = k.options.Ignore })
	objects := r.create(c, docs)
	r.must(c.WaitReady(objects, true, deadline))
	r.sent()
	k.look()
	k.drift.Reset()
	k.look()
	r.wantRequests(r.sent())
}

// After a restart one dry-run tells how each object is to be; from then on an
// unchanged one costs nothing.
func TestDriftAfterRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	objects := r.members(drifting)
	_, err := r.action().Create(objects[:2], true)
	r.must(err)
	r.start("")
	r.sent()
	docs := strings.Join(strings.SplitN(drifting, "---", 3)[:2], "---")
	k := newKeeper(t, r, docs, meta.DriftEnabled)
	k.options.Ignore = nil
	k.look()
	r.wantRequests(r.sent(), "PATCH /api/v1/namespaces/$NS/configmaps/a dry-run", "PATCH /api/v1/namespaces/$NS/secrets/s dry-run")
	for range 3 {
		k.look()
	}
	r.wantRequests(r.sent())

	// What drifted while nobody looked is found by the dry-run.
	r.kubectl("kubectl-edit", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: by hand}}")
	r.start("")
	k = newKeeper(t, r, docs, meta.DriftEnabled)
	k.serve("the change is put back", func(Drifted) bool { return r.field("a", "key") == "chart" })

	// With the mode disabled nothing is watched, or known.
	k.options.Mode = meta.DriftDisabled
	k.look()
	if k.engine.Set(k.options.Owner, k.options.UID).Known() {
		t.Error("members are still kept")
	}
}

func TestDriftIsShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	docs := strings.Join(strings.SplitN(drifting, "---", 3)[:2], "---")
	_, err := r.action().Create(r.members(docs), true)
	r.must(err)
	k := newKeeper(t, r, docs, meta.DriftWarn)
	k.settled()
	r.kubectl("kubectl-edit", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: by hand}}")
	var found []apply.Difference
	k.serve("the change is shown", func(d Drifted) bool { found = d.Found; return len(d.Found) > 0 })
	if len(found) != 1 || found[0].Action != apply.Configured {
		t.Fatalf("found %+v", found)
	}
	if diff := cmp.Diff([]string{"data.key"}, found[0].Paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	r.kubectl("delete", "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: $NS}}")
	k.serve("the deletion is shown", func(d Drifted) bool { return len(d.Found) == 2 })
	if r.field("a", "key") != "by hand" || r.live("v1", "Secret", "s") != nil {
		t.Error("drift was put back")
	}
	r.kubectl("kubectl-edit", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: chart}}")
	k.options.Insist = true
	k.serve("what was put back by hand is no drift", func(d Drifted) bool { return len(d.Found) == 1 && d.Found[0].Ref.Name == "s" })
}

// A release that a client has merged is left as it is while nobody changes it, and
// becomes ours when something is put back.
func TestDriftOfClientSideRelease(t *testing.T) {
	t.Parallel()
	for _, manager := range []string{"helm-controller", "helm"} {
		t.Run(manager, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			const docs = `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS, labels: {helm.toolkit.fluxcd.io/name: app, helm.toolkit.fluxcd.io/namespace: $NS}}, data: {key: chart}}`
			obj := r.members(docs)[0]
			made, err := r.resource(obj).Create(t.Context(), obj, createOptions(manager))
			r.must(err)
			k := newKeeper(t, r, docs, meta.DriftEnabled)
			for range 3 {
				if found := k.look(); len(found.Corrected) > 0 {
					t.Errorf("corrected %+v", found.Corrected)
				}
			}
			if live := r.live("v1", "ConfigMap", "a"); live.GetResourceVersion() != made.GetResourceVersion() {
				t.Errorf("it was written: %s", toYAML(t, live))
			}
			k.settled()
			r.sent()
			k.look()
			r.wantRequests(r.sent())
			r.kubectl("kubectl-edit", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: by hand}}")
			corrected := k.serve("the change is put back", func(Drifted) bool { return r.field("a", "key") == "chart" })
			if len(corrected) != 1 {
				t.Errorf("corrected %v", corrected)
			}
			k.settled()
		})
	}
}

// A path that somebody else sets again and again is left to the interval.
func TestContestedDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const docs = `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: chart}}`
	_, err := r.action().Create(r.members(docs), true)
	r.must(err)
	k := newKeeper(t, r, docs, meta.DriftEnabled)
	k.settled()
	edit := func() {
		r.kubectl("operator", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: $NS}, data: {key: by hand}}")
	}
	for range 3 {
		edit()
		k.serve("the change is put back", func(Drifted) bool { return r.field("a", "key") == "chart" })
		k.settled()
	}
	edit()
	k.serve("the path is contested", func(d Drifted) bool {
		return len(d.Contested) == 1 && d.Contested[0].Manager == "operator" && strings.Contains(d.Contested[0].Path, "key")
	})
	k.options.Insist = true
	k.serve("the interval puts it back", func(Drifted) bool { return r.field("a", "key") == "chart" })
}
