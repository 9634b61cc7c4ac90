// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"errors"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// scope is what the phases of one reconcile share.
type scope struct {
	obj     *imagev1.ImageUpdateAutomation
	patcher *reconcile.Patcher
	name    types.NamespacedName
	log     logr.Logger
	// entry is what is remembered of the object between reconciles.
	entry *entry

	// spec, filled by validate, is the spec compiled.
	spec *compiled
	// source, filled by findSource, is the GitRepository.
	source *sourcev1.GitRepository
	// policies, filled by findSource, are the ImagePolicies that are followed
	// and what they picked.
	policies imagev1.ObservedPolicies
	// run, filled by begin, is the run that is under way.
	run *run
}

// errWaiting ends a reconcile whose run goes on in the background.
var errWaiting = errors.New("reconciliation in progress")
