// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// asked are the objects that the last step asks about, with the commits that
// it has to find.
func (s *story) asked() map[inventory.Ref]string {
	return map[inventory.Ref]string{
		{Kind: "Namespace", Name: "team-training"}:                                          s.restored,
		{Group: "apps", Kind: "StatefulSet", Namespace: "team-data", Name: "feature-store"}: s.setUp,
		{Group: "apps", Kind: "Deployment", Namespace: serving, Name: "chat"}:               s.setUp,
		{Group: "apps", Kind: "Deployment", Namespace: serving, Name: "model-server"}:       s.adapter,
		{Group: "batch", Kind: "Job", Namespace: "team-training", Name: "finetune"}:         s.ship,
	}
}

// trace goes from objects to the commits that made them what they are.
func (s *story) trace(ctx context.Context) (outcome, error) {
	wanted, inv := s.asked(), inventory.Inventory{}
	for ref := range wanted {
		inv[ref] = "v1"
	}
	live, err := s.platform.Live(ctx, inv)
	if err != nil {
		return outcome{}, err
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OBJECT\tKUSTOMIZATION\tCOMMIT\tDATE\tAUTHOR\tSUBJECT")
	for _, ref := range inv.Refs() {
		object, ok := live[ref]
		if !ok {
			return outcome{}, fmt.Errorf("%s is not in the cluster", ref)
		}
		found, err := s.origin(ctx, object)
		if err != nil {
			return outcome{}, fmt.Errorf("trace %s: %w", ref, err)
		}
		if found.commit != wanted[ref] {
			return outcome{}, fmt.Errorf("%s was traced to commit %s, and it was %s", ref, found.commit, wanted[ref])
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", ref, found.kustomization, short(found.commit), found.story)
	}
	if err := w.Flush(); err != nil {
		return outcome{}, err
	}
	return outcome{line: "Asked which commit made an object what it is: labels, then the applied revision, then git log", table: table.String()}, nil
}

// An origin is where an object comes from.
type origin struct {
	kustomization string
	commit        string
	story         string // date, author and subject of the commit, in columns
}

// origin finds the Kustomization that owns an object, and the last commit up to
// the applied revision that changed anything that the Kustomization is made of.
func (s *story) origin(ctx context.Context, object *unstructured.Unstructured) (origin, error) {
	name := object.GetLabels()[kustomizev1.OwnerNameLabel]
	if name == "" {
		return origin{}, errors.New("it bears no label of a Kustomization")
	}
	k, err := s.platform.Kustomization(ctx, name)
	if err != nil {
		return origin{}, err
	}
	_, applied, ok := strings.Cut(k.Status.LastAppliedRevision, platform.Revision(""))
	if !ok {
		return origin{}, fmt.Errorf("revision %q names no commit", k.Status.LastAppliedRevision)
	}
	dirs, err := ingredients(s.platform.Repository.Dir, filepath.Clean(k.Spec.Path))
	if err != nil {
		return origin{}, err
	}
	args := append([]string{"log", "-1", "--date=short", "--format=%H %ad%x09%an%x09%s", applied, "--"}, dirs...)
	entry, err := s.platform.Repository.Git(ctx, args...)
	if err != nil {
		return origin{}, err
	}
	commit, story, ok := strings.Cut(entry, " ")
	if !ok {
		return origin{}, fmt.Errorf("no commit up to %s changed %s", short(applied), strings.Join(dirs, ", "))
	}
	return origin{kustomization: name, commit: commit, story: story}, nil
}

// ingredients are the directories of a repository that a kustomization is made
// of: its own, and those of its bases and components.
func ingredients(root, dir string) ([]string, error) {
	content, err := os.ReadFile(filepath.Join(root, dir, "kustomization.yaml"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Resources  []string `json:"resources"`
		Components []string `json:"components"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("read %s/kustomization.yaml: %w", dir, err)
	}
	dirs := []string{dir}
	for _, entry := range append(file.Resources, file.Components...) {
		base := filepath.Join(dir, entry)
		if info, err := os.Stat(filepath.Join(root, base)); err != nil || !info.IsDir() {
			continue
		}
		more, err := ingredients(root, base)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, more...)
	}
	return dirs, nil
}

// consequences goes the other way: from a commit to what it changed. Its files
// are Git's to tell, and the objects are in the events that name its revision. It
// asks about the new model, whose objects have names of their own: an event that
// says what an earlier one said is counted onto that, and keeps its revision.
func (s *story) consequences(ctx context.Context) (outcome, error) {
	const want = "Deployment/" + serving + "/model-server configured"
	commit := s.ship
	files, err := s.platform.Repository.Git(ctx, "diff-tree", "-r", "--no-commit-id", "--name-only", commit)
	if err != nil {
		return outcome{}, err
	}
	var told []string
	err = platform.Await(ctx, func(ctx context.Context) error {
		var list corev1.EventList
		if err := readAll(ctx, s.platform, "events", platform.PlatformNamespace, &list); err != nil {
			return err
		}
		told = eventsOf(list.Items, platform.Revision(commit))
		if !strings.Contains(strings.Join(told, "\n"), want) {
			return fmt.Errorf("no event of commit %s says %q: %q", short(commit), want, told)
		}
		return nil
	})
	if err != nil {
		return outcome{}, err
	}
	details := append([]string{"git diff-tree: " + strings.Join(strings.Fields(files), ", ")}, told...)
	return seen("Asked which objects commit "+short(commit)+" changed: the events that name its revision", details...), nil
}

// eventsOf are the events about a revision that tell of objects, each with who
// sent it.
func eventsOf(events []corev1.Event, revision string) []string {
	var told []string
	for i := range events {
		e := &events[i]
		for _, value := range e.Annotations {
			if value == revision && e.InvolvedObject.Kind == kustomizev1.KustomizationKind && strings.Contains(e.Message, "/") {
				told = append(told, "Event of "+e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name+": "+e.Message)
				break
			}
		}
	}
	slices.Sort(told)
	return slices.Compact(told)
}
