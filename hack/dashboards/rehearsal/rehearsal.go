// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package rehearsal has the platform go through what dashboards, metrics and
// logs are to show: commits that arrive, one that is refused, changes by hand,
// a budget that is full, and models that are published.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/platform"
)

// nodes of the cluster, with 8 GPUs each.
const nodes = 2

// Who commits.
const (
	ada = "Ada Okafor <ada@acme-ml.example>"
	mei = "Mei Tanaka <mei@acme-ml.example>"
)

// Files of the example, and the namespace of the team that serves.
const (
	serverGPUs       = "infra/" + platform.Environment + "/model-server/gpus.yaml"
	serverDisruption = "infra/base/model-server/disruption.yaml"
	serving          = "team-serving"
	server           = "model-server"
)

// A Rehearsal is what is left of it: the platform is still up.
type Rehearsal struct {
	Platform   *platform.Platform
	Prometheus *platform.Prometheus
	// Began and Ended are when the controllers were ready, and when the last
	// step was seen.
	Began, Ended time.Time
	// First, Raised and Refused are commits: the first one, one that went
	// through, and one that was refused.
	First, Raised, Refused string
	// Held are the types of the metrics that there were while an image was held:
	// Prometheus forgets what is not served any more.
	Held map[string]string
}

// Run brings a platform up and goes through everything. Flags are given to every
// controller. Nothing is left after an error; otherwise the caller stops the
// platform.
func Run(ctx context.Context, flags ...string) (*Rehearsal, error) {
	p, err := platform.New()
	if err != nil {
		return nil, err
	}
	p.Flags = flags
	r := &Rehearsal{Platform: p}
	for _, step := range []func(context.Context) error{
		p.Build,
		func(ctx context.Context) error { return p.StartCluster(ctx, nodes) },
		p.Install,
		p.StartControllers,
		r.startPrometheus,
		p.Serve,
		r.pushFirst,
		r.raise,
		r.scaleByHand,
		r.pushBad,
		r.neverFits,
		r.fill,
		r.publish,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, r.tails(), p.Stop(context.WithoutCancel(ctx)))
		}
	}
	r.Ended = time.Now()
	return r, nil
}

// tails are the ends of the logs.
func (r *Rehearsal) tails() error {
	var errs []error
	for _, c := range r.Platform.Controllers() {
		errs = append(errs, fmt.Errorf("the end of the log of %s:\n%s", c.Name, c.LogTail(10)))
	}
	return errors.Join(errs...)
}

func (r *Rehearsal) startPrometheus(ctx context.Context) (err error) {
	r.Began = time.Now()
	r.Prometheus, err = r.Platform.StartPrometheus(ctx)
	return err
}

func (r *Rehearsal) pushFirst(ctx context.Context) (err error) {
	if r.First, err = r.Platform.Repository.Push(ctx, platform.Change{Author: ada, Message: "Set up the platform"}); err != nil {
		return err
	}
	if err := r.Platform.Connect(ctx); err != nil {
		return err
	}
	return r.applied(ctx, r.First)
}

// applied waits until all Kustomizations are Ready at a commit.
func (r *Rehearsal) applied(ctx context.Context, commit string) error {
	return platform.Await(ctx, func(ctx context.Context) error { return r.Platform.Applied(ctx, commit) })
}

// raise gives the model server a second GPU.
func (r *Rehearsal) raise(ctx context.Context) (err error) {
	r.Raised, err = r.Platform.Repository.Push(ctx, platform.Change{
		Author: mei, Message: "Serve the model on two GPUs",
		Edits: []platform.Edit{{Path: serverGPUs, Old: `&gpus "1"`, New: `&gpus "2"`}},
	})
	if err != nil {
		return err
	}
	return r.applied(ctx, r.Raised)
}

// scaleByHand scales the model server until Weir no longer puts it back at
// once, and says so.
func (r *Rehearsal) scaleByHand(ctx context.Context) error {
	replicas := 2
	return platform.Await(ctx, func(ctx context.Context) error {
		k, err := r.Platform.Kustomization(ctx, server)
		if err != nil {
			return err
		}
		if drifted := meta.FindStatusCondition(k.Status.Conditions, kustomizev1.DriftedCondition); drifted != nil && drifted.Reason == kustomizev1.FieldContestedReason {
			return nil
		}
		live, err := r.Platform.Kubectl(ctx, "get", "--namespace="+serving, "deployment/"+server, "--output=jsonpath={.spec.replicas}")
		if err != nil || live != "1" {
			return errors.Join(err, fmt.Errorf("the model server has %s replicas, and has not been put back", live))
		}
		if _, err := r.Platform.Kubectl(ctx, "scale", "--namespace="+serving, "deployment/"+server, fmt.Sprintf("--replicas=%d", replicas)); err != nil {
			return err
		}
		return errors.New("the number of replicas of the model server is not contested")
	})
}

// pushBad commits what the API server does not take, and takes it back.
func (r *Rehearsal) pushBad(ctx context.Context) (err error) {
	r.Refused, err = r.refused(ctx, platform.Change{
		Author: mei, Message: "Let nobody disrupt the model server",
		Edits: []platform.Edit{{Path: serverDisruption, Old: "maxUnavailable: 1", New: "maxUnavailable: -1"}},
	})
	return err
}

// neverFits commits what is more than the whole budget, and takes it back.
func (r *Rehearsal) neverFits(ctx context.Context) error {
	_, err := r.refused(ctx, platform.Change{
		Author: mei, Message: "Serve with nine replicas",
		Edits: []platform.Edit{{Path: serverGPUs, Old: "replicas: 1", New: "replicas: 9"}},
	})
	return err
}

// refused pushes a change, sees that the model server's Kustomization does not
// take it, and reverts it.
func (r *Rehearsal) refused(ctx context.Context, change platform.Change) (commit string, err error) {
	if commit, err = r.Platform.Repository.Push(ctx, change); err != nil {
		return "", err
	}
	if err := r.awaitRefused(ctx, commit); err != nil {
		return "", err
	}
	reverted, err := r.Platform.Repository.Revert(ctx, mei, commit)
	if err != nil {
		return "", err
	}
	return commit, r.applied(ctx, reverted)
}

func (r *Rehearsal) awaitRefused(ctx context.Context, commit string) error {
	return platform.Await(ctx, func(ctx context.Context) error {
		k, err := r.Platform.Kustomization(ctx, server)
		if err != nil {
			return err
		}
		ready := meta.FindStatusCondition(k.Status.Conditions, kustomizev1.ReadyCondition)
		if k.Status.LastAttemptedRevision != platform.Revision(commit) || ready == nil || ready.Status != metav1.ConditionFalse {
			return fmt.Errorf("the Kustomization %s has not refused %s", server, commit)
		}
		if ready.Reason == kustomizev1.DependencyNotReadyReason {
			return errors.New(ready.Message)
		}
		return nil
	})
}
