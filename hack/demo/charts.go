// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/hack/platform"
)

const (
	// chartValues are the values of the example's releases.
	chartValues = "infra/" + platform.Environment + "/weir/charts.yaml"
	// servingSystem is where the chart "serving" is released to.
	servingSystem = "serving-system"
	// chartPatience is how long a release may take. A bad upgrade has 30 seconds to
	// get well before it is rolled back.
	chartPatience = 3 * time.Minute
)

// installCharts waits until the charts of the first commit are released.
func (s *story) installCharts(ctx context.Context) (outcome, error) {
	var lines []string
	for _, name := range []string{"accelerators", "serving"} {
		release, err := s.chartReleased(ctx, name)
		if err != nil {
			return outcome{}, err
		}
		snapshot := release.Status.History[0]
		tests := 0
		if snapshot.TestHooks != nil {
			tests = len(*snapshot.TestHooks)
		}
		lines = append(lines, fmt.Sprintf("%s %s: %d objects, %d tests passed", snapshot.ChartName, snapshot.ChartVersion, len(release.Status.Inventory.Entries), tests))
	}
	table, err := s.platform.Kubectl(ctx, "get", "helmreleases", "--namespace="+platform.PlatformNamespace)
	if err != nil {
		return outcome{}, err
	}
	result := seen("The charts accelerators and serving are installed from the repository, in this order, and their tests passed", lines...)
	result.table = table
	return result, nil
}

// breakUpgrade commits values with which pods cannot be scheduled, and sees the
// release go back by itself.
func (s *story) breakUpgrade(ctx context.Context) (outcome, error) {
	before, err := s.chartReleased(ctx, "serving")
	if err != nil {
		return outcome{}, err
	}
	s.badValues, err = s.platform.Repository.Push(ctx, platform.Change{
		Author: bruno, Message: "Keep the serving controller on its own nodes",
		Edits: []platform.Edit{{Path: chartValues, Old: "nodeSelector: {}", New: "nodeSelector: {node-pool: serving}"}},
	})
	if err != nil {
		return outcome{}, err
	}
	var release *helmv2.HelmRelease
	err = platform.Await(ctx, func(ctx context.Context) (err error) {
		release, err = s.platform.HelmRelease(ctx, "serving")
		if err != nil {
			return err
		}
		if !apimeta.IsStatusConditionTrue(release.Status.Conditions, helmv2.RemediatedCondition) {
			return fmt.Errorf("serving has not been rolled back: %w", platform.Released(release))
		}
		return nil
	})
	if err != nil {
		return outcome{}, err
	}
	failed := apimeta.FindStatusCondition(release.Status.Conditions, helmv2.ReleasedCondition)
	if failed == nil || !strings.Contains(failed.Message, "Deployment/"+servingSystem+"/serving-controller") {
		return outcome{}, fmt.Errorf("no message names the Deployment at fault: %+v", release.Status.Conditions)
	}
	selector, err := s.platform.Kubectl(ctx, "get", "deployment/serving-controller", "--namespace="+servingSystem, "--output=jsonpath={.spec.template.spec.nodeSelector}")
	if err != nil || strings.Contains(selector, "node-pool") {
		return outcome{}, errors.Join(err, fmt.Errorf("after the rollback the node selector is %s", selector))
	}
	latest := release.Status.History[0]
	return seen(fmt.Sprintf("Commit %s gives the chart serving a node pool that there is none of: rolled back by itself, from revision %d to what %d was",
		short(s.badValues), latest.Version-1, before.Status.History[0].Version), failed.Reason+": "+failed.Message), nil
}

// mendUpgrade reverts the values.
func (s *story) mendUpgrade(ctx context.Context) (outcome, error) {
	commit, err := s.platform.Repository.Revert(ctx, bruno, s.badValues)
	if err != nil {
		return outcome{}, err
	}
	// The Kustomization has to have brought the values before the release can say anything of them.
	err = platform.Await(ctx, func(ctx context.Context) error {
		k, err := s.platform.Kustomization(ctx, "weir")
		if err != nil {
			return err
		}
		return platform.Holds(k, commit)
	})
	if err != nil {
		return outcome{}, err
	}
	if _, err := s.chartReleased(ctx, "serving"); err != nil {
		return outcome{}, err
	}
	return seen("git revert of " + short(s.badValues) + ": the release of serving is Ready again, without anybody resetting anything"), nil
}

// scaleChart scales what a chart has made by hand, and sees it undone without a
// new revision of the release.
func (s *story) scaleChart(ctx context.Context) (outcome, error) {
	before, err := s.chartReleased(ctx, "serving")
	if err != nil {
		return outcome{}, err
	}
	took, err := s.scaledBack(ctx, servingSystem, "serving-controller", 5)
	if err != nil {
		return outcome{}, err
	}
	after, err := s.platform.HelmRelease(ctx, "serving")
	if err != nil {
		return outcome{}, err
	}
	if was, is := before.Status.History[0].Version, after.Status.History[0].Version; was != is {
		return outcome{}, fmt.Errorf("the release was at revision %d and is at %d", was, is)
	}
	return seen(fmt.Sprintf("kubectl scale of the chart's controller to 5 replicas: put back after %d ms, without a new revision of the release", took.Milliseconds())), nil
}

// chartReleased returns a release of the example when the chart and the values of its
// spec are released.
func (s *story) chartReleased(ctx context.Context, name string) (release *helmv2.HelmRelease, err error) {
	err = platform.Await(ctx, func(ctx context.Context) error {
		if release, err = s.platform.HelmRelease(ctx, name); err != nil {
			return err
		}
		return platform.Released(release)
	})
	return release, err
}
