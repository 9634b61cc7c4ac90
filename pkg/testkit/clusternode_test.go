// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package testkit_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// TestNode looks at a cluster with a real node as its users do. It takes root
// and what "hack/deps.sh node" gets.
func TestNode(t *testing.T) {
	ctx := t.Context()
	cluster, err := testkit.StartCluster(ctx, testkit.WithNode(4))
	if err != nil {
		t.Fatal(err)
	}
	node := cluster.Node()
	for _, address := range []string{node.Address, node.Host} {
		if _, err := netip.ParseAddr(address); err != nil {
			t.Errorf("an address of the node: %v", err)
		}
	}
	if _, err := netip.ParseAddrPort(node.Registry); err != nil {
		t.Errorf("the registry: %v", err)
	}
	nodes := newClient(t, cluster.Config()).CoreV1().Nodes()
	object, err := nodes.Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if gpus := object.Status.Allocatable["nvidia.com/gpu"]; gpus.Value() != 4 {
		t.Errorf("the node offers %s GPUs, want 4", gpus.String())
	}
	out, err := cluster.Enter(ctx, "ip", "-brief", "address").Output()
	if err != nil || !strings.Contains(string(out), node.Address) {
		t.Errorf("in the cluster the addresses are %q (%v), want %s among them", out, err, node.Address)
	}
	checkRuns(t, cluster)
	if err := cluster.KillComponent(ctx, "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Get(ctx, node.Name, metav1.GetOptions{}); err == nil {
		t.Error("the API server answers although it was killed")
	}
	if err := cluster.StartComponent(ctx, "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Get(ctx, node.Name, metav1.GetOptions{}); err != nil {
		t.Errorf("after the API server was started again: %v", err)
	}
	if err := cluster.StopComponent(ctx, "coredns"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// checkRuns looks for the API server of the cluster among the processes of this
// machine.
func checkRuns(t *testing.T, cluster *testkit.Cluster) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, []byte("--advertise-address="+cluster.Node().Address+"\x00")) {
			continue // it may have ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		found++
		if !cluster.Runs(pid) {
			t.Error("the cluster does not know its API server")
		}
	}
	if found != 1 {
		t.Errorf("%d API servers were found, want 1", found)
	}
	if cluster.Runs(os.Getpid()) {
		t.Error("the cluster takes this test for its own process")
	}
}
