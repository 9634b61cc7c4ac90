// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// measureImages measures image-automation-controller from outside: what is
// created in the API server, and when Git or the status show the result.
func measureImages(ctx context.Context, out results) error {
	for _, measure := range []func(context.Context, *imageRig, results) error{measureAutomations, measureScans, measureTags, measureFiles} {
		if err := onImages(ctx, func(r *imageRig) error { return measure(ctx, r, out) }); err != nil {
			return err
		}
	}
	return nil
}

// measureAutomations has 90 automations on one branch, each with an image of
// its own, become due at once: their source appears.
func measureAutomations(ctx context.Context, r *imageRig, out results) error {
	const n = 90
	files := map[string]string{}
	var automations []*imagev1.ImageUpdateAutomation
	for i := range n {
		name := fmt.Sprintf("app-%02d", i)
		if err := r.tags("team/"+name, "1.0.0", "1.1.0"); err != nil {
			return err
		}
		files[name+"/pod.yaml"] = r.marked(name, "team/"+name)
		automations = append(automations, r.automation(name, "apps", "./"+name, "team/"+name))
	}
	repo, err := r.repository(ctx, "apps", files)
	if err != nil {
		return err
	}
	if err := create(ctx, r, automations); err != nil {
		return err
	}
	var list imagev1.ImageUpdateAutomationList
	waiting := func() error {
		for i := range list.Items {
			if ready := list.Items[i].Status.Conditions; len(ready) == 0 {
				return fmt.Errorf("%s has not looked for its source", list.Items[i].Name)
			}
		}
		return nil
	}
	if err := r.each(ctx, &list, waiting); err != nil {
		return err
	}
	begun := time.Now()
	if err := r.source(ctx, "apps"); err != nil {
		return err
	}
	if err := r.each(ctx, &list, func() error { return pushed(&list) }); err != nil {
		return err
	}
	out["image_90_seconds"] = time.Since(begun).Seconds()
	log, err := repo.Git(ctx, "log", "--format=%ae", "main")
	if err != nil {
		return err
	}
	if commits := strings.Count(log, "app-"); commits != n {
		return fmt.Errorf("%d commits were pushed for %d automations", commits, n)
	}
	out["image_90_pushes"], err = pushes(repo)
	return err
}

// pushed returns nil if every automation has pushed a commit.
func pushed(list *imagev1.ImageUpdateAutomationList) error {
	for i := range list.Items {
		a := &list.Items[i]
		if err := isReady(a); err != nil {
			return err
		}
		if a.Status.LastPushCommit == "" {
			return fmt.Errorf("%s has pushed nothing", a.Name)
		}
	}
	return nil
}

// measureScans scans 1,000 repositories.
func measureScans(ctx context.Context, r *imageRig, out results) error {
	const n = 1000
	var repositories []*imagev1.ImageRepository
	for i := range n {
		name := fmt.Sprintf("image-%04d", i)
		r.registry.SetTags("team/"+name, []string{"1.0.0", "1.0.1", "1.1.0"})
		repositories = append(repositories, &imagev1.ImageRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: imageNamespace, Name: name}, Spec: r.scan("team/" + name),
		})
	}
	begun := time.Now()
	if err := create(ctx, r, repositories); err != nil {
		return err
	}
	var list imagev1.ImageRepositoryList
	err := r.each(ctx, &list, func() error {
		for i := range list.Items {
			if err := isReady(&list.Items[i]); err != nil {
				return err
			}
		}
		return nil
	})
	out["image_scan_1000_seconds"] = time.Since(begun).Seconds()
	return err
}

// measureTags has 50 policies pick one of 100,000 tags.
func measureTags(ctx context.Context, r *imageRig, out results) error {
	const tags, n = 100_000, 50
	all := make([]string, tags)
	for i := range all {
		all[i] = fmt.Sprintf("1.%d.%d", i/1000, i%1000)
	}
	r.registry.SetTags("team/model", all)
	policies := make([]*imagev1.ImagePolicy, n)
	for i := range policies {
		policies[i] = &imagev1.ImagePolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: imageNamespace, Name: fmt.Sprintf("policy-%02d", i)},
			Spec: imagev1.ImagePolicySpec{
				ImageRepositoryRef: meta.NamespacedObjectReference{Name: "model"},
				Policy:             imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: fmt.Sprintf("<1.%d.0", i+1)}},
			},
		}
	}
	begun := time.Now()
	repository := &imagev1.ImageRepository{ObjectMeta: metav1.ObjectMeta{Namespace: imageNamespace, Name: "model"}, Spec: r.scan("team/model")}
	if err := errors.Join(r.client.Create(ctx, repository), create(ctx, r, policies)); err != nil {
		return err
	}
	var list imagev1.ImagePolicyList
	err := r.each(ctx, &list, func() error {
		for i := range list.Items {
			if err := isReady(&list.Items[i]); err != nil {
				return err
			}
			if want, got := fmt.Sprintf("1.%d.999", i), list.Items[i].Status.LatestRef.Tag; got != want {
				return fmt.Errorf("policy %d picked %s, not %s", i, got, want)
			}
		}
		return nil
	})
	out["image_tags_100000_seconds"] = time.Since(begun).Seconds()
	return err
}

// measureFiles updates 200 fields among 10,000 YAML files, from a repository
// that was never fetched.
func measureFiles(ctx context.Context, r *imageRig, out results) error {
	const files, markers = 10_000, 200
	if err := r.tags("team/model", "1.0.0", "1.1.0"); err != nil {
		return err
	}
	content := map[string]string{}
	for i := range files {
		name := fmt.Sprintf("apps/%02d/%04d.yaml", i%100, i)
		content[name] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-%d\ndata:\n  key: \"%d\"\n", i, i)
		if i%(files/markers) == 0 {
			content[name] = r.marked("all", "team/model")
		}
	}
	repo, err := r.repository(ctx, "files", content)
	if err != nil {
		return err
	}
	if err := r.source(ctx, "files"); err != nil {
		return err
	}
	begun := time.Now()
	if err := r.client.Create(ctx, r.automation("all", "files", "./apps", "team/model")); err != nil {
		return err
	}
	var list imagev1.ImageUpdateAutomationList
	if err := r.each(ctx, &list, func() error { return pushed(&list) }); err != nil {
		return err
	}
	out["image_files_10000_seconds"] = time.Since(begun).Seconds()
	changed, err := repo.Git(ctx, "diff", "--name-only", "main~1", "main")
	if err == nil && len(strings.Fields(changed)) != markers {
		err = fmt.Errorf("%d files were changed, not %d", len(strings.Fields(changed)), markers)
	}
	return err
}

// tags publishes an image with some tags.
func (r *imageRig) tags(image string, tags ...string) error {
	for _, tag := range tags {
		if _, err := r.registry.Push(image, tag, testkit.RegistryImage{Content: tag}); err != nil {
			return err
		}
	}
	return nil
}

// scan is the spec of an ImageRepository for an image of the rig's registry.
func (r *imageRig) scan(image string) imagev1.ImageRepositorySpec {
	return imagev1.ImageRepositorySpec{
		Image: r.registry.Host + "/" + image, Interval: metav1.Duration{Duration: time.Hour},
		RegistryAccess: imagev1.RegistryAccess{Insecure: true},
	}
}
