// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/hack/platform"
)

// Files of the example that decide what Weir does, and what is pruned.
const (
	servingWeir = "infra/base/weir/serving.yaml"
	teams       = "infra/base/platform/kustomization.yaml"
)

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// plan lets the model server show what a commit would do, and applies it when
// that was seen.
func (s *story) plan(ctx context.Context) (outcome, error) {
	show, err := s.platform.Repository.Push(ctx, platform.Change{
		Author: mei, Message: "Plan changes of the model server first",
		Edits: []platform.Edit{{Path: servingWeir, Old: "  name: model-server\n  namespace: llm-platform\nspec:\n",
			New: "  name: model-server\n  namespace: llm-platform\nspec:\n  weir:\n    mode: Plan\n"}},
	})
	if err != nil {
		return outcome{}, err
	}
	if _, err := s.planned(ctx, show); err != nil {
		return outcome{}, err
	}
	before, err := s.settled(ctx, "model-server")
	if err != nil {
		return outcome{}, err
	}
	double, err := s.platform.Repository.Push(ctx, platform.Change{
		Author: mei, Message: "Serve with two replicas",
		Edits: []platform.Edit{{Path: serverGPUs, Old: "replicas: 1", New: "replicas: 2"}},
	})
	if err != nil {
		return outcome{}, err
	}
	plan, err := s.planned(ctx, double)
	if err != nil {
		return outcome{}, err
	}
	after, err := s.versions(ctx, "model-server")
	if err != nil {
		return outcome{}, err
	}
	switch moved := differences(before, after); {
	case len(moved) > 0:
		return outcome{}, fmt.Errorf("planned, but these objects were written: %s", strings.Join(moved, ", "))
	case plan.Changed != 1 || len(plan.Changes) != 1 || !strings.Contains(strings.Join(plan.Changes[0].Paths, " "), "spec.replicas"):
		return outcome{}, fmt.Errorf("the plan is %+v, and it should be about the replicas of the Deployment alone", plan)
	}
	change := plan.Changes[0]
	for _, undo := range []struct {
		commit string
		gpus   int64
	}{{show, 2}, {double, 1}} {
		commit, err := s.platform.Repository.Revert(ctx, mei, undo.commit)
		if err != nil {
			return outcome{}, err
		}
		if err := platform.Await(ctx, s.serves(commit, undo.gpus)); err != nil {
			return outcome{}, err
		}
	}
	return seen("Commit "+short(double)+" met mode: Plan: the status tells what it would do, and nothing was written",
		fmt.Sprintf("status.weir.plan: %s %s: %s; %d unchanged", change.ID, change.Action, strings.Join(change.Paths, ", "), plan.Unchanged),
		"git revert of the mode applied it; git revert of the change took it back"), nil
}

// planned waits until the model server has planned a commit, and returns the
// plan.
func (s *story) planned(ctx context.Context, commit string) (*meta.Plan, error) {
	var plan *meta.Plan
	err := platform.Await(ctx, func(ctx context.Context) error {
		k, err := s.platform.Kustomization(ctx, "model-server")
		if err != nil {
			return err
		}
		condition := apimeta.FindStatusCondition(k.Status.Conditions, kustomizev1.ReadyCondition)
		if condition == nil || condition.Reason != kustomizev1.PlannedReason || k.Status.Weir == nil ||
			k.Status.Weir.Plan == nil || k.Status.Weir.Plan.Revision != platform.Revision(commit) {
			return fmt.Errorf("the Kustomization model-server has not planned %s", short(commit))
		}
		plan = k.Status.Weir.Plan
		return nil
	})
	return plan, err
}

// guardPrune commits what would prune a team's namespace with all that is in
// it, and sees that it is held back.
func (s *story) guardPrune(ctx context.Context) (outcome, error) {
	const team = "team-data"
	before, err := s.platform.Resource(namespaces).Get(ctx, team, metav1.GetOptions{})
	if err != nil {
		return outcome{}, fmt.Errorf("read the namespace: %w", err)
	}
	commit, err := s.platform.Repository.Push(ctx, platform.Change{
		Author: bruno, Message: "Tidy up the teams",
		Edits: []platform.Edit{{Path: teams, Old: "  - data\n", New: ""}},
	})
	if err != nil {
		return outcome{}, err
	}
	var message string
	err = platform.Await(ctx, func(ctx context.Context) (err error) {
		if message, err = s.refusal(ctx, "platform", commit); err == nil && !strings.HasPrefix(message, kustomizev1.PruneNotConfirmedReason) {
			err = errors.New(message)
		}
		return err
	})
	if err != nil {
		return outcome{}, err
	}
	after, err := s.platform.Resource(namespaces).Get(ctx, team, metav1.GetOptions{})
	if err != nil {
		return outcome{}, fmt.Errorf("read the namespace: %w", err)
	}
	if after.GetUID() != before.GetUID() || after.GetDeletionTimestamp() != nil {
		return outcome{}, fmt.Errorf("the namespace %s was deleted", team)
	}
	if s.restored, err = s.platform.Repository.Revert(ctx, bruno, commit); err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(s.restored, 1)); err != nil {
		return outcome{}, err
	}
	return seen("Commit "+short(commit)+" would have pruned the namespace "+team+": held back, and reverted", message), nil
}
