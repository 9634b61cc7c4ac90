// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-gitops/weir/hack/chaos/wire"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// A strike begins a disturbance and returns what ends it, if it has an end.
type strike = func(ctx context.Context, a *arena) (lift func(context.Context) error, err error)

// scenarios are all of them but for the random killing.
// age is that of the snapshot that etcd goes back to.
func scenarios(age time.Duration) []scenario {
	return slices.Concat(podScenarios(), inside(age), clockScenarios(), serverScenarios(), partitions())
}

// inside are those that disturb what is inside of the cluster.
func inside(age time.Duration) []scenario {
	return []scenario{
		{
			name: "disk", did: "source-controller killed, its disk wiped", times: 5,
			strike: func(ctx context.Context, a *arena) (func(context.Context) error, error) {
				return nil, a.ground.loseDisk(ctx, sourceController)
			},
		},
		{
			name: "api", did: "API server away for 60 s", times: 3, lasts: time.Minute,
			strike: func(ctx context.Context, a *arena) (func(context.Context) error, error) { return a.ground.stopAPI(ctx) },
		},
		{
			name: "etcd", did: fmt.Sprintf("etcd restored from a snapshot %.0f minutes old", age.Minutes()), times: 1, lasts: age, anew: true,
			strike: goBack,
		},
		{
			name: "watches", did: "every connection to the API server cut, 10 times in 10 s", times: 5, strike: cutAgain,
		},
		{
			name: "api-certificate", did: "the API server's certificate expired and every connection to it cut, and a renewed one after 60 s", times: 3, lasts: time.Minute,
			strike: expireServing,
		},
		{
			name: "webhook", did: "the webhook hangs for 30 s", times: 3, lasts: 30 * time.Second,
			strike: func(ctx context.Context, a *arena) (func(context.Context) error, error) {
				return a.ground.freeze(ctx, quotaController)
			},
		},
		{
			name: "certificate", did: "the webhook's certificate and its authority expired while gpu-quota-controller was down", times: 3,
			strike: func(ctx context.Context, a *arena) (func(context.Context) error, error) {
				return nil, a.ground.absent(ctx, quotaController, a.expireCertificate)
			},
		},
	}
}

// goBack takes a snapshot now, and goes back to it when it is lifted.
func goBack(ctx context.Context, a *arena) (func(context.Context) error, error) {
	file := filepath.Join(a.ground.dir(), "snapshot")
	if err := a.ground.cluster().Snapshot(ctx, file); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return a.ground.cluster().Restore(ctx, file) }, nil
}

// cutAgain cuts the connections to the API server once a second, ten times.
func cutAgain(ctx context.Context, a *arena) (func(context.Context) error, error) {
	all := 0
	for range 10 {
		cut, err := a.ground.cutAPI(ctx, false)
		if err != nil {
			return nil, err
		}
		all += cut
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	if all == 0 {
		return nil, errors.New("there was no connection to cut")
	}
	return func(context.Context) error { return nil }, nil
}

// serverScenarios disturb what is outside of the cluster.
func serverScenarios() []scenario {
	const length = 30 * time.Second
	var list []scenario
	for _, state := range []struct {
		name, did string
		state     wire.State
	}{
		{"down", "refuses connections", wire.Down},
		{"hangs", "hangs", wire.Blocked},
		{"slow", fmt.Sprintf("serves %d bytes a second", wire.SlowBytes), wire.Slow},
	} {
		list = append(list,
			scenario{
				name: "git-" + state.name, did: fmt.Sprintf("the Git server %s for %.0f s", state.did, length.Seconds()), times: 2, lasts: length,
				strike: onWire(func(a *arena) *wire.Wire { return a.load.gitWire }, state.state),
			},
			scenario{
				name: "registry-" + state.name, did: fmt.Sprintf("the registry %s for %.0f s", state.did, length.Seconds()), times: 2, lasts: length,
				strike: onWire(func(a *arena) *wire.Wire { return a.load.regWire }, state.state),
			})
	}
	return append(list,
		scenario{
			name: "git-garbage", did: "the Git server answers with wrong bytes, half of what it should, a login page and errors, for 10 s each", times: 2,
			strike: gitGarbage,
		},
		scenario{
			name: "registry-garbage", did: "the registry answers with a wrong byte, half of what it should, a login page and errors, for 10 s each", times: 2,
			strike: registryGarbage,
		})
}

// onWire puts a wire into a state.
func onWire(which func(*arena) *wire.Wire, state wire.State) strike {
	return func(_ context.Context, a *arena) (func(context.Context) error, error) {
		which(a).Set(state)
		return func(context.Context) error {
			which(a).Set(wire.Whole)
			return nil
		}, nil
	}
}

// garbageFor is how long each sort of garbage is served.
const garbageFor = 10 * time.Second

func gitGarbage(ctx context.Context, a *arena) (func(context.Context) error, error) {
	var errs []error
	for _, fault := range []testkit.GitFault{testkit.GitGarbled, testkit.GitTruncated, testkit.GitLoginPage, testkit.GitError} {
		a.load.git.SetFault(fault)
		errs = append(errs, pause(ctx, garbageFor))
	}
	return func(context.Context) error {
		a.load.git.SetFault(testkit.GitHealthy)
		return nil
	}, errors.Join(errs...)
}

func registryGarbage(ctx context.Context, a *arena) (func(context.Context) error, error) {
	var errs []error
	for _, fault := range []testkit.RegistryFault{{Tamper: true}, {Truncate: true}, {Garbage: true}, {Code: http.StatusBadGateway}} {
		a.load.registry.Inject(func(*http.Request) testkit.RegistryFault { return fault })
		errs = append(errs, pause(ctx, garbageFor))
	}
	return func(context.Context) error {
		a.load.registry.Inject(nil)
		return nil
	}, errors.Join(errs...)
}

// partitions keep controllers from each other and from the API server.
func partitions() []scenario {
	const length = time.Minute
	var list []scenario
	for _, pair := range [][2]string{
		{kustomizeController, sourceController},
		{kustomizeController, ""}, {sourceController, ""}, {helmController, ""}, {quotaController, ""}, {imageController, ""},
	} {
		other, name := pair[1], "partition-"+strings.TrimSuffix(pair[0]+"-"+pair[1], "-")
		if other == "" {
			other = "the API server"
		}
		list = append(list, scenario{
			name: name,
			did:  fmt.Sprintf("%s parted from %s for %.0f s, packets lost", pair[0], other, length.Seconds()), times: 1, lasts: length,
			strike: func(ctx context.Context, a *arena) (func(context.Context) error, error) {
				return a.ground.part(ctx, pair[0], pair[1])
			},
		})
	}
	return list
}
