// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// TestRemoteCluster applies to another cluster by a kubeconfig, undoes a change by
// hand there, and prunes there.
func TestRemoteCluster(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	other, err := testkit.StartCluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	there := func(ctx context.Context, args ...string) (string, error) {
		args = append([]string{"--kubeconfig=" + other.Kubeconfig()}, args...)
		out, err := exec.CommandContext(ctx, filepath.Join(other.Assets(), "kubectl"), args...).CombinedOutput()
		return string(out), err
	}
	// Pods cannot reach the loopback address on which the other API server is.
	proxy, err := testkit.NewFaultProxyAt(net.JoinHostPort(site.Cluster.Node().Host, "0"), other.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	for _, args := range [][]string{
		{"create", "namespace", "remote"},
		{"create", "serviceaccount", "weir", "--namespace=remote"},
		{"create", "rolebinding", "weir", "--namespace=remote", "--clusterrole=admin", "--serviceaccount=remote:weir"},
	} {
		if out, err := there(ctx, args...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}

	r := newRig(t, site, "remote", nil)
	r.kubectl("create", "namespace", "remote")
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	account, err := other.ServiceAccountConfig(ctx, "remote", "weir")
	if err == nil {
		err = testkit.WriteKubeconfig(proxy.Config(account), kubeconfig)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.kubectl("create", "secret", "generic", "other", "--namespace=remote", "--from-file=value="+kubeconfig)
	r.apply("objects.yaml")
	r.awaitReady("kustomization/remote", "")

	replicas := func(want string) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := there(ctx, "get", "deployment/server", "--namespace=remote", "--output=jsonpath={.spec.replicas}")
			if err == nil && got != want {
				err = fmt.Errorf("the Deployment has %s replicas, not %s", got, want)
			}
			return err
		}
	}
	r.await(replicas("0"))
	if out, err := there(ctx, "scale", "deployment/server", "--namespace=remote", "--replicas=2"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.await(replicas("0"))

	if err := os.Remove(filepath.Join(r.repo.Dir, "remote", "server.yaml")); err != nil {
		t.Fatal(err)
	}
	r.push(removal)
	r.await(func(ctx context.Context) error {
		left, err := there(ctx, "get", "deployments", "--namespace=remote", "--output=name")
		if err == nil && left != "" {
			err = fmt.Errorf("%s is there still", left)
		}
		return err
	})
	if here := r.kubectl("get", "deployments,configmaps", "--namespace=remote", "--output=name", "--selector=app=server"); here != "" {
		t.Errorf("%s is in the cluster of Weir", here)
	}
}
