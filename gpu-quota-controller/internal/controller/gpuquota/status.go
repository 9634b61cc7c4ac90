// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/pkg/ledger"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// named is how many things a message names before it only says how many more
// there are.
const named = 5

// finish turns the outcome of the phases into status and events.
func (c *Controller) finish(s *scope, err error) (ctrl.Result, error) {
	success := enforced(&s.obj.Spec)
	if err == nil {
		if told := s.latest.Strays[s.obj.Name]; told != "" {
			success = reconcile.Success{Reason: quotav1.StraysReason, Message: told}
		}
	}
	result, finished := reconcile.Finish(s.obj, err, success, reconcile.Policy{
		SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
		Failed:                func(reason, message string) { c.failed(s, reason, message) },
	})
	c.tell(s)
	return result, finished
}

// enforced says how the limits of a spec hold.
func enforced(spec *quotav1.GPUQuotaSpec) reconcile.Success {
	switch {
	case spec.Suspend:
		return reconcile.Success{Reason: quotav1.SuspendedReason, Message: "use is counted and nothing is denied, since spec.suspend is set"}
	case spec.Enforcement.Admission == quotav1.Warn:
		return reconcile.Success{Reason: quotav1.WarnOnlyReason, Message: "pods over a limit are admitted with a warning, as spec.enforcement.admission says"}
	case spec.Enforcement.Admission == quotav1.Off:
		return reconcile.Success{Reason: quotav1.NotEnforcedReason, Message: "use is counted and no pod is denied, as spec.enforcement.admission says"}
	}
	return reconcile.Success{Reason: quotav1.EnforcedReason, Message: "the limits are enforced"}
}

// devices are the figures of a status, sorted.
func devices(balances map[string]ledger.Balance) []quotav1.DeviceStatus {
	var list []quotav1.DeviceStatus
	for _, name := range slices.Sorted(maps.Keys(balances)) {
		b := balances[name]
		device := quotav1.DeviceStatus{Name: name, Used: b.Used.String(), Reserved: b.Reserved.String()}
		if b.Hard != nil {
			device.Hard = b.Hard.String()
		}
		if b.Available != nil {
			device.Available = b.Available.String()
		}
		list = append(list, device)
	}
	return list
}

// summary is the figures in a few words.
func summary(devices []quotav1.DeviceStatus) string {
	var parts []string
	for _, d := range devices {
		switch {
		case d.Hard != "":
			parts = append(parts, d.Name+" "+d.Used+"/"+d.Hard)
		case d.Used != "0":
			parts = append(parts, d.Name+" "+d.Used)
		}
	}
	return strings.Join(parts, ", ")
}

// exceeded says which limits are exceeded by what is held, or "".
func exceeded(balances map[string]ledger.Balance) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(balances)) {
		if b := balances[name]; b.Hard != nil && b.Used.Cmp(*b.Hard) > 0 {
			parts = append(parts, fmt.Sprintf("%s used %s, hard %s", name, b.Used, b.Hard))
		}
	}
	return strings.Join(parts, "; ")
}

// overlapping names the namespaces that belong to older quotas.
func overlapping(overlaps []tree.Overlap) string {
	var parts []string
	for _, o := range overlaps[:min(named, len(overlaps))] {
		parts = append(parts, fmt.Sprintf("namespace %s belongs to GPUQuota %q", o.Namespace, o.Owner))
	}
	text := strings.Join(parts, ", ")
	if more := len(overlaps) - named; more > 0 {
		text += fmt.Sprintf(", and %d more belong to others", more)
	}
	return text + ", which is older"
}

// missingClasses are the devices of limits that the tree does not have.
func missingClasses(q *tree.Quota, classes []string) []string {
	var missing []string
	for _, device := range slices.Sorted(maps.Keys(q.Hard)) {
		if !slices.Contains(classes, device) {
			missing = append(missing, device)
		}
	}
	return missing
}

func quoted(names []string) string {
	var parts []string
	for _, name := range names[:min(named, len(names))] {
		parts = append(parts, strconv.Quote(name))
	}
	text := strings.Join(parts, ", ")
	if more := len(names) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// hold takes the changes of a status back that can wait, and returns how long.
// What cannot wait is a condition that flips, and the answer to an edit.
func (c *Controller) hold(s *scope, now time.Time) time.Duration {
	if equality.Semantic.DeepEqual(s.before, &s.obj.Status) {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written == nil {
		c.written = map[string]time.Time{}
	}
	wait := statusEvery - now.Sub(c.written[s.obj.Name])
	if wait > 0 && !urgent(s.before, &s.obj.Status) {
		s.obj.Status = *s.before
		return wait
	}
	c.written[s.obj.Name] = now
	return 0
}

// urgent reports whether a status has to be written at once.
func urgent(before, now *quotav1.GPUQuotaStatus) bool {
	flips := func(conditions []metav1.Condition) map[string]string {
		states := map[string]string{}
		for _, c := range conditions {
			states[c.Type] = string(c.Status)
			if c.Type == fluxmeta.ReadyCondition {
				states[c.Type] += c.Reason
			}
		}
		return states
	}
	return before.ObservedGeneration != now.ObservedGeneration || before.LastHandledReconcileAt != now.LastHandledReconcileAt ||
		!maps.Equal(flips(before.Conditions), flips(now.Conditions))
}
