// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// Tools that wait for objects compute what they are from their status. It must
// be right in every phase.
func TestStatusConformsToKstatus(t *testing.T) {
	t.Parallel()
	type phase func(*imagev1.ImageUpdateAutomation, *Controller)
	c := &Controller{Options: Options{MinRetry: time.Second, MaxRetry: time.Minute, Jitter: func(d time.Duration) time.Duration { return d }}, Events: silent{}}
	end := func(err error) phase {
		return func(obj *imagev1.ImageUpdateAutomation, c *Controller) {
			_, _ = c.finish(&scope{obj: obj, entry: &entry{}}, err)
		}
	}
	edit := func(obj *imagev1.ImageUpdateAutomation, _ *Controller) { obj.Generation++ }
	hold := func(obj *imagev1.ImageUpdateAutomation, _ *Controller) {
		conditions.MarkTrue(obj, imagev1.HeldCondition, imagev1.GateFailedReason, "%s", "message")
	}
	cause := errors.New("cause")
	ready, waiting, failed := end(nil), end(errWaiting), end(reconcile.Fail(imagev1.GitOperationFailedReason, cause))
	stalled := end(reconcile.Stalled(imagev1.InvalidSpecReason, cause))
	missing := end(reconcile.Wait(time.Second, imagev1.DependencyNotReadyReason, cause))

	for name, tc := range map[string]struct {
		phases []phase
		want   status.Status
	}{
		"new":                    {nil, status.InProgressStatus},
		"at work":                {[]phase{waiting}, status.InProgressStatus},
		"ready":                  {[]phase{waiting, ready}, status.CurrentStatus},
		"ready, next run":        {[]phase{ready, waiting}, status.CurrentStatus},
		"ready and held":         {[]phase{hold, ready}, status.CurrentStatus},
		"ready, edited":          {[]phase{ready, edit}, status.InProgressStatus},
		"ready, edited, at work": {[]phase{ready, edit, waiting}, status.InProgressStatus},
		"failed":                 {[]phase{failed}, status.InProgressStatus},
		"failed, at work":        {[]phase{failed, waiting}, status.InProgressStatus},
		"failed, then ready":     {[]phase{failed, waiting, ready}, status.CurrentStatus},
		"no candidate yet":       {[]phase{missing}, status.InProgressStatus},
		"stalled":                {[]phase{stalled}, status.FailedStatus},
		"stalled, edited":        {[]phase{stalled, edit, waiting}, status.InProgressStatus},
		"stalled, then ready":    {[]phase{stalled, edit, waiting, ready}, status.CurrentStatus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj := &imagev1.ImageUpdateAutomation{
				TypeMeta:   metav1.TypeMeta{APIVersion: imagev1.GroupVersion.String(), Kind: imagev1.ImageUpdateAutomationKind},
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "auto", Generation: 1},
				Spec:       imagev1.ImageUpdateAutomationSpec{Interval: metav1.Duration{Duration: time.Hour}},
				Status:     imagev1.ImageUpdateAutomationStatus{ObservedGeneration: -1}, // the CRD's default
			}
			for _, phase := range tc.phases {
				phase(obj, c)
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
			if err != nil {
				t.Fatal(err)
			}
			got, err := status.Compute(&unstructured.Unstructured{Object: content})
			if err != nil || got.Status != tc.want {
				t.Errorf("kstatus says %+v, %v, want %s; conditions %+v", got, err, tc.want, obj.Status.Conditions)
			}
			for _, condition := range obj.Status.Conditions {
				if condition.Type != imagev1.ReadyCondition && condition.Status != metav1.ConditionTrue {
					t.Errorf("condition %s is %s, and should be there while True only", condition.Type, condition.Status)
				}
				if condition.ObservedGeneration < 1 {
					t.Errorf("condition %s has no observed generation", condition.Type)
				}
			}
		})
	}
}

// silent records no event.
type silent struct{}

func (silent) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

func (silent) AnnotatedEventf(runtime.Object, runtime.Object, map[string]string, string, string, string, string, ...any) {
}

// pushError is what a batch says of a push.
type pushError struct{ error }

func (e pushError) Unwrap() error { return e.error }

func (pushError) Is(target error) bool { return target == batch.ErrPush }

// templateFails is the error of a template that needs what no commit has.
func templateFails(t *testing.T) error {
	t.Helper()
	template, err := message.Compile("{{ index .Changed.Changes 7 }}")
	if err == nil {
		_, err = template.Render(message.Data{})
	}
	if !errors.Is(err, message.ErrTemplate) {
		t.Fatalf("error %v, want ErrTemplate", err)
	}
	return err
}

func TestOutcomeErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err     error
		kind    reconcile.Kind
		reason  string
		message string
	}{
		"hook":            {pushError{git.ErrDeclined}, reconcile.KindFailed, imagev1.GitOperationFailedReason, "failed to update source: " + git.ErrDeclined.Error()},
		"others push":     {fmt.Errorf("%w", pushError{git.ErrNonFastForward}), reconcile.KindFailed, imagev1.GitOperationFailedReason, "failed to update source: " + git.ErrNonFastForward.Error()},
		"no options":      {pushError{git.ErrPushOptions}, reconcile.KindFailed, imagev1.GitOperationFailedReason, "failed to update source: " + git.ErrPushOptions.Error()},
		"no repository":   {git.ErrNotFound, reconcile.KindFailed, imagev1.GitOperationFailedReason, "failed to checkout source: " + git.ErrNotFound.Error()},
		"server at push":  {pushError{git.ErrNotFound}, reconcile.KindFailed, imagev1.GitOperationFailedReason, "failed to update source: " + git.ErrNotFound.Error()},
		"template":        {&planError{templateFails(t)}, reconcile.KindFailed, imagev1.GitOperationFailedReason, "failed to update source: " + templateFails(t).Error()},
		"plan":            {&planError{errors.New("a.yaml does not exist")}, reconcile.KindFailed, imagev1.UpdateFailedReason, "failed to apply policies: a.yaml does not exist"},
		"refusal":         {&planError{&plan.RefusalError{Reason: imagev1.DigestRequiredReason}}, reconcile.KindStalled, imagev1.DigestRequiredReason, ""},
		"foreign commit":  {&branchModifiedError{"b", "abc", "Eve"}, reconcile.KindStalled, imagev1.BranchModifiedReason, (&branchModifiedError{"b", "abc", "Eve"}).Error()},
		"wrapped refusal": {errors.Join(&plan.RefusalError{Reason: imagev1.WriteConflictReason}), reconcile.KindStalled, imagev1.WriteConflictReason, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := errors.AsType[*reconcile.Error](outcomeError(tc.err))
			if !ok || got.Kind != tc.kind || got.Reason != tc.reason || got.Error() != tc.message {
				t.Errorf("%+v, want %+v", got, tc)
			}
		})
	}
}

// Each failure waits longer, but no longer than the interval.
func TestRetries(t *testing.T) {
	t.Parallel()
	c := &Controller{Options: Options{MinRetry: time.Second, MaxRetry: time.Minute, Jitter: func(d time.Duration) time.Duration { return d }}}
	s := &scope{obj: &imagev1.ImageUpdateAutomation{}, entry: &entry{}, run: &run{target: batch.Target{}}}
	s.obj.Spec.Interval.Duration = 5 * time.Second
	var got []time.Duration
	for range 4 {
		got = append(got, c.retryAfter(s, errors.New("down")))
	}
	c.retryAfter(s, nil)
	got = append(got, c.retryAfter(s, errors.New("down")))
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, time.Second} {
		if got[i] != want {
			t.Errorf("wait %d is %s, want %s", i, got[i], want)
		}
	}
}

func TestAnnotationsNameImages(t *testing.T) {
	t.Parallel()
	obj := &imagev1.ImageUpdateAutomation{}
	obj.Annotations = map[string]string{
		imagev1.ApproveAnnotation:  " model@sha256:1, other@sha256:2,model-b@sha256:3",
		imagev1.UnrejectAnnotation: "model:1.0,model@sha256:4",
	}
	if approved := approves(obj, "model"); !approved("sha256:1") || approved("sha256:2") || approved("sha256:3") || approved("") {
		t.Error("approvals are taken for others, or not at all")
	}
	if cleared := clears(obj, "model"); !cleared("1.0", "") || !cleared("x", "sha256:4") || cleared("1.1", "sha256:5") || cleared("", "") {
		t.Error("rejections are cleared for others, or not at all")
	}
}
