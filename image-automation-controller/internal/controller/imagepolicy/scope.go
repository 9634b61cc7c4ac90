// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
)

// scope is what the phases of one reconcile share.
type scope struct {
	req ctrl.Request
	obj *imagev1.ImagePolicy
	// before is what the policy had picked at the start.
	before *imagev1.ImageRef
	// failing: the object showed a failure at the start.
	failing bool
	// requested: somebody asked for this reconcile by annotation.
	requested bool

	// policy, filled by validate, is that of the spec.
	policy *policy.Policy
	// repo, filled by findRepository, is the ImageRepository.
	repo *imagev1.ImageRepository
	// key and tags, filled by readTags, say where the tags are from.
	key  scan.Key
	tags []string
	// latest, filled by pick and lookUp, is the image.
	latest imagev1.ImageRef
}

func newScope(req ctrl.Request, obj *imagev1.ImagePolicy, requested bool) *scope {
	return &scope{
		req: req, obj: obj, requested: requested,
		before:  obj.Status.LatestRef.DeepCopy(),
		failing: conditions.IsFalse(obj, imagev1.ReadyCondition),
	}
}

// repository is the name of the ImageRepository that the policy refers to.
func repository(obj *imagev1.ImagePolicy) types.NamespacedName {
	name := types.NamespacedName{Namespace: obj.Spec.ImageRepositoryRef.Namespace, Name: obj.Spec.ImageRepositoryRef.Name}
	if name.Namespace == "" {
		name.Namespace = obj.Namespace
	}
	return name
}

// owner is how the scanner knows a policy.
func owner(req ctrl.Request) string { return imagev1.ImagePolicyKind + "/" + req.String() }
