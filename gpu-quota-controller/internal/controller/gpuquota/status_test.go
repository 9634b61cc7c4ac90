// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota

import (
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/events"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/recount"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/tree"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// situation is what a quota is in.
type situation struct {
	spec    quotav1.GPUQuotaSpec
	counted bool
	// used is what is held, of a limit of 4.
	used    int64
	failed  error
	webhook string
	strays  string
	closed  string
}

// counts are the counts of a situation.
type counts struct {
	situation
	obj *quotav1.GPUQuota
}

func (c counts) Failed(string) error { return c.failed }

func (c counts) Latest(string) *recount.Latest {
	if !c.counted {
		return nil
	}
	record := &ledger.Record{Closed: c.closed, Quotas: map[string]ledger.Quota{"q": {Generation: c.obj.Generation, Hard: gpu.Amounts{"gpu": gpu.Whole(4)}, Used: gpu.Amounts{"gpu": gpu.Whole(c.used)}}}}
	latest := &recount.Latest{Record: record, Balances: record.Balances(), Strays: map[string]string{}}
	if c.strays != "" {
		latest.Strays["q"] = c.strays
	}
	return latest
}

// reconciled runs the phases in a situation.
func (s situation) reconciled(t *testing.T, obj *quotav1.GPUQuota) {
	t.Helper()
	obj.Spec = s.spec
	forest := tree.New(nil, []quotav1.GPUQuota{*obj})
	c := &Controller{
		State:   func() *view.State { return &view.State{Forest: forest, Assignment: forest.Assign(nil)} },
		Counts:  counts{s, obj},
		Webhook: func() string { return s.webhook },
		Events:  events.NewNopRecorder(),
		Figures: NewFigures(nil, func() *view.State { return nil }),
	}
	sc := newScope(obj, nil)
	_, _ = c.finish(sc, c.phases(t.Context(), sc))
}

// Tools that wait for objects compute what quotas are from their status. It must
// be right in every situation.
func TestStatusConformsToKstatus(t *testing.T) {
	limits := []quotav1.Limit{{Device: "gpu", Hard: "4"}}
	valid := quotav1.GPUQuotaSpec{Limits: limits}
	good := situation{spec: valid, counted: true, used: 2}
	for name, tc := range map[string]struct {
		before []situation
		now    *situation
		edited bool
		want   status.Status
		reason string
	}{
		"new":              {want: status.InProgressStatus},
		"being counted":    {now: &situation{spec: valid}, want: status.InProgressStatus, reason: quotav1.CountingReason},
		"enforced":         {now: &good, want: status.CurrentStatus, reason: quotav1.EnforcedReason},
		"edited":           {now: &good, edited: true, want: status.InProgressStatus, reason: quotav1.EnforcedReason},
		"exceeded":         {now: &situation{spec: valid, counted: true, used: 9}, want: status.CurrentStatus, reason: quotav1.EnforcedReason},
		"suspended":        {now: &situation{spec: quotav1.GPUQuotaSpec{Limits: limits, Suspend: true}, counted: true}, want: status.CurrentStatus, reason: quotav1.SuspendedReason},
		"warns":            {now: &situation{spec: quotav1.GPUQuotaSpec{Enforcement: quotav1.Enforcements{Admission: quotav1.Warn}}, counted: true}, want: status.CurrentStatus, reason: quotav1.WarnOnlyReason},
		"not enforced":     {now: &situation{spec: quotav1.GPUQuotaSpec{Enforcement: quotav1.Enforcements{Admission: quotav1.Off}}, counted: true}, want: status.CurrentStatus, reason: quotav1.NotEnforcedReason},
		"strays":           {now: &situation{spec: valid, counted: true, strays: "something rejects pods"}, want: status.CurrentStatus, reason: quotav1.StraysReason},
		"a leader changes": {before: []situation{good}, now: &situation{spec: valid}, want: status.InProgressStatus, reason: quotav1.EnforcedReason},
		"closed":           {before: []situation{good}, now: &situation{spec: valid, counted: true, closed: "restored"}, want: status.InProgressStatus, reason: quotav1.EnforcedReason},
		"no ledger":        {before: []situation{good}, now: &situation{spec: valid, counted: true, failed: ledger.ErrUnreadable}, want: status.InProgressStatus, reason: quotav1.LedgerFailedReason},
		"no webhook":       {before: []situation{good}, now: &situation{spec: valid, counted: true, webhook: "it is not in place"}, want: status.InProgressStatus, reason: quotav1.WebhookFailedReason},
		"and again":        {before: []situation{good, {spec: valid, counted: true, webhook: "it is not in place"}}, now: &good, want: status.CurrentStatus, reason: quotav1.EnforcedReason},
		"never valid": {
			now:  &situation{spec: quotav1.GPUQuotaSpec{Limits: []quotav1.Limit{{Device: "gpu", Hard: "many"}}}, counted: true},
			want: status.FailedStatus, reason: quotav1.InvalidSpecReason,
		},
		"no parent": {
			now:  &situation{spec: quotav1.GPUQuotaSpec{Limits: limits, ParentRef: &quotav1.ParentReference{Name: "p"}}, counted: true},
			want: status.InProgressStatus, reason: quotav1.ParentNotFoundReason,
		},
		"a cycle": {
			now:  &situation{spec: quotav1.GPUQuotaSpec{Limits: limits, ParentRef: &quotav1.ParentReference{Name: "q"}}, counted: true},
			want: status.FailedStatus, reason: quotav1.CycleReason,
		},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &quotav1.GPUQuota{
				TypeMeta:   metav1.TypeMeta{APIVersion: quotav1.GroupVersion.String(), Kind: quotav1.GPUQuotaKind},
				ObjectMeta: metav1.ObjectMeta{Name: "q", UID: "u", Generation: 1},
				Status:     quotav1.GPUQuotaStatus{ObservedGeneration: -1}, // the CRD's default
			}
			for _, s := range tc.before {
				s.reconciled(t, obj)
			}
			if tc.now != nil {
				tc.now.reconciled(t, obj)
			}
			if tc.edited {
				obj.Generation++
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
			if err != nil {
				t.Fatal(err)
			}
			got, err := status.Compute(&unstructured.Unstructured{Object: content})
			if err != nil || got.Status != tc.want {
				t.Errorf("kstatus says %+v, %v, want %s; conditions %+v", got, err, tc.want, obj.Status.Conditions)
			}
			if reason := conditions.GetReason(obj, fluxmeta.ReadyCondition); reason != tc.reason {
				t.Errorf("reason %q, want %q", reason, tc.reason)
			}
			for _, c := range obj.Status.Conditions {
				if c.ObservedGeneration < 1 {
					t.Errorf("condition %s has no observed generation", c.Type)
				}
			}
		})
	}
}

func TestHold(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	change := map[string]func(*quotav1.GPUQuotaStatus){
		"figures": func(s *quotav1.GPUQuotaStatus) { s.Summary = "gpu 3/4" },
		"flips": func(s *quotav1.GPUQuotaStatus) {
			s.Conditions = []metav1.Condition{{Type: quotav1.ExceededCondition, Status: metav1.ConditionTrue}}
		},
		"words":   func(s *quotav1.GPUQuotaStatus) { s.Conditions[0].Message = "other" },
		"request": func(s *quotav1.GPUQuotaStatus) { s.LastHandledReconcileAt = "now" },
		"edit":    func(s *quotav1.GPUQuotaStatus) { s.ObservedGeneration = 2 },
		"nothing": func(*quotav1.GPUQuotaStatus) {},
	}
	for name, tc := range map[string]struct {
		last time.Duration
		held time.Duration
	}{
		"figures": {3 * time.Second, 7 * time.Second},
		"words":   {9 * time.Second, time.Second},
		"flips":   {time.Second, 0},
		"request": {time.Second, 0},
		"edit":    {time.Second, 0},
		"nothing": {time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}}
			obj.Status.Conditions = []metav1.Condition{{Type: quotav1.ExceededCondition, Status: metav1.ConditionFalse}}
			s := newScope(obj, nil)
			c := &Controller{written: map[string]time.Time{"q": now.Add(-tc.last)}}
			change[name](&obj.Status)
			if got := c.hold(s, now); got != tc.held {
				t.Errorf("held for %s, want %s", got, tc.held)
			}
			if got := c.hold(newScope(obj, nil), now.Add(statusEvery)); got != 0 {
				t.Errorf("held for %s after ten seconds", got)
			}
		})
	}
}
