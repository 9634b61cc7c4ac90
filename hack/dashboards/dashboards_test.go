// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/hack/dashboards/rehearsal"
)

// patience bounds what the test waits for, the build of the controllers included.
const patience = 8 * time.Minute

// TestWhatIsSeen looks at the platform after it went through everything: at
// its dashboards, its metrics, its logs and its profiles.
func TestWhatIsSeen(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	r, err := rehearsal.Run(ctx, "--log-encoding=json")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Platform.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	t.Logf("the rehearsal took %s", time.Since(began).Round(time.Second))
	for _, look := range []struct {
		at string
		by func(context.Context, *testing.T, *rehearsal.Rehearsal)
	}{
		{"dashboards", queriesReturnData},
		{"metrics", metricsAreAsDocumented},
		{"stray lines", strayLinesAreStructured},
		{"logs", logsAreStructured},
		{"profiles", profilesAreBehindAFlag},
		{"audit trail", auditFindsCommits},
		{"alerts", alertsAskForWhatThereIs},
	} {
		t.Run(look.at, func(t *testing.T) { look.by(ctx, t, r) })
	}
}

// queriesReturnData runs the queries as they are in the files, with Grafana's
// variables filled in.
func queriesReturnData(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	for _, file := range Files() {
		d, err := Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, panel := range d.Panels {
			if len(panel.Targets) == 0 {
				t.Errorf("%s: %s asks for nothing", file, panel.Title)
			}
			for _, target := range panel.Targets {
				series, err := r.Prometheus.Range(ctx, d.Fill(target.Expr), r.Began, time.Now())
				if err != nil || len(series) == 0 {
					t.Errorf("%s: %s: %s returns %d series and error %v", file, panel.Title, target.Expr, len(series), err)
				}
			}
		}
	}
}
