// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/hack/platform"
)

// Report is what a storm has shown.
type Report struct {
	Tally

	// Breaches are the moments at which a quota held more than its limit.
	Breaches []Breach
	// Events is how many changes of pods were replayed.
	Events int
	// Kills is how often a replica was killed.
	Kills int
	// Left is how many reservations were open when the ledgers had settled,
	// or had had their time.
	Left int
	// Settled is how long after the last create none was open any more.
	Settled time.Duration
	// LargestLedger is in bytes, BusiestLedger in writes a second.
	LargestLedger int
	BusiestLedger float64
	// Took is the time of the creates.
	Took time.Duration
}

// Run sets the quotas up, blows the storm and replays it. The replicas must be
// running, without any quota yet.
func Run(ctx context.Context, api kubernetes.Interface, quotas client.Client, replicas []*platform.Controller, plan Plan) (*Report, error) {
	if err := setUp(ctx, api, quotas, plan); err != nil {
		return nil, err
	}
	pods, err := api.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("list the pods: %w", err)
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	seen, played := &ledgers{}, newReplay()
	done := make(chan struct{})
	var background errgroup.Group
	background.Go(func() error { return seen.observe(watching, api) })
	background.Go(func() error { return played.follow(ctx, api, pods.ResourceVersion, done) })

	report := &Report{}
	begun := time.Now()
	tally, err := stormWithKills(ctx, api, replicas, plan, report)
	close(done)
	report.Took = time.Since(begun)
	if err == nil {
		err = settle(ctx, api, plan, report)
	}
	stopWatching()
	if err := errors.Join(err, background.Wait()); err != nil {
		return nil, err
	}
	report.Tally = *tally
	report.Breaches, report.Events = played.breaches, played.events
	report.LargestLedger, report.BusiestLedger = seen.largest, seen.busiest()
	return report, nil
}

// stormWithKills runs the clients, and kills and restarts replicas meanwhile.
func stormWithKills(ctx context.Context, api kubernetes.Interface, replicas []*platform.Controller, plan Plan, report *Report) (*Tally, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	killing := make(chan error, 1)
	calm := make(chan struct{})
	go func() { killing <- kill(ctx, replicas, plan, calm, report) }()
	tally, err := blow(ctx, api, plan)
	close(calm)
	return tally, errors.Join(err, <-killing)
}

// kill ends a replica with kill -9 now and then and starts it again, until
// calm is closed. It leaves all running.
func kill(ctx context.Context, replicas []*platform.Controller, plan Plan, calm <-chan struct{}, report *Report) error {
	if plan.KillEvery == 0 {
		return nil
	}
	random := rand.New(rand.NewPCG(plan.Seed, 1<<32)) //#nosec G404 -- a choice that can be repeated
	for {
		pause := time.NewTimer(plan.KillEvery/2 + time.Duration(random.Int64N(int64(plan.KillEvery))))
		select {
		case <-calm:
			pause.Stop()
			return nil
		case <-pause.C:
		}
		replica := replicas[random.IntN(len(replicas))]
		if err := replica.Kill(); err != nil {
			return err
		}
		report.Kills++
		if err := replica.Start(ctx); err != nil {
			return fmt.Errorf("start a replica after it was killed: %w", err)
		}
	}
}

// settle waits until no reservation is open, as long as the plan says.
func settle(ctx context.Context, api kubernetes.Interface, plan Plan, report *Report) error {
	ctx, cancel := context.WithTimeout(ctx, plan.Settling)
	defer cancel()
	begun := time.Now()
	err := platform.Await(ctx, func(ctx context.Context) error {
		open, closed, err := reservations(ctx, api)
		if err != nil {
			return err
		}
		report.Left = open
		if open > 0 || closed > 0 {
			return fmt.Errorf("%d reservations are open and %d ledgers closed", open, closed)
		}
		return nil
	})
	report.Settled = time.Since(begun)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the report says how many are left
	}
	return err
}

// setUp makes the trees and the namespaces, and waits until they are enforced.
func setUp(ctx context.Context, api kubernetes.Interface, quotas client.Client, plan Plan) error {
	for root := range plan.Roots {
		if err := quotas.Create(ctx, newQuota(rootName(root), "", rootHard)); err != nil {
			return fmt.Errorf("create a quota: %w", err)
		}
		for team := range teams {
			name := namespaceName(root, team)
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{quotav1.LabelPrefix + "storm": name}}}
			if _, err := api.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create a namespace: %w", err)
			}
			if err := quotas.Create(ctx, newQuota(name, rootName(root), teamHard)); err != nil {
				return fmt.Errorf("create a quota: %w", err)
			}
		}
	}
	return platform.Await(ctx, func(ctx context.Context) error {
		var list quotav1.GPUQuotaList
		if err := quotas.List(ctx, &list); err != nil {
			return err
		}
		for i := range list.Items {
			if !meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, "Ready") {
				return fmt.Errorf("GPUQuota %q is not enforced yet", list.Items[i].Name)
			}
		}
		return nil
	})
}

func newQuota(name, parent string, hard int64) *quotav1.GPUQuota {
	quota := &quotav1.GPUQuota{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       quotav1.GPUQuotaSpec{Limits: []quotav1.Limit{{Device: quotav1.DefaultDevice, Hard: strconv.FormatInt(hard, 10)}}},
	}
	if parent != "" {
		quota.Spec.ParentRef = &quotav1.ParentReference{Name: parent}
		quota.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{quotav1.LabelPrefix + "storm": name}}
	}
	return quota
}
