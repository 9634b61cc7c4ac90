// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// newQuotaController prepares a gpu-quota-controller that serves its webhook
// at one address and tells the API server to call another.
func (p *Platform) newQuotaController(ctx context.Context, listen, call string, flags ...string) (*Controller, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("the webhook's address: %w", err)
	}
	_, called, err := net.SplitHostPort(call)
	if err != nil {
		return nil, fmt.Errorf("the address that the API server calls: %w", err)
	}
	return p.newController(ctx, "gpu-quota-controller", func(string) []string {
		// Certificates are made for names.
		return append([]string{"--webhook-port=" + port, "--webhook-url=https://localhost:" + called}, flags...)
	})
}

// HasteInElection has a leader that was killed replaced within seconds. A slow
// machine takes a leader that lives for a dead one then.
func HasteInElection() []string {
	return []string{"--leader-election-lease-duration=4s", "--leader-election-renew-deadline=3s", "--leader-election-retry-period=500ms"}
}

// StartQuotaReplicas starts n replicas of gpu-quota-controller, of which one
// leads, behind a Balancer that the API server calls. It returns once all are
// ready. Stop ends them with the rest.
func (p *Platform) StartQuotaReplicas(ctx context.Context, n int, flags ...string) ([]*Controller, error) {
	addresses := make([]string, n)
	for i := range addresses {
		var err error
		if addresses[i], err = testkit.FreeAddress(); err != nil {
			return nil, err
		}
	}
	var err error
	if p.balancer, err = Balance(ctx, addresses); err != nil {
		return nil, err
	}
	flags = append([]string{"--enable-leader-election"}, flags...)
	var errs []error
	for i := range addresses {
		replica, err := p.newQuotaController(ctx, addresses[i], p.balancer.Addr, flags...)
		if err != nil {
			return nil, err
		}
		p.replicas = append(p.replicas, replica)
		errs = append(errs, replica.Start(ctx))
	}
	return p.replicas, errors.Join(errs...)
}
