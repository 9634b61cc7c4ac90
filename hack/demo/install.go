// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gitops/weir/hack/platform"
)

// nodes of the cluster, with 8 GPUs each.
const nodes = 2

func (s *story) build(ctx context.Context) (outcome, error) {
	if err := s.platform.Build(ctx); err != nil {
		return outcome{}, err
	}
	return seen("Built " + strings.Join(platform.Programs(), ", ")), nil
}

func (s *story) startCluster(ctx context.Context) (outcome, error) {
	if err := s.platform.StartCluster(ctx, nodes); err != nil {
		return outcome{}, err
	}
	version, err := s.platform.Kubectl(ctx, "get", "--raw", "/version")
	if err != nil {
		return outcome{}, err
	}
	gitVersion, err := jsonString(version, "gitVersion")
	if err != nil {
		return outcome{}, err
	}
	gpus, err := s.allocatable(ctx)
	if err != nil {
		return outcome{}, err
	}
	return seen(fmt.Sprintf("Kubernetes %s is up, with %d GPUs on %d simulated nodes", gitVersion, gpus, nodes)), nil
}

func (s *story) install(ctx context.Context) (outcome, error) {
	if err := s.platform.Install(ctx); err != nil {
		return outcome{}, err
	}
	return seen("Installed Weir: kubectl apply --server-side --force-conflicts -k bootstrap"), nil
}

func (s *story) startControllers(ctx context.Context) (outcome, error) {
	if err := s.platform.StartControllers(ctx); err != nil {
		return outcome{}, err
	}
	var who []string
	for _, c := range s.platform.Controllers() {
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
