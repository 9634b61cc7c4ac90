// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/weir-gitops/weir/hack/chaos/clock"
)

// clockScenarios step the time of day of processes, and not that of the machine.
func clockScenarios() []scenario {
	const length, after = time.Minute, 90 * time.Second
	return []scenario{
		{
			name: "clock-ahead", did: "the clocks of the controllers an hour ahead for 60 s", times: 2, lasts: length, after: after,
			strike: func(ctx context.Context, a *arena) (func(context.Context) error, error) {
				return a.ground.step(ctx, time.Hour, false)
			},
		},
		{
			name: "clock-behind", did: "the clocks of the controllers an hour behind for 60 s", times: 2, lasts: length, after: after,
			strike: func(ctx context.Context, a *arena) (func(context.Context) error, error) {
				return a.ground.step(ctx, -time.Hour, false)
			},
		},
		{
			name: "clock-node", did: "the clocks of everything on the node, the control plane too, an hour ahead for 60 s, and then kubelet restarted",
			times: 2, lasts: length, after: after, takes: onNode, strike: stepNode,
		},
	}
}

// stepNode puts the whole node ahead. Back again, kubelet holds tokens that are
// not valid for another hour, gives them to the containers, and sees no reason to
// ask for others: they are young. It forgets them when it is restarted.
func stepNode(ctx context.Context, a *arena) (func(context.Context) error, error) {
	heal, err := a.ground.step(ctx, time.Hour, true)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		const kubelet = "kubelet"
		c := a.ground.cluster()
		return errors.Join(heal(ctx), c.StopComponent(ctx, kubelet), c.StartComponent(ctx, kubelet))
	}, nil
}

// stepEvery is how often there is a look for processes that are new: they begin
// with the machine's clock.
const stepEvery = 500 * time.Millisecond

// keepOff has all of some processes see another time of day until heal is called,
// those that begin meanwhile too.
func keepOff(ctx context.Context, by time.Duration, processes func() ([]int, error)) (heal func(context.Context) error, err error) {
	stepAll := func(by time.Duration) error {
		pids, err := processes()
		for _, pid := range pids {
			// It may have ended.
			if failed := clock.Step(pid, by); failed != nil && !errors.Is(failed, fs.ErrNotExist) {
				err = errors.Join(err, failed)
			}
		}
		return err
	}
	step := func(by time.Duration) error {
		if stepAll(by) == nil {
			return nil
		}
		return stepAll(by) // one was about to become another program
	}
	if err := step(by); err != nil {
		return nil, errors.Join(err, step(0))
	}
	following, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() {
		var last error
		every(following, stepEvery, func() { last = step(by) })
		stopped <- last
	}()
	return func(context.Context) error {
		stop()
		return errors.Join(<-stopped, step(0))
	}, nil
}
