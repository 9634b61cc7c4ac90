// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"path/filepath"

	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// Runtime are the components that need no Kubernetes.
func (n *Node) Runtime() []process.Spec {
	return []process.Spec{
		n.spec(RegistryName, n.Programs.Path(RegistryName),
			"--listen="+n.Registry(), "--data="+n.path("registry"), "--pause="+n.Pause.Path("weir-pause")),
		n.spec(RuntimeName, n.Tools.Containerd, "--config="+n.path("containerd.toml")),
	}
}

// Kubelet registers the node and runs its pods.
func (n *Node) Kubelet() process.Spec {
	flags := []string{
		"--config=" + n.path("kubelet.json"),
		"--kubeconfig=" + n.files.Kubelet,
		"--hostname-override=" + Name,
		"--node-ip=" + n.Link.Node(),
		// What does not have to run had better be on a simulated node: its images exist nowhere.
		"--register-with-taints=kwok.x-k8s.io/node=real:PreferNoSchedule",
	}
	if n.GPUs > 0 {
		flags = append(flags, fmt.Sprintf("--node-labels=nvidia.com/gpu.present=true,nvidia.com/gpu.count=%d", n.GPUs))
	}
	return n.spec(KubeletName, n.Programs.Path(KubeletName), flags...)
}

// Services are the components by which pods find services.
func (n *Node) Services() []process.Spec {
	return []process.Spec{
		n.spec(DNSName, n.Programs.Path(DNSName), "-conf="+n.path("Corefile")),
		n.spec(ProxyName, n.Programs.Path(ProxyName), "--config="+n.path("kube-proxy.json")),
	}
}

func (n *Node) spec(name, path string, flags ...string) process.Spec {
	return process.Spec{
		Name: name, Path: path, Args: flags, Env: n.environment(), Dir: n.dir,
		Log: filepath.Join(n.dir, "logs", name+".log"),
	}
}

// environment is what the node's programs get of ours.
func (n *Node) environment() []string {
	return []string{"PATH=" + n.Tools.Path, "HOME=" + filepath.Join(n.dir, "home"), "TMPDIR=" + n.path("tmp")}
}
