// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/hack/platform"
)

// TestNothingIsGivenAwayTwice is a small storm with kills; the benchmarks have a
// large one.
func TestNothingIsGivenAwayTwice(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	p, err := platform.StartBare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	api, err := kubernetes.NewForConfig(p.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := quotav1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	quotas, err := client.New(p.Cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	replicas, err := p.StartQuotaReplicas(ctx, 3, platform.HasteInElection()...)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(ctx, api, quotas, replicas, Plan{Roots: 4, Creates: 800, Workers: 20, KillEvery: 2 * time.Second, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v, %d changes of pods, %d kills; ledgers have at most %d bytes and %.1f writes a second",
		report.Tally, report.Events, report.Kills, report.LargestLedger, report.BusiestLedger)
	for _, breach := range report.Breaches {
		t.Error(breach)
	}
	if report.Admitted == 0 || report.Denied == 0 || report.Kills == 0 {
		t.Error("this was no storm: something has to be admitted and denied, and somebody killed")
	}
	if report.LargestLedger > 32<<10 || report.BusiestLedger > 20 {
		t.Error("a ledger is beyond its bounds of 32 KiB and 20 writes a second")
	}
}
