// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-gitops/weir/hack/platform"
)

// patience is how long a step may take. A step takes seconds; a busy machine
// may need many times that. On a fresh machine all that the controllers depend
// on has to be compiled first.
const (
	patience      = 90 * time.Second
	buildPatience = 15 * time.Minute
)

// errUnseen ends the story at a step that did not come to what it should.
var errUnseen = errors.New("a step was not seen")

// A story is the demonstration with what its steps leave to those after them.
type story struct {
	platform  *platform.Platform
	ground    ground
	out       *console
	chronicle *chronicle

	// Hashes of commits, named after what they do.
	setUp, raise, bad, badValues, restored, waiting, ship, adapter string
}

// A step is one thing to see.
type step struct {
	// title says what is done, while it is and if it fails.
	title    string
	run      func(context.Context) (outcome, error)
	patience time.Duration // 0: patience
}

// An outcome is what was seen.
type outcome struct {
	line    string
	details []string
	table   string
}

func seen(line string, details ...string) outcome {
	return outcome{line: line, details: details}
}

// steps is the whole story, in order.
func (s *story) steps() []step {
	return []step{
		{title: "Build the controllers", run: s.ground.build, patience: buildPatience},
		{title: "Start Kubernetes with simulated GPU nodes", run: s.ground.startCluster},
		{title: "Install Weir: kubectl apply -k bootstrap", run: s.ground.install},
		{title: "Start the controllers under their own service accounts", run: s.ground.startControllers},
		{title: "Push the first commit, and connect the cluster to the repository", run: s.pushFirst},
		{title: "Install the charts of that commit", run: s.installCharts, patience: chartPatience},
		{title: "Push a commit that changes a GPU count", run: s.raiseGPUs},
		{title: "Scale GPUs by hand", run: s.scaleByHand},
		{title: "Push a commit with one bad manifest among good changes", run: s.pushBad},
		{title: "Revert the bad commit", run: s.revertBad},
		{title: "Revert the change of the GPU count", run: s.rollBack},
		{title: "Push values with which a chart's pods cannot run", run: s.breakUpgrade, patience: chartPatience},
		{title: "Revert the values", run: s.mendUpgrade, patience: chartPatience},
		{title: "Scale by hand what a chart has made", run: s.scaleChart},
		{title: "Plan a change before it is applied", run: s.plan},
		{title: "Push a commit that would take a team's namespace away", run: s.guardPrune},
		{title: "Push a commit that needs more GPUs than the team's budget", run: s.neverFits},
		{title: "Scale an experiment beyond the budget", run: s.scaleUp},
		{title: "Create one more pod by hand", run: s.createByHand},
		{title: "Push a commit that needs more GPUs than are free", run: s.waitForGPUs},
		{title: "Drain the model server's node while others wait for its GPU", run: s.drain},
		{title: "End the experiment", run: s.free},
		{title: "Push a rollout that waits for a Job", run: s.awaitJob},
		{title: "Push a new model, and kill source-controller", run: s.killSource},
		{title: "Kill kustomize-controller when the training starts", run: s.killKustomize},
		{title: "Publish an adapter that is worse than the one in use", run: s.publishWorse},
		{title: "Publish one that is better", run: s.publishBetter},
		{title: "Revert the automation's commit", run: s.takeBack},
		{title: "Publish the next one", run: s.publishNext},
		{title: "Ask who put the objects there", run: s.trace},
		{title: "Ask what a commit changed", run: s.consequences},
	}
}

// tell runs every step and stops at the first one that is not seen.
func (s *story) tell(ctx context.Context) error {
	s.out.heading("Weir: from a commit to the cluster")
	begun := time.Now()
	for _, step := range s.steps() {
		if err := s.perform(ctx, step); err != nil {
			return err
		}
	}
	s.out.heading(fmt.Sprintf("All of it seen in %.1f s.", time.Since(begun).Seconds()))
	s.out.block(summary)
	return nil
}

const summary = `Five controllers, each with no more than its own rights, brought every commit to the cluster in the order of its
dependencies, undid what was changed by hand, refused a bad commit as a whole, rolled back by git revert, told what a
commit would do before it did it, kept a namespace that nobody meant to delete, held a team to its GPU budget whoever
asked for more, let a commit wait for GPUs and go through when there were some, waited for a Job, outlived kill -9,
rolled a chart back that could not run, trained each model once, and released a model by itself when it was better,
signed and with its reasons, but not when it was worse, and not again after somebody had taken it back. Each of these
claims was checked against the API server.`

// perform runs one step within its deadline. If it fails, it shows what might
// explain it.
func (s *story) perform(ctx context.Context, step step) error {
	longest := cmp.Or(step.patience, patience)
	limited, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("not seen within %s", longest))
	defer cancel()
	s.out.begin(step.title)
	begun := time.Now()
	result, err := step.run(limited)
	took := time.Since(begun)
	switch {
	case err == nil:
		s.out.done(took, result)
		return nil
	case ctx.Err() != nil:
		s.out.failed(took, step.title, errors.New("interrupted"))
		return errors.New("interrupted")
	}
	s.out.failed(took, step.title, err)
	s.diagnose(context.WithoutCancel(ctx))
	return errUnseen
}
