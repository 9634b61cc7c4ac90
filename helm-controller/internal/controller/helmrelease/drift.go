// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/runtime/conditions"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// watchDrift looks for changes that others made to the objects of the release,
// and puts them back, shows them or does neither. It comes before everything that
// can fail: while a new chart cannot be had, the release still holds. An action
// under way has the objects to itself.
//
// What goes wrong with that is shown only when nothing else is to be done: a new
// chart may be what mends it.
func (c *Controller) watchDrift(ctx context.Context, s *scope) error {
	s.driftErr = c.lookAtDrift(ctx, s)
	return nil
}

func (c *Controller) lookAtDrift(ctx context.Context, s *scope) error {
	m, mode := s.memory, s.obj.GetDriftMode()
	if m.running != nil || mode == meta.DriftDisabled && !m.drifting {
		return nil
	}
	if mode != meta.DriftDisabled {
		if err := c.readHistory(ctx, s); err != nil {
			return err
		}
		if !s.holds() {
			return nil
		}
	}
	options := kube.DriftOptions{
		Engine: s.target.Engine, Client: s.client, Owner: s.owner(), UID: s.obj.UID,
		Mode: mode, Ignore: s.rules, Insist: !s.now.Before(m.next),
	}
	if mode != meta.DriftDisabled {
		current := s.history[0]
		options.Released = kube.Released{Name: current.Name, Namespace: current.Namespace, Version: current.Version, Manifest: current.Manifest}
	}
	found, err := m.drift.Look(ctx, options)
	m.drifting = mode != meta.DriftDisabled
	c.showDrift(s, mode, found)
	if err != nil {
		return reconcile.Fail(helmv2.DriftCorrectionFailedReason, err)
	}
	return nil
}

// holds reports whether the latest release is deployed, is the one that the
// status tells of, and so is what the objects are to be like.
func (s *scope) holds() bool {
	if len(s.history) == 0 || len(s.obj.Status.History) == 0 {
		return false
	}
	found, known := s.history[0], s.obj.Status.History[0]
	return found.Status == release.Deployed && found.Name == known.Name && found.Namespace == known.Namespace && found.Version == known.Version
}

// showDrift writes down what has drifted, and tells of what is news.
func (c *Controller) showDrift(s *scope, mode meta.DriftMode, found kube.Drifted) {
	s.forgetDrift()
	if found.Recheck > 0 {
		s.recheckIn(found.Recheck)
	}
	if kinds := strings.Join(found.Unwatched, ", "); kinds != s.memory.unwatched {
		s.memory.unwatched = kinds
		c.unwatched(s, kinds)
	}
	c.Metrics.Corrected(s.obj, len(found.Corrected))
	if len(found.Corrected) > 0 {
		c.corrected(s, found.Corrected)
	}
	switch {
	case mode == meta.DriftDisabled:
		conditions.Delete(s.obj, helmv2.DriftedCondition)
	case len(found.Contested) > 0:
		conditions.MarkTrue(s.obj, helmv2.DriftedCondition, helmv2.FieldContestedReason, "%s", apply.DescribeContested(found.Contested))
	case len(found.Found) > 0:
		c.showFound(s, found.Found)
	default:
		conditions.MarkFalse(s.obj, helmv2.DriftedCondition, helmv2.NoDriftDetectedReason, "No drift detected against the cluster state")
	}
}

func (c *Controller) showFound(s *scope, found []apply.Difference) {
	changes := apply.ObjectChanges(found)
	s.weir().Drift = &changes
	message := fmt.Sprintf("Cluster state of release %s has drifted from the desired state: %s", s.releaseName(), apply.DescribeDrift(found))
	news := conditions.GetReason(s.obj, helmv2.DriftedCondition) != helmv2.DriftDetectedReason ||
		conditions.GetMessage(s.obj, helmv2.DriftedCondition) != message
	conditions.MarkTrue(s.obj, helmv2.DriftedCondition, helmv2.DriftDetectedReason, "%s", message)
	if news {
		c.warn(s, helmv2.DriftDetectedReason, message)
	}
}

// forgetDrift takes back what is listed of drift.
func (s *scope) forgetDrift() {
	if s.obj.Status.Weir != nil {
		s.obj.Status.Weir.Drift = nil
	}
}

// releaseName names the latest release.
func (s *scope) releaseName() string {
	if len(s.obj.Status.History) == 0 {
		return s.obj.GetReleaseNamespace() + "/" + s.obj.GetReleaseName()
	}
	latest := s.obj.Status.History[0]
	return fmt.Sprintf("%s/%s.v%d", latest.Namespace, latest.Name, latest.Version)
}
