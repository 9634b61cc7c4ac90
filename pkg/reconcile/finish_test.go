// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	interval   = time.Hour
	retryAfter = time.Minute
)

// subject is an object, and what Finish did with it besides conditions.
type subject struct {
	*sourcev1.GitRepository
	failures []string
}

func newSubject(generation int64) *subject {
	return &subject{GitRepository: &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Generation: generation},
		Status:     sourcev1.GitRepositoryStatus{ObservedGeneration: -1},
	}}
}

func (s *subject) finish(err error, retry time.Duration) (ctrl.Result, error) {
	return Finish(s.GitRepository, err, Success{Reason: "Succeeded", Message: "stored it", After: interval}, Policy{
		RetryAfter:            retry,
		SetObservedGeneration: func(generation int64) { s.Status.ObservedGeneration = generation },
		Failed:                func(reason, message string) { s.failures = append(s.failures, reason+": "+message) },
	})
}

// shows returns the conditions in one line each.
func (s *subject) shows() map[string]string {
	shown := map[string]string{}
	for _, c := range s.Status.Conditions {
		shown[c.Type] = fmt.Sprintf("%s %s: %s (%d)", c.Status, c.Reason, c.Message, c.ObservedGeneration)
	}
	return shown
}

func TestFinish(t *testing.T) {
	cause := errors.New("no answer from https://user:secret@host/path?token=secret")
	const said = "no answer from https://host/path"
	for name, tc := range map[string]struct {
		err      error
		retry    time.Duration
		shows    map[string]string
		observed int64
		after    time.Duration
		backoff  bool
		failures []string
	}{
		"success": {
			shows:    map[string]string{"Ready": "True Succeeded: stored it (3)"},
			observed: 3, after: interval,
		},
		"failure with a retry interval": {
			err: Fail("Broken", cause), retry: retryAfter,
			shows:    map[string]string{"Ready": "False Broken: " + said + " (3)", "Reconciling": "True ProgressingWithRetry: " + said + " (3)"},
			observed: -1, after: retryAfter, failures: []string{"Broken: " + said},
		},
		"failure with the back-off of the queue": {
			err:      Fail("Broken", cause),
			shows:    map[string]string{"Ready": "False Broken: " + said + " (3)", "Reconciling": "True ProgressingWithRetry: " + said + " (3)"},
			observed: -1, backoff: true, failures: []string{"Broken: " + said},
		},
		"error of no kind": {
			err: cause, retry: retryAfter,
			shows:    map[string]string{"Ready": "False Failed: " + said + " (3)", "Reconciling": "True ProgressingWithRetry: " + said + " (3)"},
			observed: -1, after: retryAfter, failures: []string{"Failed: " + said},
		},
		"wait": {
			err: Wait(time.Second, "NotThere", cause), retry: retryAfter,
			shows:    map[string]string{"Ready": "False NotThere: " + said + " (3)", "Reconciling": "True ProgressingWithRetry: " + said + " (3)"},
			observed: -1, after: time.Second,
		},
		"stall": {
			err: Stalled("Nonsense", cause), retry: retryAfter,
			shows:    map[string]string{"Ready": "False Nonsense: " + said + " (3)", "Stalled": "True Nonsense: " + said + " (3)"},
			observed: 3, failures: []string{"Nonsense: " + said},
		},
		"progress": {
			err: Progress(time.Second, "Progressing", cause), retry: retryAfter,
			shows:    map[string]string{"Ready": "Unknown Progressing: " + said + " (3)", "Reconciling": "True Progressing: " + said + " (3)"},
			observed: -1, after: time.Second,
		},
		"wrapped": {
			err:      fmt.Errorf("phase: %w", Wait(time.Second, "NotThere", cause)),
			shows:    map[string]string{"Ready": "False NotThere: " + said + " (3)", "Reconciling": "True ProgressingWithRetry: " + said + " (3)"},
			observed: -1, after: time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSubject(3)
			result, err := s.finish(tc.err, tc.retry)
			if diff := cmp.Diff(tc.shows, s.shows()); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if s.Status.ObservedGeneration != tc.observed {
				t.Errorf("observed generation %d, want %d", s.Status.ObservedGeneration, tc.observed)
			}
			if diff := cmp.Diff(ctrl.Result{RequeueAfter: tc.after}, result); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if (err != nil) != tc.backoff || err != nil && !errors.Is(err, cause) {
				t.Errorf("error %v, want one: %t", err, tc.backoff)
			}
			if diff := cmp.Diff(tc.failures, s.failures); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever came before, each outcome leaves its own conditions and no others.
func TestFinishTakesBackWhatWasSaid(t *testing.T) {
	outcomes := map[string]error{
		"success": nil, "failure": Fail("Broken", errors.New("x")), "wait": Wait(1, "NotThere", errors.New("x")),
		"stall": Stalled("Nonsense", errors.New("x")), "progress": Progress(1, "Progressing", errors.New("x")),
	}
	want := map[string][]string{
		"success": {"Ready"}, "failure": {"Ready", "Reconciling"}, "wait": {"Ready", "Reconciling"},
		"stall": {"Ready", "Stalled"}, "progress": {"Ready", "Reconciling"},
	}
	for first, before := range outcomes {
		for second, after := range outcomes {
			t.Run(first+", then "+second, func(t *testing.T) {
				s := newSubject(3)
				if _, err := s.finish(before, retryAfter); err != nil {
					t.Fatal(err)
				}
				if _, err := s.finish(after, retryAfter); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want[second], present(s)); diff != "" {
					t.Errorf("conditions (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func present(s *subject) []string {
	var names []string
	for _, name := range []string{meta.ReadyCondition, meta.ReconcilingCondition, meta.StalledCondition} {
		if conditions.Has(s.GitRepository, name) {
			names = append(names, name)
		}
	}
	return names
}

func TestFinishTellsOfAFailureOnce(t *testing.T) {
	long := strings.Repeat("x", 100_000) // a condition cuts it off
	for name, tc := range map[string]struct {
		errs []error
		want int
	}{
		"same":                  {[]error{Fail("A", errors.New("x")), Fail("A", errors.New("x"))}, 1},
		"another message":       {[]error{Fail("A", errors.New("x")), Fail("A", errors.New("y"))}, 2},
		"another reason":        {[]error{Fail("A", errors.New("x")), Fail("B", errors.New("x"))}, 2},
		"long":                  {[]error{Fail("A", errors.New(long)), Fail("A", errors.New(long))}, 1},
		"stall":                 {[]error{Stalled("A", errors.New("x")), Stalled("A", errors.New("x"))}, 1},
		"success between":       {[]error{Fail("A", errors.New("x")), nil, Fail("A", errors.New("x"))}, 2},
		"waiting is no failure": {[]error{Wait(1, "A", errors.New("x"))}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSubject(1)
			var last *metav1.Condition
			for _, err := range tc.errs {
				_, _ = s.finish(err, retryAfter)
				last = conditions.Get(s.GitRepository, meta.ReadyCondition).DeepCopy()
			}
			if len(s.failures) != tc.want {
				t.Errorf("told of %d failures, want %d", len(s.failures), tc.want)
			}
			_, _ = s.finish(tc.errs[len(tc.errs)-1], retryAfter)
			if diff := cmp.Diff(last, conditions.Get(s.GitRepository, meta.ReadyCondition)); diff != "" {
				t.Errorf("the same outcome has changed the condition (-before +after):\n%s", diff)
			}
		})
	}
}

func TestProgressKeepsReadyForTheSameGeneration(t *testing.T) {
	progress := Progress(time.Second, "Progressing", errors.New("applying"))
	s := newSubject(1)
	_, _ = s.finish(nil, 0)
	_, _ = s.finish(progress, 0)
	want := map[string]string{"Ready": "True Succeeded: stored it (1)", "Reconciling": "True Progressing: applying (1)"}
	if diff := cmp.Diff(want, s.shows()); diff != "" {
		t.Errorf("same generation (-want +got):\n%s", diff)
	}
	s.Generation = 2
	_, _ = s.finish(progress, 0)
	want = map[string]string{"Ready": "Unknown Progressing: applying (2)", "Reconciling": "True Progressing: applying (2)"}
	if diff := cmp.Diff(want, s.shows()); diff != "" {
		t.Errorf("next generation (-want +got):\n%s", diff)
	}
}

func TestRun(t *testing.T) {
	stop := errors.New("stop")
	phase := func(name string, err error) Phase[*[]string] {
		return func(_ context.Context, done *[]string) error {
			*done = append(*done, name)
			return err
		}
	}
	for name, tc := range map[string]struct {
		phases []Phase[*[]string]
		want   []string
		err    error
	}{
		"none": {},
		"all":  {[]Phase[*[]string]{phase("a", nil), phase("b", nil)}, []string{"a", "b"}, nil},
		"stop": {[]Phase[*[]string]{phase("a", nil), phase("b", stop), phase("c", nil)}, []string{"a", "b"}, stop},
	} {
		t.Run(name, func(t *testing.T) {
			var done []string
			if err := Run(t.Context(), &done, tc.phases...); !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, done); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
		})
	}
}
