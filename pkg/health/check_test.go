// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/api/meta"
)

const model = "serving.example.com/v1/Model"

func compiled(t *testing.T, specs ...meta.CustomHealthCheck) *Checks {
	t.Helper()
	all, err := Compile("spec.healthCheckExprs", specs)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestChecks(t *testing.T) {
	phases := meta.CustomHealthCheck{
		APIVersion: "serving.example.com/v1", Kind: "Model",
		InProgress: "status.phase == 'Loading'", Failed: "status.phase in ['Loading', 'Broken']", Current: "status.phase != 'Cold'",
	}
	careful := meta.CustomHealthCheck{APIVersion: "serving.example.com/v1", Kind: "Model", Current: "status.?ready.orValue(false)"}
	workspace := meta.CustomHealthCheck{APIVersion: "kaito.sh/v1beta1", Kind: "Workspace", Current: "resource.count == 1"}
	jobs := meta.CustomHealthCheck{APIVersion: "batch/v1", Kind: "Job", Current: "status.?active.orValue(0) > 0"}
	// Who is content with a set of jobs that has started says so.
	started := meta.CustomHealthCheck{
		APIVersion: "jobset.x-k8s.io/v1alpha2", Kind: "JobSet", Failed: "status.?terminalState.orValue('') == 'Failed'",
		Current: "spec.replicatedJobs.all(r, status.?replicatedJobsStatus.orValue([]).exists(s, s.name == r.name && s.?ready.orValue(0) + s.?succeeded.orValue(0) >= r.?replicas.orValue(1)))",
	}
	jobSet := func(ready int) map[string]any {
		return map[string]any{
			"spec":   map[string]any{"replicatedJobs": []any{map[string]any{"name": "w", "replicas": 2}}},
			"status": map[string]any{"replicatedJobsStatus": []any{map[string]any{"name": "w", "ready": ready}}},
		}
	}
	for name, tc := range map[string]struct {
		spec   meta.CustomHealthCheck
		kind   string
		object map[string]any
		want   Result
	}{
		"current":                       {phases, model, withStatus("phase", "Warm"), Result{Status: Current}},
		"in progress comes first":       {phases, model, withStatus("phase", "Loading"), Result{Status: InProgress, Message: "spec.healthCheckExprs[0].inProgress is true"}},
		"failed comes before current":   {phases, model, withStatus("phase", "Broken"), Result{Status: Failed, Message: "spec.healthCheckExprs[0].failed is true"}},
		"none of them":                  {phases, model, withStatus("phase", "Cold"), Result{Status: InProgress, Message: "spec.healthCheckExprs[0].current is not true"}},
		"missing field":                 {phases, model, map[string]any{}, Result{Status: Unknown, Message: "spec.healthCheckExprs[0].inProgress: 1:7: no such key: phase"}},
		"no status":                     {careful, model, map[string]any{}, Result{Status: InProgress, Message: "spec.healthCheckExprs[0].current is not true"}},
		"older generation":              {careful, model, generation(2, map[string]any{"observedGeneration": 1, "ready": true}), Result{Status: InProgress, Message: "Model generation is 2, but latest observed generation is 1"}},
		"same generation":               {careful, model, generation(2, map[string]any{"observedGeneration": 2, "ready": true}), Result{Status: Current}},
		"generation that is no number":  {careful, model, generation(2, map[string]any{"observedGeneration": "1", "ready": true}), Result{Status: Current}},
		"not a bool":                    {meta.CustomHealthCheck{APIVersion: "serving.example.com/v1", Kind: "Model", Current: "status.phase"}, model, withStatus("phase", "x"), Result{Status: Unknown, Message: "spec.healthCheckExprs[0].current: the expression yields string, want bool"}},
		"field beside spec and status":  {workspace, "kaito.sh/v1beta1/Workspace", map[string]any{"resource": map[string]any{"count": 1}}, Result{Status: Current}},
		"before the table":              {jobs, "batch/v1/Job", withStatus("active", 1), Result{Status: Current, Ends: true}},
		"what the object says":          {jobs, "batch/v1/Job", withStatus("succeeded", 0), Result{Status: InProgress, Message: "Job has completed 0 of 1 pods", Ends: true}},
		"queued in spite of it":         {jobs, "batch/v1/Job", map[string]any{"metadata": map[string]any{"labels": map[string]any{QueueLabel: "gpu"}}, "spec": map[string]any{"suspend": true}}, Result{Status: Queued, Message: "waiting in queue gpu", Ends: true}},
		"set of jobs that has started":  {started, "jobset.x-k8s.io/v1alpha2/JobSet", jobSet(2), Result{Status: Current, Ends: true}},
		"set of jobs, one missing":      {started, "jobset.x-k8s.io/v1alpha2/JobSet", jobSet(1), Result{Status: InProgress, Message: "JobSet has not finished", Ends: true}},
		"version makes no difference":   {careful, "serving.example.com/v2/Model", withStatus("ready", true), Result{Status: Current}},
		"another kind is left to table": {careful, "batch/v1/Job", nil, Result{Status: InProgress, Message: "Job has completed 0 of 1 pods", Ends: true}},
	} {
		t.Run(name, func(t *testing.T) {
			obj := object(t, tc.kind, tc.object)
			if diff := cmp.Diff(tc.want, compiled(t, tc.spec).Of(obj)); diff != "" {
				t.Errorf("health (-want +got):\n%s", diff)
			}
			if _, added := obj.Object["status"]; added && tc.object["status"] == nil {
				t.Error("the object was changed")
			}
		})
	}
}

func withStatus(field string, value any) map[string]any {
	return map[string]any{"status": map[string]any{field: value}}
}

func generation(n int, status map[string]any) map[string]any {
	return map[string]any{"metadata": map[string]any{"generation": n}, "status": status}
}

func TestChecksOfGroups(t *testing.T) {
	all := meta.CustomHealthCheck{APIVersion: "serving.example.com/v1", Current: "metadata.name == 'group'"}
	one := meta.CustomHealthCheck{APIVersion: "serving.example.com/v2", Kind: "Model", Current: "metadata.name == 'kind'"}
	both := compiled(t, all, one)
	for kind, want := range map[string]string{model: "kind", "serving.example.com/v1/Route": "group"} {
		obj := object(t, kind, map[string]any{"metadata": map[string]any{"name": want}})
		if got := both.Of(obj); got.Status != Current {
			t.Errorf("%s: %+v, want the expression of its %s", kind, got, want)
		}
	}
	if got := both.ID(schema.GroupKind{Group: "example.com", Kind: "Model"}); got != "" {
		t.Errorf("another group has the check %s", got)
	}
	core := compiled(t, meta.CustomHealthCheck{APIVersion: "v1", Current: "false"})
	if core.ID(schema.GroupKind{Kind: "Pod"}) == "" || core.ID(schema.GroupKind{Group: "apps", Kind: "Deployment"}) != "" {
		t.Error("a check of the core group is for its kinds and no others")
	}
}

func TestCompileErrors(t *testing.T) {
	ok := meta.CustomHealthCheck{APIVersion: "example.com/v1", Kind: "Model", Current: "true"}
	for name, tc := range map[string]struct {
		specs []meta.CustomHealthCheck
		want  string
	}{
		"syntax":         {[]meta.CustomHealthCheck{ok, {APIVersion: "example.com/v1", Kind: "Other", Current: "true", Failed: "status.("}}, "spec.healthCheckExprs[1].failed: "},
		"function":       {[]meta.CustomHealthCheck{{APIVersion: "example.com/v1", Current: "explode()"}}, "spec.healthCheckExprs[0].current: "},
		"in progress":    {[]meta.CustomHealthCheck{{APIVersion: "example.com/v1", Current: "true", InProgress: "1"}}, "spec.healthCheckExprs[0].inProgress: "},
		"no current":     {[]meta.CustomHealthCheck{{APIVersion: "example.com/v1", Failed: "true"}}, "spec.healthCheckExprs[0].current is empty"},
		"twice":          {[]meta.CustomHealthCheck{ok, {APIVersion: "example.com/v2", Kind: "Model", Current: "false"}}, "spec.healthCheckExprs[1] is for the same kind as spec.healthCheckExprs[0], Model.example.com"},
		"group, twice":   {[]meta.CustomHealthCheck{{APIVersion: "example.com/v1", Current: "true"}, {APIVersion: "example.com/v1", Current: "true"}}, "all kinds of example.com"},
		"nothing at all": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Compile("spec.healthCheckExprs", tc.specs)
			if tc.want == "" {
				if got != nil || err != nil {
					t.Errorf("%v, %v, want nothing", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
}

// What is judged by the same expressions is not judged again.
func TestIDsFollowTheExpressions(t *testing.T) {
	spec := meta.CustomHealthCheck{APIVersion: "example.com/v1", Kind: "Model", Current: "true"}
	other := spec
	other.InProgress = "false"
	gk := schema.GroupKind{Group: "example.com", Kind: "Model"}
	first := compiled(t, spec).ID(gk)
	if again := compiled(t, spec).ID(gk); again != first {
		t.Errorf("the same expressions are %s and %s", first, again)
	}
	if changed := compiled(t, other).ID(gk); changed == first {
		t.Errorf("other expressions are %s, too", changed)
	}
	if none := (*Checks)(nil).ID(gk); none != "" {
		t.Errorf("no expressions are %s", none)
	}
}

func TestMeter(t *testing.T) {
	start := time.Now()
	m := &meter{}
	for i, step := range []struct {
		after, took time.Duration
		want        bool
	}{
		{0, allowance, true},
		{0, time.Second, false},
		{10 * refill * time.Second, time.Second, true},
		{time.Second, allowance, false},
		{time.Hour, allowance, true},
	} {
		start = start.Add(step.after)
		if got := m.take(step.took, start); got != step.want {
			t.Errorf("step %d: allowed: %t, want %t", i, got, step.want)
		}
	}
}

func TestChecksThatTakeTooLong(t *testing.T) {
	greedy := compiled(t, meta.CustomHealthCheck{APIVersion: "example.com/v1", Kind: "Model", Current: "true"})
	greedy.meter.take(allowance, time.Now().Add(time.Minute))
	obj := object(t, "example.com/v1/Model", nil)
	if got := greedy.Of(obj); got.Status != Current {
		t.Fatalf("%+v, want the last one to be answered", got)
	}
	if got := greedy.Of(obj); got.Status != Unknown || !strings.HasPrefix(got.Message, "spec.healthCheckExprs[0]: the expressions take too long") {
		t.Errorf("%+v, want it refused", got)
	}
	next := compiled(t, meta.CustomHealthCheck{APIVersion: "example.com/v1", Kind: "Model", Current: "1 == 1"})
	next.Continue(greedy)
	next.Of(obj)
	if got := next.Of(obj); got.Status != Unknown {
		t.Errorf("%+v, want a new spec to be no new allowance", got)
	}
	if got := Of(obj); got.Status != Current {
		t.Errorf("%+v, want other owners undisturbed", got)
	}
}
