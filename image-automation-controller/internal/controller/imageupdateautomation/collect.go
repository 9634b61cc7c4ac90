// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// candidateSet is one image, and how its registry is asked.
type candidateSet struct {
	*image

	access oci.Access
	scan   *scan.Result
	// keys verify signatures; keysSum tells them from others.
	keys *verifier
	// known is filled by gather.
	known *knowledge
}

// owner is how the scanner knows an automation, and a run that somebody asked
// for: it is not served with a scan that an earlier run has waited for.
func owner(name types.NamespacedName, token string) string {
	who := imagev1.ImageUpdateAutomationKind + "/" + name.String()
	if token != "" {
		who += " " + token
	}
	return who
}

// collect asks for the tags of every image. One whose registry fails does not
// keep the others back.
func (c *Controller) collect(ctx context.Context, s *scope) error {
	if s.run.images != nil || len(s.spec.images) == 0 {
		return nil
	}
	sets := make([]*candidateSet, 0, len(s.spec.images))
	waiting, failed := false, map[string]error{}
	for _, img := range s.spec.images {
		set, err := c.tags(ctx, s, img)
		switch {
		case errors.Is(err, errWaiting):
			waiting = true
		case isStalled(err):
			return err
		case err != nil:
			failed[img.Name] = err
		default:
			sets = append(sets, set)
		}
	}
	if waiting {
		return errWaiting
	}
	s.run.images, s.run.failed = sets, failed
	return nil
}

func isStalled(err error) bool {
	e, ok := errors.AsType[*reconcile.Error](err)
	return ok && e.Kind == reconcile.KindStalled
}

// tags looks at the registry of one image, or waits until somebody has.
func (c *Controller) tags(ctx context.Context, s *scope, img *image) (*candidateSet, error) {
	access, err := c.accessOf(ctx, s.obj.Namespace, img)
	if err != nil {
		return nil, err
	}
	set := &candidateSet{image: img, access: access}
	if img.Verify != nil {
		if set.keys, err = c.verifierOf(ctx, s.obj.Namespace, img); err != nil {
			return nil, err
		}
	}
	age := s.obj.Spec.Interval.Duration
	if img.Interval != nil {
		age = img.Interval.Duration
	}
	who := owner(s.name, "")
	if s.requested() {
		who = owner(s.name, s.run.token)
		// What was seen before somebody asked is not what they asked for.
		age = min(age, time.Since(s.run.started))
	}
	key := scan.Key{Repository: img.repository, Access: access, Namespace: s.name.Namespace}
	if img.Timeout != nil {
		key.Timeout = max(img.Timeout.Duration, time.Second)
	}
	result, fresh, err := c.Scanner.Get(key, age, who, c.wake(s))
	switch {
	case err != nil:
		return nil, registryError(img, err)
	case !fresh:
		return nil, errWaiting
	}
	set.scan = result
	return set, nil
}

// accessOf reads what a registry is asked with.
func (c *Controller) accessOf(ctx context.Context, namespace string, img *image) (oci.Access, error) {
	access, err := c.Targets.Access(ctx, namespace, img.repository, img.RegistryAccess)
	if err == nil {
		return access, nil
	}
	err = fmt.Errorf("image '%s': %w", img.Name, err)
	reason, stalled := scan.ReasonOf(err)
	if stalled {
		return access, reconcile.Stalled(reason, err)
	}
	return access, reconcile.Fail(reason, err)
}

// registryError is a failure of a registry that is worth a retry.
func registryError(img *image, err error) error {
	reason, _ := scan.ReasonOf(err)
	return reconcile.Fail(reason, fmt.Errorf("image '%s': %w", img.Name, err))
}
