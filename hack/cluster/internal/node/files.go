// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// object is a part of a configuration as JSON, which every reader of YAML takes.
type object = map[string]any

// WriteFiles writes the configuration of everything that runs on the node.
func (n *Node) WriteFiles(files Files) error {
	n.files = files
	texts := map[string]string{
		"ip.batch":                  n.Link.batch(),
		"rules.nft":                 rules(),
		"containerd.toml":           n.containerd(),
		"certs/_default/hosts.toml": n.mirror(),
		"Corefile":                  n.corefile(),
		"resolv.conf":               "nameserver " + n.Link.Node() + "\n",
	}
	for name, value := range map[string]object{"kubelet.json": n.kubelet(), "kube-proxy.json": n.proxy(), "cni/weir.conflist": network()} {
		data, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return err
		}
		texts[name] = string(data) + "\n"
	}
	for name, text := range texts {
		path := n.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// containerd configures the container runtime. Its directories are the node's own, see replaced.
func (n *Node) containerd() string {
	return fmt.Sprintf(`version = 2

[grpc]
  address = %[1]q

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  # A machine may not let us protect processes from being killed when memory runs out.
  restrict_oom_score_adj = true
  # Profiles would be loaded into the machine's kernel, and stay there.
  disable_apparmor = true
  sandbox_image = "registry.weir.invalid/pause:1"
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = %[2]q
  conf_dir = %[3]q

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = %[4]q
`, runtimeSocket, n.Tools.CNI, n.path("cni"), n.path("certs"))
}

// mirror sends requests for images of all registries to the node's own.
func (n *Node) mirror() string {
	return fmt.Sprintf("server = \"http://%[1]s\"\n\n[host.\"http://%[1]s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", n.Registry())
}

// network gives each pod a link of its own to the node, so that all packets between pods pass the rules of kube-proxy,
// with any kernel. On a bridge they do so only if the kernel filters what bridges carry.
func network() object {
	return object{
		"cniVersion": "0.4.0",
		"name":       "weir",
		"plugins": []object{{
			"type": "ptp",
			"ipam": object{
				"type":    "host-local",
				"dataDir": "/var/lib/cni/networks",
				"ranges":  [][]object{{{"subnet": PodRange}}},
				"routes":  []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}
}

// corefile answers for the cluster's names, and says of all others that there is none: the node is no way out.
func (n *Node) corefile() string {
	return fmt.Sprintf(`cluster.local in-addr.arpa ip6.arpa {
	bind %[1]s
	errors
	ready %[1]s:%[2]d
	kubernetes cluster.local in-addr.arpa ip6.arpa {
		kubeconfig %[3]q
		pods insecure
		ttl 5
	}
}

. {
	bind %[1]s
	errors
	template ANY ANY . {
		rcode NXDOMAIN
	}
}
`, n.Link.Node(), dnsHealth, n.files.DNS)
}

func (n *Node) kubelet() object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"address":    n.Link.Node(),
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": n.files.ClientCA},
		},
		"authorization":            object{"mode": "Webhook"},
		"tlsCertFile":              n.files.Cert,
		"tlsPrivateKeyFile":        n.files.Key,
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               "/" + n.Cgroup,
		"enforceNodeAllocatable":   []string{},
		"failCgroupV1":             false,
		"failSwapOn":               false,
		"oomScoreAdj":              0,
		"containerRuntimeEndpoint": "unix://" + runtimeSocket,
		"clusterDNS":               []string{DNSAddress},
		"clusterDomain":            "cluster.local",
		"resolvConf":               n.path("resolv.conf"),
		"volumePluginDir":          "/var/lib/kubelet/volume-plugins",
		// The disk is the machine's, and may be nearly full before we begin.
		"evictionHard":                  object{"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
		"imageGCHighThresholdPercent":   100,
		"serializeImagePulls":           false,
		"registryPullQPS":               0,
		"eventRecordQPS":                0,
		"kubeAPIQPS":                    200,
		"kubeAPIBurst":                  400,
		"nodeStatusUpdateFrequency":     "5s",
		"syncFrequency":                 "10s",
		"shutdownGracePeriod":           "0s",
		"enableDebuggingHandlers":       true,
		"enableProfilingHandler":        false,
		"imageMaximumGCAge":             "0s",
		"maxPods":                       110,
		"nodeStatusReportFrequency":     "5s",
		"healthzBindAddress":            n.Link.Node(),
		"healthzPort":                   kubeletHealth,
		"localStorageCapacityIsolation": true,
	}
}

func (n *Node) proxy() object {
	return object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "nftables",
		"hostnameOverride":   Name,
		"clientConnection":   object{"kubeconfig": n.files.Proxy},
		"clusterCIDR":        PodRange,
		"conntrack":          object{"maxPerCore": 0, "min": 0},
		"healthzBindAddress": fmt.Sprintf("%s:%d", n.Link.Node(), proxyHealth),
		"oomScoreAdj":        0,
		"nftables":           object{"minSyncPeriod": "100ms"},
	}
}

// An Object is something to create in Kubernetes.
type Object struct {
	Path string // of the collection
	Body object
}

// Objects are those by which pods find the cluster's DNS: a service without pods, that leads to the node.
func (n *Node) Objects() []Object {
	const namespace, name = "kube-system", "kube-dns"
	ports := []object{{"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}}
	return []Object{
		{"/api/v1/namespaces/" + namespace + "/services", object{
			"apiVersion": "v1", "kind": "Service",
			"metadata": object{"name": name, "labels": object{"k8s-app": name}},
			"spec":     object{"clusterIP": DNSAddress, "ports": ports},
		}},
		{"/apis/discovery.k8s.io/v1/namespaces/" + namespace + "/endpointslices", object{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
			"metadata":    object{"name": name + "-node", "labels": object{"kubernetes.io/service-name": name}},
			"addressType": "IPv4",
			"ports":       ports,
			"endpoints":   []object{{"addresses": []string{n.Link.Node()}, "conditions": object{"ready": true}}},
		}},
	}
}
