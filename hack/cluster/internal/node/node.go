// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/build"
	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// Name is that of the node in Kubernetes.
const Name = "node-0"

// folder is where a node's files are, in the directory of its cluster.
const folder = "node"

// Names of the components.
const (
	initName     = "node"
	RegistryName = "registry"
	RuntimeName  = "containerd"
	DNSName      = "coredns"
	KubeletName  = "kubelet"
	ProxyName    = "kube-proxy"
)

// Ports of the node's servers that others than its own programs ask.
const (
	registryPort  = 5000
	proxyHealth   = 10256
	kubeletHealth = 10248
	dnsHealth     = 8181
)

// Paths in the node's namespace.
const runtimeSocket = "/run/containerd/containerd.sock"

// Options say what node to run.
type Options struct {
	// GPUs is how many GPUs the node claims to have.
	GPUs int `json:"gpus"`
	// Programs are the components of build.Node, and Pause that of build.Pause.
	Programs build.Assets `json:"programs"`
	Pause    build.Assets `json:"pause"`
	// Tools are what the machine brings.
	Tools Tools `json:"tools"`
}

// A Node is a node that is being made or runs.
type Node struct {
	Options

	Link   Link
	Cgroup string // its folder in each hierarchy of cgroups
	dir    string // its cluster's
	files  Files
}

// Files are those of the cluster that a node reads.
type Files struct {
	ClientCA            string // signs clients of the kubelet
	Cert, Key           string // the kubelet serves with them
	Kubelet, Proxy, DNS string // kubeconfigs
}

// New returns a node of the cluster in dir with that name, of which nothing exists yet.
func New(opts Options, cluster, dir string) *Node {
	return &Node{Options: opts, Cgroup: fmt.Sprintf("weir-%s-%d", cluster, os.Getpid()), dir: dir}
}

// Registry is the address of the node's registry.
func (n *Node) Registry() string {
	return net.JoinHostPort(n.Link.Node(), strconv.Itoa(registryPort))
}

// Start makes the node's cgroup, starts the first process of its namespaces in group, and joins it to this machine. From
// then on the node's addresses are known, and everything but the cgroup ends with that process.
func (n *Node) Start(ctx context.Context, group *process.Group, log string) (*process.Process, error) {
	if err := CreateCgroup(n.Cgroup); err != nil {
		return nil, err
	}
	dirs := []string{n.path("tmp")}
	for _, name := range replaced() {
		dirs = append(dirs, n.path(name))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	root, err := group.Start(process.Spec{
		Name: initName, Path: "/proc/self/exe", Args: []string{InitCommand, n.dir}, Env: n.environment(), Dir: "/", Log: log, Root: true,
	})
	if err != nil {
		return nil, err
	}
	if err := n.await(ctx, root); err != nil {
		return root, err
	}
	if n.Link, err = newLink(ctx, root.PID); err != nil {
		return root, fmt.Errorf("join the node to this machine: %w", err)
	}
	return root, nil
}

// Connect has the group enter the namespaces of root, and returns when the network is up. Then components of the cluster
// can be started there.
func (n *Node) Connect(ctx context.Context, group *process.Group, root *process.Process) error {
	if err := n.Link.connect(ctx); err != nil {
		return err
	}
	if err := group.Enter(root); err != nil {
		return err
	}
	for _, args := range [][]string{{"ip", "-batch", n.path("ip.batch")}, {"nft", "-f", n.path("rules.nft")}} {
		if err := n.finish(ctx, group, root.Log, args...); err != nil {
			return err
		}
	}
	return nil
}

// finish runs a program of the machine in the node.
func (n *Node) finish(ctx context.Context, group *process.Group, log string, args ...string) error {
	spec := process.Spec{Name: args[0], Path: n.Tools.find(args[0]), Args: args[1:], Env: n.environment(), Dir: n.dir, Log: log}
	code, err := group.Finish(ctx, spec)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s ended with exit code %d: %s", args[0], code, process.Tail(log, 5))
	}
	return err
}

// await returns when the node's namespaces can be entered.
func (n *Node) await(ctx context.Context, root *process.Process) error {
	const pause = 5 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(Ready(n.dir)); err == nil {
			return nil
		}
		if root.Gone() {
			return fmt.Errorf("make the node's namespaces: %s: %s", root.Outcome(), process.Tail(root.Log, 5))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("make the node's namespaces: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Disconnect removes the link of a node that is about to end. It would go with the node's processes, some time later;
// after those it could be another node's of that name, so it is never removed then.
func (n *Node) Disconnect(ctx context.Context) error {
	return removeLink(ctx, n.Link.Name())
}

// RuntimeSocket is where the machine sees the socket of the node's container runtime; root is the number of the first
// process of the namespaces.
func RuntimeSocket(root int) string {
	return fmt.Sprintf("/proc/%d/root%s", root, runtimeSocket)
}

// EnterArguments are what nsenter runs a command in a node's namespaces with; root is the number of their first process.
func EnterArguments(root int, command ...string) []string {
	return append([]string{"--target", strconv.Itoa(root), "--mount", "--net", "--pid", "--"}, command...)
}

// Health returns where a component says that it works, or "" if it does not.
func (n *Node) Health(component string) string {
	switch component {
	case RegistryName:
		return "http://" + n.Registry() + "/v2/"
	case DNSName:
		return fmt.Sprintf("http://%s:%d/ready", n.Link.Node(), dnsHealth)
	case KubeletName:
		return fmt.Sprintf("http://%s:%d/healthz", n.Link.Node(), kubeletHealth)
	case ProxyName:
		return fmt.Sprintf("http://%s:%d/healthz", n.Link.Node(), proxyHealth)
	}
	return ""
}

func (n *Node) path(parts ...string) string {
	return filepath.Join(append([]string{n.dir, folder}, parts...)...)
}
