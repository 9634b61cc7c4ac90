// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// pods is the ground on which the controllers are what bootstrap deploys, on a
// real node.
type pods struct{ platform *platform.Platform }

func (g pods) build(ctx context.Context) (outcome, error) {
	if err := g.platform.BuildImages(ctx); err != nil {
		return outcome{}, err
	}
	return seen("Built the images of " + strings.Join(platform.Programs(), ", ")), nil
}

func (g pods) startCluster(ctx context.Context) (outcome, error) {
	if err := g.platform.StartNode(ctx, testkit.WithGPUNodes(simulatedNodes)); err != nil {
		return outcome{}, err
	}
	// A DaemonSet of the example is for every machine. This one has no network to get its image by.
	err := g.platform.PushTestbed(ctx, "acme-ml/feature-discovery", "0.6.2", map[string]string{"ADDRESS": ":8081"})
	if err != nil {
		return outcome{}, err
	}
	return clusterUp(ctx, g.platform, "one real node and ")
}

func (g pods) install(ctx context.Context) (outcome, error) {
	if err := g.platform.PushImages(ctx); err != nil {
		return outcome{}, err
	}
	if err := g.platform.Install(ctx); err != nil {
		return outcome{}, err
	}
	return installed(), nil
}

func (g pods) startControllers(ctx context.Context) (outcome, error) {
	if err := g.platform.AwaitPods(ctx); err != nil {
		return outcome{}, err
	}
	level, err := g.platform.Kubectl(ctx, "get", "namespace", platform.Namespace, `--output=jsonpath={.metadata.labels.pod-security\.kubernetes\.io/enforce}`)
	if err != nil {
		return outcome{}, err
	}
	if level != "restricted" {
		return outcome{}, fmt.Errorf("the namespace %s enforces %q, not the restricted profile", platform.Namespace, level)
	}
	table, err := g.platform.Kubectl(ctx, "get", "pods", "--namespace="+platform.Namespace)
	if err != nil {
		return outcome{}, err
	}
	result := seen("All controllers run as pods, under the restricted profile and their own service accounts")
	result.table = table
	return result, nil
}

func (g pods) loseSource(ctx context.Context) error {
	if err := g.platform.DeletePods(ctx, "source-controller"); err != nil {
		return err
	}
	return g.platform.AwaitPods(ctx)
}

func (g pods) killKustomize(ctx context.Context) error {
	killed, err := g.platform.KillInPods("kustomize-controller")
	if err == nil && killed == 0 {
		err = errNoController
	}
	if err != nil {
		return err
	}
	return g.platform.AwaitPods(ctx)
}

// download asks by way of the API server, for this machine does not know the
// cluster's names.
func (g pods) download(ctx context.Context, artifact string) error {
	parsed, err := url.Parse(artifact)
	if err != nil {
		return err
	}
	service, _, _ := strings.Cut(parsed.Hostname(), ".")
	_, err = g.platform.Kubectl(ctx, "get", "--raw", "/api/v1/namespaces/"+platform.Namespace+"/services/http:"+service+":http/proxy"+parsed.Path)
	return err
}

func (g pods) logs(ctx context.Context, lines int) map[string]string {
	all := map[string]string{}
	for _, name := range platform.Programs() {
		text, err := g.platform.Kubectl(ctx, "logs", "--namespace="+platform.Namespace, "--selector=app.kubernetes.io/name="+name, "--tail="+strconv.Itoa(lines))
		if err != nil {
			text = err.Error()
		}
		all[name] = text
	}
	return all
}

func (g pods) follow() string {
	return "kubectl logs -n " + platform.Namespace + " -l app.kubernetes.io/part-of=weir --prefix --follow"
}
