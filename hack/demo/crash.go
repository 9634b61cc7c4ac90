// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// killSource kills source-controller right after a push, takes its disk away,
// and sees the commit fetched after a restart.
func (s *story) killSource(ctx context.Context) (outcome, error) {
	var err error
	s.ship, err = s.platform.Repository.Push(ctx, platform.Change{
		Author: ada, Message: "Ship model 1.5.0",
		Edits: []platform.Edit{{Path: modelRelease, Old: "MODEL_VERSION=1.5.0-rc.1", New: "MODEL_VERSION=1.5.0"}},
	})
	if err != nil {
		return outcome{}, err
	}
	if err := s.ground.loseSource(ctx); err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.offered(s.ship)); err != nil {
		return outcome{}, err
	}
	return seen("kill -9 of source-controller right after a push, its disk lost: restarted, it fetched " + short(s.ship)), nil
}

// offered returns nil if the artifact of a commit can be downloaded.
func (s *story) offered(commit string) func(context.Context) error {
	return func(ctx context.Context) error {
		repository, err := s.platform.Resource(platform.GitRepositories).Namespace(platform.PlatformNamespace).
			Get(ctx, "llm-platform", metav1.GetOptions{})
		if err != nil {
			return err
		}
		revision, _, _ := unstructured.NestedString(repository.Object, "status", "artifact", "revision")
		if revision != platform.Revision(commit) {
			return fmt.Errorf("the GitRepository has an artifact of revision %q, not of %q", revision, platform.Revision(commit))
		}
		url, _, _ := unstructured.NestedString(repository.Object, "status", "artifact", "url")
		if err := s.ground.download(ctx, url); err != nil {
			return fmt.Errorf("download the artifact of revision %q: %w", revision, err)
		}
		return nil
	}
}

// killKustomize kills kustomize-controller when it has just begun to replace
// the training Job, and sees that nothing is lost and nothing is done twice.
func (s *story) killKustomize(ctx context.Context) (outcome, error) {
	// The first commit brought the first Job.
	const jobs = 2
	err := platform.Await(ctx, func(context.Context) error {
		if s.chronicle.births(training) < jobs {
			return errors.New("the training Job of the new model has not been created")
		}
		return nil
	})
	if err != nil {
		return outcome{}, err
	}
	if err := s.ground.killKustomize(ctx); err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(s.ship, 1)); err != nil {
		return outcome{}, err
	}
	objects, err := s.complete(ctx)
	if err != nil {
		return outcome{}, err
	}
	if got := s.chronicle.births(training); got != jobs {
		return outcome{}, fmt.Errorf("%d training Jobs were created for two models", got)
	}
	return seen("kill -9 of kustomize-controller as the new training Job appeared: restarted, it rolled out "+short(s.ship),
		"The training ran once",
		fmt.Sprintf("Inventories are complete: all %d objects are in the cluster, and no object is in none", objects)), nil
}

// complete checks that each Kustomization's inventory names exactly the
// objects that bear its labels, and returns how many there are.
func (s *story) complete(ctx context.Context) (int, error) {
	all, err := s.platform.Kustomizations(ctx)
	if err != nil {
		return 0, err
	}
	kinds := inventory.Inventory{}
	listed := map[string]inventory.Inventory{}
	for i := range all {
		inv, err := platform.Inventory(&all[i])
		if err != nil {
			return 0, err
		}
		listed[all[i].Name] = inv
		kinds = kinds.Union(inv)
	}
	count := 0
	for i := range all {
		owned, err := s.platform.Owned(ctx, &all[i], kinds)
		if err != nil {
			return 0, err
		}
		if want := listed[all[i].Name].Refs(); !slices.Equal(want, owned) {
			return 0, fmt.Errorf("the Kustomization %s lists %v, and its labels are on %v", all[i].Name, want, owned)
		}
		count += len(owned)
	}
	return count, nil
}
