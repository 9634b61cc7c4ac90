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
	"k8s.io/apimachinery/pkg/runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/hack/platform"
)

// Adapters that are published: the first is worse than the one that runs.
var (
	worse  = platform.Model{Tag: "1.1.0", Accuracy: "0.902", Latency: "41"}
	better = platform.Model{Tag: "1.2.0", Accuracy: "0.947", Latency: "44"}
	next   = platform.Model{Tag: "1.3.0", Accuracy: "0.951", Latency: "43"}
)

// publishWorse publishes an adapter that must not reach Git.
func (s *story) publishWorse(ctx context.Context) (outcome, error) {
	before, err := s.platform.Repository.Pull(ctx)
	if err != nil {
		return outcome{}, err
	}
	if _, err := s.platform.Models.Publish(worse); err != nil {
		return outcome{}, err
	}
	message, err := s.awaitHeld(ctx, imagev1.GateFailedReason, worse.Tag, before)
	if err != nil {
		return outcome{}, err
	}
	if after, err := s.platform.Repository.Pull(ctx); err != nil || after != before {
		return outcome{}, errors.Join(err, fmt.Errorf("the branch was at %s and is at %s", short(before), short(after)))
	}
	return seen("Adapter "+worse.Tag+" is published and less accurate than 1.0.0: held, and nothing was committed", message), nil
}

// publishBetter publishes an adapter that goes through, and follows it to the
// cluster.
func (s *story) publishBetter(ctx context.Context) (outcome, error) {
	begun := time.Now()
	digest, err := s.platform.Models.Publish(better)
	if err != nil {
		return outcome{}, err
	}
	if s.adapter, err = s.released(ctx, digest); err != nil {
		return outcome{}, err
	}
	took := time.Since(begun)
	if err := s.signed(ctx, s.adapter); err != nil {
		return outcome{}, err
	}
	message, err := s.platform.Repository.Git(ctx, "log", "-1", "--format=%B", s.adapter)
	if err != nil {
		return outcome{}, err
	}
	for _, want := range []string{"Image: ", "Previous-Digest: sha256:", "Gate: accuracy=0.947>=0.926"} {
		if !strings.Contains(message, "\n"+want) {
			return outcome{}, fmt.Errorf("the commit has no trailer %q:\n%s", want, message)
		}
	}
	if err := platform.Await(ctx, s.serves(s.adapter, 1)); err != nil {
		return outcome{}, err
	}
	return seen(fmt.Sprintf("Adapter %s is published and better: committed, signed, and applied %.1f s later", better.Tag, took.Seconds()),
		"git verify-commit "+short(s.adapter)+": good signature of models@acme-ml.example", message), nil
}

// takeBack reverts the commit of the automation, and sees that the adapter
// stays out.
func (s *story) takeBack(ctx context.Context) (outcome, error) {
	reverted, err := s.platform.Repository.Revert(ctx, mei, s.adapter)
	if err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(reverted, 1)); err != nil {
		return outcome{}, err
	}
	message, err := s.awaitHeld(ctx, imagev1.RejectedReason, better.Tag, reverted)
	if err != nil {
		return outcome{}, err
	}
	if after, err := s.platform.Repository.Pull(ctx); err != nil || after != reverted {
		return outcome{}, errors.Join(err, fmt.Errorf("the automation has committed %s after the revert", short(after)))
	}
	return seen("git revert of "+short(s.adapter)+": adapter 1.0.0 runs again, and "+better.Tag+" stays back", message), nil
}

// publishNext publishes what ranks above the adapter that was taken back.
func (s *story) publishNext(ctx context.Context) (outcome, error) {
	digest, err := s.platform.Models.Publish(next)
	if err != nil {
		return outcome{}, err
	}
	if s.adapter, err = s.released(ctx, digest); err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(s.adapter, 1)); err != nil {
		return outcome{}, err
	}
	return seen("Adapter " + next.Tag + " is published and ranks above the one that was taken back: committed as " + short(s.adapter) + ", and applied"), nil
}

// released returns the commit that brought an adapter into Git, once the model
// server's Deployment names it.
func (s *story) released(ctx context.Context, digest string) (string, error) {
	err := platform.Await(ctx, func(ctx context.Context) error {
		reference, err := s.platform.Kubectl(ctx, "get", "deployment/model-server", "--namespace="+serving,
			`--output=jsonpath={.spec.template.spec.volumes[?(@.name=="support-adapter")].image.reference}`)
		if err != nil || strings.HasSuffix(reference, "@"+digest) {
			return err
		}
		a, err := s.automation(ctx)
		if err != nil {
			return err
		}
		return fmt.Errorf("the model server has the adapter %s; the automation says: %s", reference, says(a))
	})
	if err != nil {
		return "", err
	}
	return s.platform.Repository.Pull(ctx)
}

// signed returns nil if git accepts the signature of a commit.
func (s *story) signed(ctx context.Context, commit string) error {
	_, err := s.platform.Repository.Git(ctx, "-c", "gpg.ssh.allowedSignersFile="+s.platform.Models.Signers, "verify-commit", commit)
	return err
}

// awaitHeld returns why the automation, having seen a commit, keeps an adapter
// out of Git.
func (s *story) awaitHeld(ctx context.Context, reason, tag, commit string) (string, error) {
	var message string
	err := platform.Await(ctx, func(ctx context.Context) error {
		a, err := s.automation(ctx)
		if err != nil {
			return err
		}
		held := meta.FindStatusCondition(a.Status.Conditions, imagev1.HeldCondition)
		switch {
		case a.Status.ObservedSourceRevision != platform.Revision(commit):
			return fmt.Errorf("the automation has seen revision %s, not %s", a.Status.ObservedSourceRevision, platform.Revision(commit))
		case held == nil:
			return fmt.Errorf("the automation holds nothing; it says: %s", says(a))
		}
		message = held.Reason + ": " + held.Message
		if held.Reason != reason || !strings.Contains(held.Message, tag) {
			return fmt.Errorf("the automation holds for another reason than %s of %s: %s", reason, tag, message)
		}
		return nil
	})
	return message, err
}

// automation is the one of the example.
func (s *story) automation(ctx context.Context) (*imagev1.ImageUpdateAutomation, error) {
	object, err := s.platform.Resource(imagev1.GroupVersion.WithResource("imageupdateautomations")).
		Namespace(platform.PlatformNamespace).Get(ctx, "models", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	a := &imagev1.ImageUpdateAutomation{}
	return a, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, a)
}

// says is the message of the condition Ready.
func says(a *imagev1.ImageUpdateAutomation) string {
	ready := meta.FindStatusCondition(a.Status.Conditions, imagev1.ReadyCondition)
	if ready == nil {
		return "nothing yet"
	}
	return ready.Reason + ": " + ready.Message
}
