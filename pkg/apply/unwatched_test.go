// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// A controller that may not list a kind reads the objects one by one, as the
// tenant, and says which kind it is.
func TestKindThatMayNotBeWatched(t *testing.T) {
	r := newRig(t)
	r.startAs(func(cfg *rest.Config) {
		cfg.Impersonate = rest.ImpersonationConfig{UserName: "nobody-in-particular"}
	})
	r.mustApply(config)
	if diff := cmp.Diff([]string{"ConfigMap"}, r.engine.Unwatched(r.set)); diff != "" {
		t.Errorf("unwatched (-want +got):\n%s", diff)
	}
	if got := r.mustApply(config)["ConfigMap/web"]; got != Unchanged {
		t.Errorf("second apply: %s, want unchanged", got)
	}
	r.kubectl("kubectl-edit", configMapGVR, "web", `{"data": {"greeting": "changed"}}`)
	if drift := r.correct(); len(drift.Corrected) != 1 {
		t.Errorf("drift %+v, want it put back", drift)
	}
	if got, _, _ := unstructured.NestedString(r.live(configMapGVR, "web").Object, "data", "greeting"); got != "hello" {
		t.Errorf("greeting = %q, want it put back", got)
	}
	r.kubectl("kubectl", configMapGVR, "web", "")
	if drift := r.correct(); len(drift.Corrected) != 1 || !drift.Corrected[0].Created {
		t.Errorf("drift %+v, want the object created again", drift)
	}
	if r.engine.pool.Watching(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}) {
		t.Error("the kind counts as watched")
	}
}
