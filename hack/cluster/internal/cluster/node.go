// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/node"
)

// cgroupPatience bounds how long the processes of a node that was killed take to be gone.
const cgroupPatience = 30 * time.Second

// prepareNode makes the namespaces that the whole cluster runs in, and everything that the components read.
func (s *supervisor) prepareNode(ctx context.Context) error {
	s.node = node.New(*s.opts.Node, s.opts.Name, s.opts.Dir)
	if err := os.MkdirAll(s.layout.path("logs"), 0o700); err != nil {
		return err
	}
	// The state says what to remove, so it is written before there is anything.
	s.state = State{Name: s.opts.Name, Dir: s.opts.Dir, Phase: Starting, PID: os.Getpid(), Cgroup: s.node.Cgroup}
	if err := s.state.write(); err != nil {
		return err
	}
	var err error
	if s.root, err = s.node.Start(ctx, s.group, s.layout.log("node")); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	s.specs = specs{layout: s.layout, ports: nodePorts(s.node.Link.Node()), path: s.opts.Assets.Path, fsync: s.opts.Fsync, node: true}
	files := node.Files{
		ClientCA: s.layout.cert(clusterCA),
		Cert:     s.layout.cert(kubeletServer), Key: s.layout.key(kubeletServer),
		Kubelet: s.layout.componentConf(node.KubeletName),
		Proxy:   s.layout.componentConf(node.ProxyName),
		DNS:     s.layout.componentConf(node.DNSName),
	}
	if err := errors.Join(s.writeFiles(nodeUsers()), s.node.WriteFiles(files)); err != nil {
		return fmt.Errorf("write the cluster's files: %w", err)
	}
	if err := s.node.Connect(ctx, s.group, s.root); err != nil {
		return fmt.Errorf("connect the node: %w", err)
	}
	return nil
}

// describeNode adds to the state what is known about the node, if there is one.
func (s *supervisor) describeNode() {
	if s.node == nil {
		return
	}
	s.state.NodeAddress, s.state.HostAddress = s.node.Link.Node(), s.node.Link.Host()
	s.state.Registry, s.state.Link, s.state.Cgroup = s.node.Registry(), s.node.Link.Name(), s.node.Cgroup
	s.state.Init = s.root.PID
}

// end ends all processes, and with them a node's link to this machine. ctx does not end.
func (s *supervisor) end(ctx context.Context) error {
	var failed error
	if s.state.Link != "" && !s.root.Gone() {
		failed = s.node.Disconnect(ctx)
	}
	s.group.Close()
	return failed
}

// scrap removes what the cluster in dir has outside of the directory, and then the directory, by the given function. Only
// the directory says what there is outside, so it stays until that is gone.
func scrap(ctx context.Context, dir string, erase func(dir string) error) error {
	if err := removeNode(ctx, dir); err != nil {
		return fmt.Errorf("%w; \"down\" tries again", err)
	}
	return erase(dir)
}

// removeNode removes what the node of the cluster in dir has outside of the directory. Its processes are dead or dying.
func removeNode(ctx context.Context, dir string) error {
	state, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && state.Cgroup == "" {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cgroupPatience)
	defer cancel()
	return node.RemoveCgroup(ctx, state.Cgroup)
}

// startRuntime starts what the node needs before there is a Kubernetes.
func (s *supervisor) startRuntime(context.Context) error {
	if s.node == nil {
		return nil
	}
	s.step("namespaces")
	for _, spec := range s.node.Runtime() {
		if err := s.launch(spec, false); err != nil {
			return err
		}
	}
	return nil
}

// startNode has the node join the cluster, and returns when its pods can run and find services.
func (s *supervisor) startNode(ctx context.Context, api *client) error {
	if s.node == nil {
		return nil
	}
	for _, name := range []string{node.RegistryName, node.RuntimeName} {
		if err := s.awaitService(ctx, name); err != nil {
			return fmt.Errorf("wait for %s: %w; %s", name, err, lastWords(s.layout.log(name)))
		}
	}
	if err := s.launch(s.node.Kubelet(), false); err != nil {
		return err
	}
	if err := createAll(ctx, api, s.node.Objects()); err != nil {
		return fmt.Errorf("create the service for names: %w", err)
	}
	if err := s.awaitNode(ctx, api, time.Time{}); err != nil {
		return fmt.Errorf("wait for the node: %w; %s", err, lastWords(s.layout.log(node.KubeletName)))
	}
	s.step(node.Name)
	for _, spec := range s.node.Services() {
		if err := s.launch(spec, false); err != nil {
			return err
		}
	}
	for _, name := range []string{node.DNSName, node.ProxyName} {
		if err := s.awaitService(ctx, name); err != nil {
			return fmt.Errorf("wait for %s: %w; %s", name, err, lastWords(s.layout.log(name)))
		}
	}
	s.step("services and names")
	return nil
}

// createAll creates objects by the path of their collection. Those that are there are left as they are.
func createAll(ctx context.Context, api *client, objects []node.Object) error {
	for _, o := range objects {
		err := until(ctx, often, func(ctx context.Context) error {
			err := api.do(ctx, http.MethodPost, o.Path, o.Body, nil)
			if errors.Is(err, errConflict) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitNode returns when the node takes pods and offers its GPUs, according to a kubelet that was started then. The GPUs
// are ours to keep: a kubelet that starts sets what it does not know to nothing, before it first says how it is.
func (s *supervisor) awaitNode(ctx context.Context, api *client, began time.Time) error {
	err := s.awaitService(ctx, node.KubeletName)
	if err != nil {
		return err
	}
	err = until(ctx, often, func(ctx context.Context) error {
		return nodesReady(ctx, api, "?fieldSelector=metadata.name%3D"+node.Name, 1, began)
	})
	if err != nil || s.node.GPUs == 0 {
		return err
	}
	gpus := object{gpuResource: strconv.Itoa(s.node.GPUs)}
	patch := object{"status": object{"capacity": gpus, "allocatable": gpus}}
	return until(ctx, often, func(ctx context.Context) error {
		return api.do(ctx, http.MethodPatch, "/api/v1/nodes/"+node.Name+"/status", patch, nil)
	})
}

// awaitService returns when a component of the node says that it works.
func (s *supervisor) awaitService(ctx context.Context, name string) error {
	if name == node.RuntimeName {
		socket := node.RuntimeSocket(s.snapshotState().Init)
		return until(ctx, often, func(ctx context.Context) error {
			connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
			if err != nil {
				return err
			}
			return connection.Close()
		})
	}
	url := s.node.Health(name)
	if url == "" {
		return nil
	}
	return until(ctx, often, func(ctx context.Context) error { return healthy(ctx, url) })
}

// healthy returns an error unless the server at url answers that all is well.
func healthy(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return nil
}
