// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/clock"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/admission"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/gate"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// setupGate adds what answers requests for devices, on the leader.
func setupGate(a *app.App, o *Options, p *parts, metrics *admission.Metrics) error {
	core, err := corev1client.NewForConfig(a.Config)
	if err != nil {
		return fmt.Errorf("make the client for requests: %w", err)
	}
	answers := gate.NewMetrics()
	keeper := gate.New(gate.Options{
		Client: core, Namespace: o.Namespace, View: p.view, Holdings: p.holdings, Walker: p.walker, Ledger: p.ledger,
		Owners: gate.Live{Reader: a.Manager.GetAPIReader()}, Term: p.term, Metrics: answers,
		Refused: func(over ledger.Over) { metrics.Denied(over.Quota, over.Device, gate.Point) },
		Clock:   clock.RealClock{}, Log: a.Log.WithName("gate"),
	})
	if err := a.Manager.Add(keeper); err != nil {
		return fmt.Errorf("add the gate: %w", err)
	}
	p.counted = append(p.counted, keeper.Touch)
	return register(answers)
}
