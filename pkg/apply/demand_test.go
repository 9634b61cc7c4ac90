// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// gpus is a Deployment with so many replicas of so many GPUs each.
func gpus(name string, replicas, each int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: $NS}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers: [{name: main, image: example/x, resources: {limits: {nvidia.com/gpu: %[3]d}}}]`, name, replicas, each)
}

func autoscaler(least int) string {
	return fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: $NS}
spec:
  minReplicas: %d
  maxReplicas: 20
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]`, least)
}

const plain = `
apiVersion: v1
kind: ConfigMap
metadata: {name: plain, namespace: $NS}
data: {a: "1"}`

func docs(list ...string) string { return strings.Join(list, "\n---\n") }

// gated applies and returns what the gate was asked about.
func (r *rig) gated(documents string, stale inventory.Inventory, answer func(gate.Change) (Leave, error)) (gate.Change, error) {
	r.Helper()
	var asked *gate.Change
	_, err := r.apply(documents, func(o *Options) {
		o.Stale = stale
		o.Gate = func(_ context.Context, change gate.Change) (Leave, error) {
			if asked != nil {
				r.Error("the gate was asked twice in one apply")
			}
			asked = &change
			if answer == nil {
				return nil, nil
			}
			return answer(change)
		}
	})
	if asked == nil {
		r.Fatalf("the gate was not asked: %v", err)
	}
	return *asked, err
}

// describe says of each object how many pods it has before and after.
func describe(change gate.Change) []string {
	var lines []string
	for _, o := range change.Objects {
		pods := func(e gpu.Estimate) (n int64) {
			for _, g := range e.Groups {
				n += g.Min
			}
			return n
		}
		line := fmt.Sprintf("%s %d→%d", o.Key[strings.LastIndexByte(o.Key, '/')+1:], pods(o.Before), pods(o.After))
		if o.Template {
			line += " template"
		}
		if o.Grows() {
			line += " grows"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func (r *rig) wants(change gate.Change, want ...string) {
	r.Helper()
	if diff := cmp.Diff(want, describe(change)); diff != "" {
		r.Errorf("what changes (-want +got):\n%s", diff)
	}
}

func TestGateHearsOfWhatChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	change, err := r.gated(docs(gpus("web", 2, 4), plain), nil, nil)
	r.must(err)
	r.wants(change, "web 0→2 grows")

	r.sent()
	change, err = r.gated(docs(gpus("web", 2, 4), plain), nil, nil)
	r.must(err)
	r.wants(change)
	if sent := r.sent(); len(sent) > 0 {
		t.Errorf("what was applied again has cost %v", sent)
	}

	change, err = r.gated(docs(gpus("web", 3, 4), plain), nil, nil)
	r.must(err)
	r.wants(change, "web 2→3 grows")
	change, err = r.gated(docs(gpus("web", 3, 2), plain), nil, nil)
	r.must(err)
	r.wants(change, "web 3→3 template grows") // with 25 % of three, none may go before another comes

	// After a restart the live object says what it has.
	r.start()
	change, err = r.gated(docs(gpus("web", 5, 2), plain), nil, nil)
	r.must(err)
	r.wants(change, "web 3→5 grows")

	stale := inventory.Inventory{r.ref("Deployment", "web"): "v1"}
	change, err = r.gated(docs(gpus("other", 5, 2), plain), stale, nil)
	r.must(err)
	r.wants(change, "other 0→5 grows", "web 5→0")
}

func TestGateRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.gated(docs(gpus("web", 2, 4), plain), nil, nil)
	r.must(err)
	// The status of a Deployment changes by itself, its generation does not.
	state := func() string {
		return fmt.Sprint(r.live(deploymentGVR, "web").GetGeneration(), r.live(configMapGVR, "plain").GetResourceVersion())
	}
	before := state()
	r.sent()
	refused := errors.New("no room")
	_, err = r.gated(docs(gpus("web", 8, 4), strings.Replace(plain, `"1"`, `"2"`, 1)), nil, func(gate.Change) (Leave, error) { return nil, refused })
	if !errors.Is(err, refused) {
		t.Fatalf("error %v, want that of the gate", err)
	}
	for _, line := range r.sent() {
		if !strings.Contains(line, "dry-run") {
			t.Errorf("sent %s", line)
		}
	}
	if after := state(); after != before {
		t.Errorf("something was written: versions %s, before %s", after, before)
	}
	// What was applied before still holds.
	r.kubectl("somebody", deploymentGVR, "web", `{spec: {replicas: 1}}`)
	drift := r.correct()
	if len(drift.Corrected) != 1 {
		t.Errorf("corrected %v, want the Deployment", drift.Corrected)
	}
}

func TestGateLeavesGrowers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.gated(docs(gpus("old", 4, 2), gpus("web", 1, 2), plain), nil, nil)
	r.must(err)
	_, err = r.gated(docs(gpus("old", 1, 2), gpus("web", 4, 2), gpus("new", 1, 2), strings.Replace(plain, `"1"`, `"2"`, 1)), nil, func(change gate.Change) (Leave, error) {
		leave := Leave{}
		for _, o := range change.Objects {
			if o.Grows() {
				leave[o.Key] = struct{}{}
			}
		}
		return leave, nil
	})
	r.must(err)
	replicas := func(name string) string {
		live := r.live(deploymentGVR, name)
		if live == nil {
			return "none"
		}
		return fmt.Sprint(live.Object["spec"].(map[string]any)["replicas"])
	}
	got := map[string]string{"old": replicas("old"), "web": replicas("web"), "new": replicas("new")}
	if diff := cmp.Diff(map[string]string{"old": "1", "web": "1", "new": "none"}, got); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	if live := r.live(configMapGVR, "plain"); live.Object["data"].(map[string]any)["a"] != "2" {
		t.Error("what does not grow was left")
	}
}

func TestGateCountsAutoscaled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	change, err := r.gated(docs(gpus("web", 2, 1), autoscaler(6)), nil, nil)
	r.must(err)
	r.wants(change, "web 0→6 grows")
	r.eventually("the autoscaler is seen", func() bool { return r.engine.scaled(r.ref("Deployment", "web")) })
	r.kubectl("autoscaler", deploymentGVR, "web", `{spec: {replicas: 7}}`)
	r.eventually("the record has the replicas", func() bool {
		record, err := r.engine.lookup(r.Context(), r.client, r.set, r.desired(gpus("web", 2, 1))[0])
		r.must(err)
		return record != nil && record.Demand.Replicas == 7
	})
	change, err = r.gated(docs(gpus("web", 2, 1), autoscaler(6)), nil, nil)
	r.must(err)
	r.wants(change, "web 7→7")
	change, err = r.gated(docs(gpus("web", 2, 1), autoscaler(9)), nil, nil)
	r.must(err)
	r.wants(change, "web 7→9 grows")
}

func TestGateReadsWhatIsAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.kubectl("kubectl", deploymentGVR, "", gpus("web", 2, 4))
	change, err := r.gated(gpus("web", 3, 4), nil, nil)
	r.must(err)
	r.wants(change, "web 2→3 grows")
}

func TestCuts(t *testing.T) {
	spec := func(limits ...string) *quotav1.GPUQuotaSpec {
		s := &quotav1.GPUQuotaSpec{}
		for i := 0; i < len(limits); i += 2 {
			s.Limits = append(s.Limits, quotav1.Limit{Device: limits[i], Hard: limits[i+1]})
		}
		return s
	}
	for name, tc := range map[string]struct {
		before, after *quotav1.GPUQuotaSpec
		want          bool
	}{
		"the same":        {spec("h", "4"), spec("h", "4"), false},
		"raised":          {spec("h", "4"), spec("h", "5"), false},
		"lowered":         {spec("h", "4"), spec("h", "7/2"), true},
		"limited":         {spec(), spec("h", "4"), true},
		"unlimited":       {spec("h", "4"), spec(), false},
		"one of each":     {spec("h", "4", "a", "4"), spec("h", "5", "a", "3"), false},
		"one and another": {spec("h", "4"), spec("a", "4"), false},
		"one and no more": {spec("h", "4", "a", "4"), spec("h", "4", "a", "3"), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cuts(tc.before, tc.after); got != tc.want {
				t.Errorf("cuts = %t, want %t", got, tc.want)
			}
		})
	}
}
