// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package testkit holds what tests and demonstrations of Weir run against:
// real servers, on this machine and for a short time. It does not import
// package testing, so programs can use it too.
package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// A Cluster is a real Kubernetes control plane on this machine, with a
// directory and ports of its own. It ends with the process that started it,
// however that ends. Make one with StartCluster.
type Cluster struct {
	launcher launcher
	state    clusterState
	config   *rest.Config
}

// clusterState is what the launcher says about a cluster.
type clusterState struct {
	Dir        string `json:"dir"`
	Kubeconfig string `json:"kubeconfig"`
	Assets     string `json:"assets"`

	NodeAddress string `json:"nodeAddress"`
	HostAddress string `json:"hostAddress"`
	Registry    string `json:"registry"`
	Init        int    `json:"init"`
}

// clusterOptions are what ClusterOptions set.
type clusterOptions struct {
	gpuNodes int
	node     bool
	nodeGPUs int
	fsync    bool
	progress io.Writer
}

// A ClusterOption changes what StartCluster does.
type ClusterOption func(*clusterOptions)

// WithGPUNodes adds n simulated nodes with 8 GPUs each, named gpu-0 and up.
// Pods are scheduled to them and run, and those of Jobs complete; no container
// exists. Without nodes, pods stay pending.
func WithGPUNodes(n int) ClusterOption {
	return func(o *clusterOptions) { o.gpuNodes = n }
}

// WithFsync has etcd wait for the disk before it says that something is
// written, which it otherwise does not: only a measurement is after that.
func WithFsync() ClusterOption {
	return func(o *clusterOptions) { o.fsync = true }
}

// WithClusterProgress sends lines for a person to w: the steps of the start,
// and of the build if Kubernetes was not built on this machine before. The
// default is silence.
func WithClusterProgress(w io.Writer) ClusterOption {
	return func(o *clusterOptions) { o.progress = w }
}

// StartCluster starts a cluster by way of hack/cluster and returns when it is
// ready, which takes about 4 s, or some minutes if Kubernetes has to be built
// first. If ctx ends before, nothing of the cluster is left.
func StartCluster(ctx context.Context, opts ...ClusterOption) (*Cluster, error) {
	options := clusterOptions{progress: io.Discard}
	for _, option := range opts {
		option(&options)
	}
	launch, err := findLauncher(options.progress)
	if err != nil {
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	dir, err := os.MkdirTemp("", "weir-cluster-")
	if err != nil {
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	c := &Cluster{launcher: launch}
	err = launch.run(ctx, &c.state, "up",
		"--dir="+dir,
		"--gpu-nodes="+strconv.Itoa(options.gpuNodes),
		"--node="+strconv.FormatBool(options.node),
		"--node-gpus="+strconv.Itoa(options.nodeGPUs),
		"--fsync="+strconv.FormatBool(options.fsync),
		"--owner-pid="+strconv.Itoa(os.Getpid()),
		"--output=json",
	)
	if err != nil {
		// The launcher removes the directory unless it did not get that far.
		if removed := os.Remove(dir); removed != nil && !errors.Is(removed, os.ErrNotExist) {
			err = errors.Join(err, removed)
		}
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	c.config, err = clientcmd.BuildConfigFromFlags("", c.state.Kubeconfig)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the kubeconfig of the cluster: %w", err), c.Stop(context.WithoutCancel(ctx)))
	}
	unlimit(c.config)
	return c, nil
}

// Config returns a copy of the administrator's client configuration, without
// a limit on requests per second.
func (c *Cluster) Config() *rest.Config {
	return rest.CopyConfig(c.config)
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string {
	return c.state.Kubeconfig
}

// Assets is the directory that holds the programs of the cluster: kubectl,
// kube-apiserver, etcd and the others.
func (c *Cluster) Assets() string {
	return c.state.Assets
}

// Stop ends the cluster and returns when its processes and files are gone.
func (c *Cluster) Stop(ctx context.Context) error {
	return c.do(ctx, "down")
}

// Snapshot writes what the cluster's etcd holds to file. The cluster goes on
// meanwhile.
func (c *Cluster) Snapshot(ctx context.Context, file string) error {
	return c.do(ctx, "snapshot", file)
}

// Restore puts the cluster back to a snapshot of itself and returns when it
// serves again. Resource versions go on from above those that any client has
// seen, as etcd's handbook asks for. Addresses and credentials stay.
// A file that is no snapshot is an error and leaves the cluster as it was.
func (c *Cluster) Restore(ctx context.Context, file string) error {
	return c.do(ctx, "restore", file)
}

func (c *Cluster) do(ctx context.Context, verb string, args ...string) error {
	args = append([]string{verb, "--dir=" + c.state.Dir}, args...)
	if err := c.launcher.run(ctx, nil, args...); err != nil {
		return fmt.Errorf("%s of the cluster: %w", verb, err)
	}
	return nil
}

// Main is the body of a TestMain whose package shares one cluster: it starts
// the cluster, hands it to use, runs the tests and stops the cluster. It
// returns the exit code. m is a *testing.M.
func Main(m interface{ Run() int }, use func(*Cluster), opts ...ClusterOption) int {
	ctx := context.Background()
	cluster, err := StartCluster(ctx, opts...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(cluster)
	code := m.Run()
	if err := cluster.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}
