// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/watch"
)

func (r *rig) compile(current string) *health.Checks {
	r.Helper()
	checks, err := health.Compile("checks", []meta.CustomHealthCheck{{APIVersion: "v1", Kind: "ConfigMap", Current: current}})
	r.must(err)
	return checks
}

// healthy judges the set, and reports what that has cost.
func (r *rig) healthy(targets ...watch.Target) (bool, []string) {
	r.Helper()
	r.sent()
	verdict, err := r.engine.Health(r.Context(), r.set, r.client, true, targets)
	r.must(err)
	return verdict.Healthy(), r.sent()
}

func TestChangedExpressionsCostOneReadOfEachObject(t *testing.T) {
	r := newRig(t)
	r.engine.Judge(r.set, r.compile("data.greeting == 'hello'"))
	r.mustApply(config)
	if ok, sent := r.healthy(); !ok || len(sent) > 0 {
		t.Errorf("healthy: %t after %q, want it so for nothing", ok, sent)
	}
	r.engine.Judge(r.set, r.compile("data.greeting == 'hello'"))
	if ok, sent := r.healthy(); !ok || len(sent) > 0 {
		t.Errorf("the same again: healthy: %t after %q, want it so for nothing", ok, sent)
	}
	r.engine.Judge(r.set, r.compile("data.greeting == 'bye'"))
	ok, sent := r.healthy()
	if want := []string{"GET /api/v1/namespaces/" + r.owner.Namespace + "/configmaps/web"}; ok || cmp.Diff(want, sent) != "" {
		t.Errorf("other expressions: healthy: %t after %q, want it not so after %q", ok, sent, want)
	}
	if ok, sent := r.healthy(); ok || len(sent) > 0 {
		t.Errorf("asked again: healthy: %t after %q, want it not so, for nothing", ok, sent)
	}
	r.engine.Judge(r.set, r.compile("metadata.?labels.seen.orValue('') == 'yes'"))
	if ok, _ := r.healthy(); ok {
		t.Error("healthy without the label")
	}
	r.kubectl("somebody", configMapGVR, "web", `{"metadata": {"labels": {"seen": "yes"}}}`)
	r.eventually("a change is judged by the watch", func() bool {
		ok, sent := r.healthy()
		return ok && len(sent) == 0
	})
	r.engine.Judge(r.set, nil)
	if ok, _ := r.healthy(); !ok {
		t.Error("not healthy without expressions")
	}
}

func TestTargetIsJudgedByWhoAsks(t *testing.T) {
	r := newRig(t)
	r.kubectl("somebody", configMapGVR, "", `{apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: $NS}, data: {a: "1"}}`)
	target := func(current string) watch.Target {
		return watch.Target{
			GVK:            schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
			NamespacedName: types.NamespacedName{Namespace: r.owner.Namespace, Name: "other"},
			Checks:         r.compile(current),
		}
	}
	yes, no := target("data.a == '1'"), target("data.a == '2'")
	r.must(r.engine.Watch(t.Context(), r.set, nil, []watch.Target{yes, no}))
	if ok, sent := r.healthy(yes); !ok || len(sent) > 0 {
		t.Errorf("healthy: %t after %q, want it so for nothing", ok, sent)
	}
	if ok, _ := r.healthy(no); ok {
		t.Error("the same object is healthy by other expressions")
	}
	r.kubectl("somebody", configMapGVR, "other", `{"data": {"a": "2"}}`)
	r.eventually("a change is judged by the watch", func() bool {
		ok, sent := r.healthy(no)
		return ok && len(sent) == 0
	})
}
