// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package plan decides what one automation commits on top of one commit: it
// finds the fields that it may write, what they hold, which candidate each
// image gets, what is kept out and why, and renders the commit.
//
// It reads the tree and its history and nothing else. What registries and
// people said is in the Automation; where that does not suffice, the Result
// says what else has to be found out, and the plan is made again. So no
// registry can hold up a branch that others wait for.
package plan

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/judge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
	"github.com/weir-gitops/weir/image-automation-controller/internal/setter"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/oci"
)

// Bounds of one decision.
const (
	// MaxCandidates is how many candidates of one image are looked at, the
	// highest first.
	MaxCandidates = 10
	// MaxYoung is how many of them may be too young beside that, so that a model
	// comes of age however often newer ones are built.
	MaxYoung = 50
	// MaxHistory is how many commits are looked at for what was taken out.
	MaxHistory = 500
	// maxRecovery is how many commits are looked at for the last one of ours
	// when the status does not know it.
	maxRecovery = 100
	// maxAccepted is how many accepted digests are compared for the best.
	maxAccepted = 10
)

// Automation is what plans are made for: a spec, compiled, and what was found
// out for one decision. It is not changed by a plan.
type Automation struct {
	// Self and UID are the object's.
	Self types.NamespacedName
	UID  types.UID
	// Audited: the spec has spec.weir, so commits carry trailers and what
	// people took out stays out.
	Audited bool
	// Dir is update.path, without "./" and slashes at its ends; "" is the root.
	Dir string
	// Images in the order of the spec, those of ImagePolicies by name.
	Images []*Image
	// Source as kind/namespace/name.
	Source string
	// Message renders the message with Values.
	Message *message.Template
	Values  map[string]string
	// Author of commits, without time. Sign signs them; nil: nobody does.
	Author git.Signature
	Sign   func(payload []byte) (string, error)
	// Index finds marked fields.
	Index *setter.Index
	// LastPush is the last commit of ours that is known; "" if none is.
	// Proposes: commits go to another branch than the one they are made on,
	// so they are not in its history.
	LastPush string
	Proposes bool
}

// Writer is how trailers name the automation.
func (a *Automation) Writer() string { return fmt.Sprintf("%s (%s)", a.Self, a.UID) }

// Image is one image of an automation.
type Image struct {
	// Name of the entry of spec.weir.images, or of the ImagePolicy.
	Name string
	// Ref is what markers call it.
	Ref string
	// Text is its repository as the spec has it.
	Text       string
	Repository oci.Repository
	// Fixed is what an ImagePolicy picked. It wins even backwards. Nil: the
	// fields below decide.
	Fixed *imagev1.ImageRef

	// Policy orders candidates; Described says so in the trailer.
	Policy    *policy.Policy
	Described string
	// Rules judge them; nil: all pass.
	Rules *judge.Rules
	// Inspects: rules look at manifests. BestGates are those that compare with
	// the best of what was accepted.
	Inspects   bool
	BestGates  []string
	Reflection imagev1.ReflectionPolicy
	// Moving: candidates are what one tag stands for, and have no order.
	Moving bool
	// Pinned: what is written has to pin the digest.
	Pinned  bool
	Targets []imagev1.Target

	// Ranked are the highest candidates, the best first.
	Ranked []string
	Facts  *Facts
	// Before is the status of the last decision.
	Before imagev1.ImageStatus
	// Approved and Cleared report what annotations say of a value.
	Approved func(digest string) bool
	Cleared  func(tag, digest string) bool
	// Refused reports whether a person closed the pull request with a
	// reference. Nil: none.
	Refused func(reference string) bool
}

// Facts are what a registry said of one image, found out once for one
// decision.
type Facts struct {
	// Tags holds what tags stand for, Digests what digests are.
	Tags, Digests map[string]*Artifact
}

// Artifact is one image in a registry.
type Artifact struct {
	Tag, Digest string
	// Manifest by that digest; nil where nothing needs it.
	Manifest *oci.Manifest
	// Signature is the result of the verification, and SignedBy the name of
	// the key; "" if none is asked for.
	Signature error
	SignedBy  string
	// Err: it could not be read, and no retry will help soon.
	Err       error
	FirstSeen time.Time
}

// unreadable says why the artifact could not be read, "" if it could.
func (a *Artifact) unreadable() string {
	if a.Err == nil {
		return ""
	}
	return a.Err.Error()
}

// Tip is the commit that a plan is made on.
type Tip struct {
	Commit   *git.Commit
	Revision string
	// History visits the commit and its first parents, the newest first.
	History func(limit int, visit func(*git.Commit) (more bool, err error)) error
}

// Result is a decision.
type Result struct {
	// Draft is the commit to make. Nil: nothing changes, or Needs.
	Draft *git.Draft
	// Message of the draft, without trailers.
	Message string
	Changes []Change
	// Images are the status of images as of the tip, for those of the spec.
	Images []imagev1.ImageStatus
	// Written is what images hold once the draft is on the branch, by name.
	Written map[string]imagev1.ImageRef
	// Holds is what is kept out, in the order of the images.
	Holds []Hold
	// Recheck is when time alone may change the decision. Zero: never.
	Recheck time.Time
	// Unmarked names images that no field refers to.
	Unmarked []string
	// LastPush is the newest commit of ours that the branch has, if it is not
	// the one that was known.
	LastPush string
	// Problems are markers and files that cannot be followed.
	Problems []setter.Problem
	// Needs is what else has to be found out before anything is decided.
	Needs Needs
}

// Change is what one image had and gets.
type Change struct {
	Image, Old, New string
}

// Hold is a candidate that is kept out.
type Hold struct {
	Image string
	imagev1.HeldImage
}

// Needs is what has to be found out, by the name of the image.
type Needs map[string]Need

// Need lists tags and digests.
type Need struct{ Tags, Digests []string }

// decision is a plan in the making.
type decision struct {
	a      *Automation
	tip    Tip
	now    time.Time
	result *Result
	tree   *tree
	past   *past // nil until it was needed
	// choices are the candidates that are written, in the order of images.
	choices []*choice
}

// Plan decides what is committed on top of a tip. It may be called several
// times, for different tips.
func (a *Automation) Plan(ctx context.Context, tip Tip, now time.Time) (*Result, error) {
	d := &decision{a: a, tip: tip, now: now, result: &Result{Written: map[string]imagev1.ImageRef{}, Needs: Needs{}}}
	var err error
	if d.tree, err = a.read(ctx, tip.Commit); err != nil {
		return nil, err
	}
	d.result.Problems = d.tree.problems
	if err := d.tree.checkPins(a.Images); err != nil {
		return nil, err
	}
	for _, img := range a.Images {
		if err := d.decide(ctx, img); err != nil {
			return nil, err
		}
	}
	switch {
	case len(d.result.Needs) > 0:
		return d.result, nil
	case len(d.choices) > 0:
		return d.result, d.draft(ctx)
	}
	return d.result, d.recoverPush()
}
