// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/platform"
)

// Who commits.
const (
	ada   = "Ada Okafor <ada@acme-ml.example>"
	bruno = "Bruno Keller <bruno@acme-ml.example>"
	mei   = "Mei Tanaka <mei@acme-ml.example>"
)

// Files of the example that the commits change.
const (
	serverGPUs       = "infra/" + platform.Environment + "/model-server/gpus.yaml"
	serverDisruption = "infra/base/model-server/disruption.yaml"
	modelRelease     = "infra/" + platform.Environment + "/release/model/kustomization.yaml"
)

// training is the Job that must run once for each model.
const training = "Job/finetune"

// chain is what has to come after what, from the first commit on.
func chain() []moment {
	return []moment{
		{"Kustomization/weir", ready},
		{"Kustomization/platform", ready},
		{"StatefulSet/feature-store", created},
		{"Kustomization/feature-store", ready},
		{training, created},
		{training, complete},
		{"Kustomization/training", ready},
		{"Deployment/model-server", created},
		{"Kustomization/model-server", ready},
		{"Deployment/chat", created},
		{"Kustomization/chat", ready},
	}
}

// pushFirst brings the example to the cluster.
func (s *story) pushFirst(ctx context.Context) (outcome, error) {
	var err error
	// The steps that follow use the chronicle too: it must not end with this one.
	if s.chronicle, err = newChronicle(context.WithoutCancel(ctx), s.platform); err != nil {
		return outcome{}, err
	}
	if err := s.platform.Serve(ctx); err != nil {
		return outcome{}, err
	}
	s.setUp, err = s.platform.Repository.Push(ctx, platform.Change{Author: ada, Message: "Set up the platform"})
	if err != nil {
		return outcome{}, err
	}
	begun := time.Now()
	if err := s.platform.Connect(ctx); err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(s.setUp, 1)); err != nil {
		return outcome{}, err
	}
	// The watch may be a moment behind.
	if err := platform.Await(ctx, func(context.Context) error { return s.chronicle.inOrder(chain()) }); err != nil {
		return outcome{}, err
	}
	var order []string
	for _, m := range chain() {
		if name, ok := strings.CutPrefix(m.object, "Kustomization/"); ok {
			order = append(order, fmt.Sprintf("%s\u00a0%.1f\u00a0s", name, s.chronicle.since(begun, m).Seconds()))
		}
	}
	return seen("Commit "+short(s.setUp)+" was applied, in the order of its dependencies",
		"Ready: "+strings.Join(order, " → "),
		"The model server was created after the training Job had completed"), nil
}

// raiseGPUs gives the model server a second GPU.
func (s *story) raiseGPUs(ctx context.Context) (outcome, error) {
	var err error
	s.raise, err = s.platform.Repository.Push(ctx, platform.Change{
		Author: bruno, Message: "Serve the model on two GPUs",
		Edits: []platform.Edit{{Path: serverGPUs, Old: `&gpus "1"`, New: `&gpus "2"`}},
	})
	if err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(s.raise, 2)); err != nil {
		return outcome{}, err
	}
	return seen("Commit " + short(s.raise) + " is live: the model server's pod has 2 GPUs instead of 1"), nil
}

// pushBad commits a good change of the Deployment and an impossible budget for
// its disruption: the one must not be applied without the other.
func (s *story) pushBad(ctx context.Context) (outcome, error) {
	before, err := s.settled(ctx, "model-server")
	if err != nil {
		return outcome{}, err
	}
	s.bad, err = s.platform.Repository.Push(ctx, platform.Change{
		Author: mei, Message: "Serve with two replicas",
		Edits: []platform.Edit{
			{Path: serverGPUs, Old: "replicas: 1", New: "replicas: 2"},
			{Path: serverDisruption, Old: "maxUnavailable: 1", New: "maxUnavailable: -1"},
		},
	})
	if err != nil {
		return outcome{}, err
	}
	var message string
	err = platform.Await(ctx, func(ctx context.Context) (err error) {
		message, err = s.refusal(ctx, "model-server", s.bad)
		return err
	})
	if err != nil {
		return outcome{}, err
	}
	after, err := s.versions(ctx, "model-server")
	if err != nil {
		return outcome{}, err
	}
	if moved := differences(before, after); len(moved) > 0 {
		return outcome{}, fmt.Errorf("refused, but these objects were written: %s", strings.Join(moved, ", "))
	}
	return seen("Commit "+short(s.bad)+" has a bad manifest among good changes: refused before its first write",
		message,
		fmt.Sprintf("All %d objects of the model server have the resource versions that they had before", len(after))), nil
}

// refusal returns the message with which a Kustomization has refused a commit.
func (s *story) refusal(ctx context.Context, name, commit string) (string, error) {
	k, err := s.platform.Kustomization(ctx, name)
	if err != nil {
		return "", err
	}
	condition := meta.FindStatusCondition(k.Status.Conditions, kustomizev1.ReadyCondition)
	switch {
	case k.Status.LastAttemptedRevision != platform.Revision(commit):
		return "", fmt.Errorf("the Kustomization %s has not tried the bad commit", name)
	case condition == nil || condition.Status != metav1.ConditionFalse:
		return "", fmt.Errorf("the Kustomization %s has not refused the bad commit", name)
	case condition.Reason == kustomizev1.DependencyNotReadyReason:
		return "", errors.New(condition.Message)
	}
	return condition.Reason + ": " + condition.Message, nil
}

// revertBad makes everything Ready again.
func (s *story) revertBad(ctx context.Context) (outcome, error) {
	commit, err := s.platform.Repository.Revert(ctx, mei, s.bad)
	if err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(commit, 2)); err != nil {
		return outcome{}, err
	}
	return seen("git revert of the bad commit: everything is Ready again, at " + short(commit)), nil
}

// rollBack takes the second GPU away again.
func (s *story) rollBack(ctx context.Context) (outcome, error) {
	commit, err := s.platform.Repository.Revert(ctx, bruno, s.raise)
	if err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(commit, 1)); err != nil {
		return outcome{}, err
	}
	return seen("git revert of " + short(s.raise) + ": rolled back, the model server's pod has 1 GPU"), nil
}

// short is a hash as people write it.
func short(commit string) string {
	return commit[:min(7, len(commit))]
}
