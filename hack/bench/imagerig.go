// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// imageRig is a fresh cluster with image-automation-controller, a registry and
// a Git server.
type imageRig struct {
	platform *platform.Platform
	client   client.Client
	registry *testkit.Registry
	git      *testkit.GitServer
	repos    string
}

// onImages measures on a fresh cluster.
func onImages(ctx context.Context, measure func(*imageRig) error) (err error) {
	p, err := platform.StartBare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(context.WithoutCancel(ctx))) }()
	r := &imageRig{platform: p, repos: filepath.Join(p.Dir(), "repos")}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, imagev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	if r.client, err = client.New(p.Cluster.Config(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if r.registry, err = testkit.NewRegistry(testkit.RegistryPages(1000)); err != nil {
		return err
	}
	defer r.registry.Close()
	if r.git, err = testkit.NewGitServer(r.repos); err != nil { //nolint:contextcheck // The server goes on until Close.
		return err
	}
	defer r.git.Close()
	if err := r.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: imageNamespace}}); err != nil {
		return err
	}
	if err := p.StartImageController(ctx); err != nil {
		return err
	}
	return measure(r)
}

const imageNamespace = "models"

// repository makes a Git repository with the files, and a hook that writes down
// every push.
func (r *imageRig) repository(ctx context.Context, name string, files map[string]string) (*testkit.GitRepo, error) {
	repo, err := testkit.NewGitRepo(ctx, filepath.Join(r.repos, name+".git"))
	if err != nil {
		return nil, err
	}
	if _, err := repo.Commit(ctx, testkit.GitCommit{Files: testkit.Files(files)}); err != nil {
		return nil, err
	}
	return repo, repo.Hook("post-receive", "echo >> pushes")
}

// pushes is how many pushes a repository has received.
func pushes(repo *testkit.GitRepo) (float64, error) {
	lines, err := os.ReadFile(filepath.Join(repo.Dir, "pushes"))
	if err != nil {
		return 0, fmt.Errorf("count the pushes: %w", err)
	}
	return float64(strings.Count(string(lines), "\n")), nil
}

// source creates the GitRepository for a repository.
func (r *imageRig) source(ctx context.Context, name string) error {
	return r.client.Create(ctx, &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: imageNamespace, Name: name},
		Spec: sourcev1.GitRepositorySpec{
			URL: r.git.URL + "/" + name + ".git", Interval: metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	})
}

// automation commits one image to a repository.
func (r *imageRig) automation(name, source, path, image string) *imagev1.ImageUpdateAutomation {
	return &imagev1.ImageUpdateAutomation{
		ObjectMeta: metav1.ObjectMeta{Namespace: imageNamespace, Name: name},
		Spec: imagev1.ImageUpdateAutomationSpec{
			SourceRef: imagev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: source},
			Interval:  metav1.Duration{Duration: time.Hour},
			GitSpec:   &imagev1.GitSpec{Commit: imagev1.CommitSpec{Author: imagev1.CommitUser{Name: name, Email: name + "@example.com"}}},
			Update:    &imagev1.UpdateStrategy{Strategy: imagev1.UpdateStrategySetters, Path: path},
			Weir: &imagev1.WeirSpec{Images: []imagev1.Image{{
				Name: "model", Image: r.registry.Host + "/" + image, RegistryAccess: imagev1.RegistryAccess{Insecure: true},
				Policy: imagev1.ImageChoice{ImagePolicyChoice: imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: "*"}}},
			}}},
		},
	}
}

// marked is a file whose field an automation writes.
func (r *imageRig) marked(automation, image string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\nspec:\n  containers:\n    - name: model\n"+
		"      image: %s/%s:1.0.0 # {\"$imagepolicy\": \"%s:%s/model\"}\n", automation, r.registry.Host, image, imageNamespace, automation)
}

// create creates objects, with 20 workers.
func create[O client.Object](ctx context.Context, r *imageRig, objects []O) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, object := range objects {
		group.Go(func() error { return r.client.Create(ctx, object) })
	}
	return group.Wait()
}

// lookEvery is how often lists are looked at, and so how exact the figures are.
// To read a thousand objects is work for the server that is being measured.
const lookEvery = 200 * time.Millisecond

// each waits until all objects of a list are as they should be.
func (r *imageRig) each(ctx context.Context, list client.ObjectList, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := r.client.List(ctx, list, client.InNamespace(imageNamespace))
		if err == nil {
			err = check()
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-tick.C:
		}
	}
}

// isReady returns nil if an object is ready, and otherwise what it says.
func isReady(obj conditions.Getter) error {
	if conditions.IsReady(obj) {
		return nil
	}
	return fmt.Errorf("%s is not ready: %s", obj.GetName(), conditions.GetMessage(obj, "Ready"))
}
