// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// A Node is the real node of a cluster that was started WithNode.
type Node struct {
	// Name is that of the node in Kubernetes.
	Name string
	// Address is where node ports, the API server and the registry are, from
	// inside of the cluster and from this machine.
	Address string
	// Host is this machine's address on its link to the node. Pods reach what
	// listens there.
	Host string
	// Registry is "address:port" of a registry, plain HTTP, that the node pulls
	// all images from, whatever their host: ghcr.io/a/b:1 is a/b:1 there.
	Registry string
}

// WithNode adds a real node, node-0, that runs pods and claims to have that
// many GPUs. The whole cluster is in network, mount and process namespaces of
// its own. It takes root and the programs that "hack/deps.sh node" gets, and
// the first time some minutes to build. Of simulated nodes beside it none is
// labelled as kubernetes.io/os=linux: pods that select that run on the real one,
// and others on a simulated one if they fit there.
func WithNode(gpus int) ClusterOption {
	return func(o *clusterOptions) { o.node, o.nodeGPUs = true, gpus }
}

// Node returns what is known about the real node. It is zero without WithNode.
func (c *Cluster) Node() Node {
	if c.state.Init == 0 {
		return Node{}
	}
	return Node{Name: "node-0", Address: c.state.NodeAddress, Host: c.state.HostAddress, Registry: c.state.Registry}
}

// StopComponent asks a component to end, kills it if it does not, and returns
// when it is gone. The cluster goes on without it until StartComponent. The
// components are etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kwok if there are simulated nodes, and with a real node
// containerd, coredns, kube-proxy, kubelet and registry.
func (c *Cluster) StopComponent(ctx context.Context, name string) error {
	return c.do(ctx, "component", "stop", name)
}

// KillComponent is StopComponent without asking.
func (c *Cluster) KillComponent(ctx context.Context, name string) error {
	return c.do(ctx, "component", "kill", name)
}

// StartComponent starts a component that was stopped or killed and returns
// when it answers.
func (c *Cluster) StartComponent(ctx context.Context, name string) error {
	return c.do(ctx, "component", "start", name)
}

// Runs reports whether a process of this machine is one of a cluster that was
// started WithNode, or runs in a container there.
func (c *Cluster) Runs(pid int) bool {
	own := processSpace(c.state.Init)
	for own != "" && pid > 1 {
		if processSpace(pid) == own {
			return true
		}
		pid = parent(pid) // a container has a namespace of its own
	}
	return false
}

// processSpace names the namespace of a process for processes. It is empty if the
// process is gone, or somebody else's.
func processSpace(pid int) string {
	name, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	if err != nil {
		return ""
	}
	return name
}

// parent returns the process that a process belongs to, and 0 if it is gone.
func parent(pid int) int {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nPPid:")
	line, _, _ := strings.Cut(rest, "\n")
	id, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0
	}
	return id
}

// Enter prepares to run a command of this machine in the namespaces of a
// cluster that was started WithNode, with the administrator's KUBECONFIG. Its
// files are the machine's, but for /run, /var/lib and /var/log.
func (c *Cluster) Enter(ctx context.Context, command ...string) *exec.Cmd {
	args := append([]string{"--target", strconv.Itoa(c.state.Init), "--mount", "--net", "--pid", "--"}, command...)
	cmd := exec.CommandContext(ctx, "nsenter", args...) //#nosec G204 -- what the caller asks for
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.state.Kubeconfig)
	if c.state.Init == 0 {
		cmd.Err = fmt.Errorf("enter a cluster without a node: %w", os.ErrInvalid)
	}
	return cmd
}
