// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	// failovers is how often the leader is killed, failoverSources how many
	// artifacts there are, and failoverBytes how large each is.
	failovers, failoverSources, failoverBytes = 9, 20, 1 << 20
	failoverNamespace                         = "failover"
	// consumerRetries is the default of --http-retry of those who download.
	consumerRetries = 9
)

// availabilityFlags are those of the overlay for high availability.
func availabilityFlags() []string {
	return []string{"--leader-election-lease-duration=10s", "--leader-election-renew-deadline=8s", "--leader-election-retry-period=2s"}
}

// failoverRig is two replicas of source-controller whose remote is gone.
type failoverRig struct {
	client    client.Client
	replicas  []*platform.Controller
	artifacts []*fluxmeta.Artifact
}

// measureFailover measures how long a consumer, which downloads and tries again
// as the controllers do, waits for an artifact when the leader was killed.
func measureFailover(ctx context.Context, out results) (err error) {
	p, err := platform.StartBare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(context.WithoutCancel(ctx))) }()
	r, err := newFailoverRig(ctx, p)
	if err != nil {
		return err
	}
	var took, all []time.Duration
	for i := range failovers {
		one, last, err := r.failOver(ctx, i%2)
		if err != nil {
			return fmt.Errorf("failover %d: %w", i+1, err)
		}
		took, all = append(took, one), append(all, last)
		fmt.Printf("  leader killed, Git down: first artifact after %.1f s, all %d after %.1f s\n", one.Seconds(), failoverSources, last.Seconds())
	}
	slices.Sort(took)
	// failover_seconds is what make chaos measures, with pods.
	out["failover_processes_seconds"], out["failover_processes_p50_seconds"] = took[len(took)-1].Seconds(), took[len(took)/2].Seconds()
	out["failover_processes_all_seconds"] = slices.Max(all).Seconds()
	return nil
}

func newFailoverRig(ctx context.Context, p *platform.Platform) (*failoverRig, error) {
	r := &failoverRig{}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	var err error
	if r.client, err = client.New(p.Cluster.Config(), client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	if r.replicas, err = p.StartSourceReplicas(ctx, 2, availabilityFlags()...); err != nil {
		return nil, err
	}
	return r, r.publish(ctx, filepath.Join(p.Dir(), "repos"))
}

// publish makes sources, waits for their artifacts, and ends the Git server.
func (r *failoverRig) publish(ctx context.Context, dir string) error {
	repo, err := testkit.NewGitRepo(ctx, filepath.Join(dir, "models.git"))
	if err != nil {
		return err
	}
	noise := make([]byte, failoverBytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // it never fails
	if _, err := repo.Commit(ctx, testkit.GitCommit{Files: testkit.Files(map[string]string{"weights": string(noise)})}); err != nil {
		return err
	}
	server, err := testkit.NewGitServer(dir) //nolint:contextcheck // The server goes on until Close.
	if err != nil {
		return err
	}
	defer server.Close()
	if err := r.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: failoverNamespace}}); err != nil {
		return err
	}
	for i := range failoverSources {
		err := r.client.Create(ctx, &sourcev1.GitRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: failoverNamespace, Name: fmt.Sprintf("models-%d", i)},
			Spec: sourcev1.GitRepositorySpec{
				URL: server.URL + "/models.git", Interval: metav1.Duration{Duration: time.Minute}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
			},
		})
		if err != nil {
			return err
		}
	}
	return platform.Await(ctx, func(ctx context.Context) error {
		var list sourcev1.GitRepositoryList
		if err := r.client.List(ctx, &list, client.InNamespace(failoverNamespace)); err != nil {
			return err
		}
		r.artifacts = nil
		for i := range list.Items {
			if conditions.IsReady(&list.Items[i]) {
				r.artifacts = append(r.artifacts, list.Items[i].Status.Artifact)
			}
		}
		return missing("artifacts", len(r.artifacts))
	})
}

// missing is an error about what there is too little of.
func missing(what string, count int) error {
	if count < failoverSources {
		return fmt.Errorf("%d of %d %s", count, failoverSources, what)
	}
	return nil
}

// failOver kills the leader at any point between two renewals, when the other
// replica has the artifacts, and starts it again with an empty disk. It returns
// when the first artifact was downloaded, and the last.
func (r *failoverRig) failOver(ctx context.Context, leader int) (first, last time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	standby := &controller{metrics: r.replicas[1-leader].Metrics}
	err = platform.Await(ctx, func(context.Context) error {
		copied, err := standby.sum("weir_source_mirror_artifacts", func(labels map[string]string) bool { return labels["state"] == "copied" })
		return errors.Join(err, missing("copies", int(copied)))
	})
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-time.After(rand.N(2 * time.Second)): //#nosec G404 -- guards nothing
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	begun := time.Now()
	if err := r.replicas[leader].Kill(); err != nil {
		return 0, 0, err
	}
	times := make([]time.Duration, len(r.artifacts))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, a := range r.artifacts {
		group.Go(func() error {
			consumer := artifact.NewFetcher(&http.Client{Transport: &http.Transport{}}, consumerRetries, 2*failoverBytes)
			err := consumer.Fetch(groupCtx, a, io.Discard)
			times[i] = time.Since(begun)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	if err := r.replicas[leader].LoseDisk(); err != nil {
		return 0, 0, err
	}
	return slices.Min(times), slices.Max(times), r.replicas[leader].Start(ctx)
}
