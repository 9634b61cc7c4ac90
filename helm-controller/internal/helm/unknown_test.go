// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
)

// An action whose end cannot be read has not failed: what is stored tells when
// it can be.
func TestAnEndThatCannotBeReadIsFoundOutLater(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := wish{r.chart(app("1.0.0")), nil}
	step := r.next(w, nil)
	state.Begin(r.object, step, time.Now())
	job := r.job(step.Action, w.chart, w.values)
	job.Step = step
	stored := false
	r.each(func(req *http.Request) error {
		if !strings.Contains(req.URL.Path, "/secrets") {
			return nil
		}
		if req.Method == http.MethodPut {
			stored = true
		} else if stored {
			return errGone
		}
		return nil
	})
	outcome := r.run(job)
	if !outcome.Unknown || outcome.Err != nil || outcome.Release != nil {
		t.Fatalf("the outcome is %+v", outcome)
	}
	r.each(nil)
	if done := r.fulfil(w); len(done) > 0 {
		t.Errorf("it took %v", done)
	}
	if status := r.object.Status; len(status.History) != 1 || status.History[0].Status != string(release.Deployed) || status.Failures > 0 {
		t.Errorf("status %+v", status)
	}
}
