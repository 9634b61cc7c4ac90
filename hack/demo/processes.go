// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gitops/weir/hack/platform"
)

// processes is the ground on which the controllers are processes of this
// machine, and what bootstrap deploys does nothing.
type processes struct{ platform *platform.Platform }

func (g processes) build(ctx context.Context) (outcome, error) {
	if err := g.platform.Build(ctx); err != nil {
		return outcome{}, err
	}
	return seen("Built " + strings.Join(platform.Programs(), ", ")), nil
}

func (g processes) startCluster(ctx context.Context) (outcome, error) {
	if err := g.platform.StartCluster(ctx, simulatedNodes); err != nil {
		return outcome{}, err
	}
	return clusterUp(ctx, g.platform, "")
}

func (g processes) install(ctx context.Context) (outcome, error) {
	if err := g.platform.Install(ctx); err != nil {
		return outcome{}, err
	}
	return installed(), nil
}

func (g processes) startControllers(ctx context.Context) (outcome, error) {
	if err := g.platform.StartControllers(ctx); err != nil {
		return outcome{}, err
	}
	var who []string
	for _, c := range g.platform.Controllers() {
		account, err := bearer(ctx, c.Kubeconfig)
		if err != nil {
			return outcome{}, fmt.Errorf("ask the API server who %s is: %w", c.Name, err)
		}
		if want := "system:serviceaccount:" + platform.Namespace + ":" + c.Name; account != want {
			return outcome{}, fmt.Errorf("the API server knows %s as %s, not as %s", c.Name, account, want)
		}
		who = append(who, fmt.Sprintf("process %-7d %s", c.PID(), account))
	}
	return seen("Started the controllers, each with the rights of its own service account and no more", who...), nil
}

func (g processes) loseSource(ctx context.Context) error {
	source := g.platform.Source
	if err := source.Kill(); err != nil {
		return err
	}
	if err := source.LoseDisk(); err != nil {
		return err
	}
	return source.Start(ctx)
}

func (g processes) killKustomize(ctx context.Context) error {
	if err := g.platform.Kustomize.Kill(); err != nil {
		return err
	}
	return g.platform.Kustomize.Start(ctx)
}

func (g processes) download(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func (g processes) logs(_ context.Context, lines int) map[string]string {
	all := map[string]string{}
	for _, c := range g.platform.Controllers() {
		all[c.Name] = c.LogTail(lines)
	}
	return all
}

func (g processes) follow() string {
	logs := make([]string, 0, len(platform.Programs()))
	for _, c := range g.platform.Controllers() {
		logs = append(logs, c.Log)
	}
	return "tail -f " + strings.Join(logs, " ")
}

// bearer is whom the API server takes the bearer of a kubeconfig for.
func bearer(ctx context.Context, kubeconfig string) (string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return "", err
	}
	client, err := authenticationclient.NewForConfig(config)
	if err != nil {
		return "", err
	}
	review, err := client.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return review.Status.UserInfo.Username, nil
}
