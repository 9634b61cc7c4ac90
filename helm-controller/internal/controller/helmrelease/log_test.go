// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	ctrl "sigs.k8s.io/controller-runtime"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// Whoever reads in the log that an action was begun finds there how it has ended.
func TestLogTellsHowActionsEnd(t *testing.T) {
	t.Parallel()
	step := state.Step{Action: state.Upgrade, Target: state.Target{Name: "web", Namespace: "ml"}}
	for name, tc := range map[string]struct {
		outcome helm.Outcome
		want    []string
	}{
		"well":     {helm.Outcome{Step: step, Duration: 1200 * time.Millisecond}, []string{`"msg"="ended"`, `"action"="upgrade"`, `"release"="ml/web"`, `"after"="1.2s"`}},
		"badly":    {helm.Outcome{Step: step, Err: errors.New("get https://u:hunter2@x.io: no")}, []string{`"msg"="failed"`, "no"}},
		"cut off":  {helm.Outcome{Step: step, Err: errors.New("canceled: the chart has changed"), Canceled: "the chart has changed"}, []string{`"msg"="cut off"`, "the chart has changed"}},
		"the gate": {helm.Outcome{Step: step, Err: reconcile.Wait(time.Minute, helmv2.GPUQuotaExceededReason, errors.New("no GPUs"))}, []string{`"msg"="cut off"`, "no GPUs"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			logEnd(ctrl.LoggerInto(t.Context(), funcr.New(func(_, args string) { got += args }, funcr.Options{})), tc.outcome)
			for _, want := range tc.want {
				if !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
					t.Errorf("logged %s, want %s in it", got, want)
				}
			}
		})
	}
}
