// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"os"
	"strings"

	"github.com/weir-gitops/weir/hack/cluster/internal/process"

	nodestage "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podstage "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// loopback is where a cluster's servers listen unless it has a node.
const loopback = "127.0.0.1"

// ports are where a cluster's servers listen.
type ports struct {
	host                      string // an address of IPv4
	etcd, etcdHTTP, peer, api int
}

// nodePorts are those of a cluster whose network nobody shares.
func nodePorts(host string) ports {
	return ports{host: host, etcd: 2379, etcdHTTP: 2382, peer: 2380, api: 6443}
}

func (p ports) etcdURL() string     { return p.url(p.etcd) }
func (p ports) etcdHTTPURL() string { return p.url(p.etcdHTTP) }
func (p ports) peerURL() string     { return p.url(p.peer) }
func (p ports) apiURL() string      { return p.url(p.api) }

func (p ports) url(port int) string { return fmt.Sprintf("https://%s:%d", p.host, port) }

// Names of the components.
const (
	etcdName       = "etcd"
	apiServerName  = "kube-apiserver"
	managerName    = "kube-controller-manager"
	schedulerName  = "kube-scheduler"
	simulatorName  = "kwok"
	fakeAnnotation = "kwok.x-k8s.io/node"
)

// member is etcd's name for itself. A restored data directory must carry the same.
const member = "weir"

// specs describe how to run each component of one cluster.
type specs struct {
	layout layout
	ports  ports
	path   func(component string) string
	// fsync has etcd wait for the disk.
	fsync bool
	// node says that the cluster has a node.
	node bool
}

// spec completes a component's flags with what all components share.
func (s specs) spec(name string, flags ...string) process.Spec {
	return process.Spec{
		Name: name,
		Path: s.path(name),
		Args: flags,
		// The user's own settings must not reach the components; kwok and kubectl write below HOME.
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.layout.path("home")},
		Dir: string(s.layout),
		Log: s.layout.log(name),
	}
}

func (s specs) etcd() process.Spec {
	l := s.layout
	flags := []string{
		"--name=" + member,
		"--data-dir=" + l.data(),
		"--listen-client-urls=" + s.ports.etcdURL(),
		"--advertise-client-urls=" + s.ports.etcdURL(),
		// On one port with gRPC and TLS, Go's HTTP/2 server would carry the API server's watches, and slowly.
		"--listen-client-http-urls=" + s.ports.etcdHTTPURL(),
		"--listen-peer-urls=" + s.ports.peerURL(),
		"--initial-advertise-peer-urls=" + s.ports.peerURL(),
		"--initial-cluster=" + s.initialCluster(),
		"--cert-file=" + l.cert(etcdServer), "--key-file=" + l.key(etcdServer),
		"--trusted-ca-file=" + l.cert(etcdCA), "--client-cert-auth",
		"--peer-cert-file=" + l.cert(etcdServer), "--peer-key-file=" + l.key(etcdServer),
		"--peer-trusted-ca-file=" + l.cert(etcdCA), "--peer-client-cert-auth",
		// The ports are held by the supervisor, which permits sharing them.
		"--socket-reuse-port",
		"--log-level=warn",
	}
	if !s.fsync {
		// The cluster does not outlive its directory, so nothing is gained by waiting for the disk.
		flags = append(flags, "--unsafe-no-fsync")
	}
	return s.spec(etcdName, flags...)
}

// revisionBump is added to the revision of a restored etcd. It is more than any cluster writes between two snapshots.
const revisionBump = "1000000000"

// restore turns a snapshot file into the data directory of an etcd that does not run. As etcd's handbook has it for
// Kubernetes, revisions go on from far above those that clients may have seen, and older ones count as compacted: else
// every watch would wait for events that it believes to have had.
func (s specs) restore(snapshot string) process.Spec {
	return s.spec("etcdutl", "snapshot", "restore", snapshot,
		"--bump-revision="+revisionBump,
		"--mark-compacted",
		"--data-dir="+s.layout.data(),
		"--name="+member,
		"--initial-cluster="+s.initialCluster(),
		"--initial-advertise-peer-urls="+s.ports.peerURL(),
	)
}

func (s specs) initialCluster() string {
	return member + "=" + s.ports.peerURL()
}

func (s specs) apiServer() process.Spec {
	l := s.layout
	flags := []string{
		"--etcd-servers=" + s.ports.etcdURL(),
		"--etcd-cafile=" + l.cert(etcdCA), "--etcd-certfile=" + l.cert(etcdClient), "--etcd-keyfile=" + l.key(etcdClient),
		"--bind-address=" + s.ports.host,
		fmt.Sprintf("--secure-port=%d", s.ports.api),
		"--permit-port-sharing",
		"--advertise-address=" + s.ports.host,
		"--tls-cert-file=" + l.cert(apiServer), "--tls-private-key-file=" + l.key(apiServer),
		"--client-ca-file=" + l.cert(clusterCA),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-cluster-ip-range=" + serviceRange,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + l.cert(signingKey),
		"--service-account-signing-key-file=" + l.key(signingKey),
		"--allow-privileged",
		"--profiling=false",
	}
	if s.node {
		return s.spec(apiServerName, append(flags,
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority="+l.cert(clusterCA),
			"--kubelet-client-certificate="+l.cert(kubeletClient), "--kubelet-client-key="+l.key(kubeletClient),
		)...)
	}
	// A loopback address may not be an endpoint of the service "kubernetes", and no pod could use it.
	return s.spec(apiServerName, append(flags, "--endpoint-reconciler-type=none")...)
}

func (s specs) manager() process.Spec {
	l := s.layout
	return s.spec(managerName,
		"--kubeconfig="+l.componentConf("controller-manager"),
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials",
		"--service-account-private-key-file="+l.key(signingKey),
		"--root-ca-file="+l.cert(clusterCA),
		"--cluster-signing-cert-file="+l.cert(clusterCA), "--cluster-signing-key-file="+l.key(clusterCA),
		// The defaults are for clusters of a hundred users; here they would only make people wait.
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--profiling=false",
	)
}

func (s specs) scheduler() process.Spec {
	conf := s.layout.componentConf("scheduler")
	return s.spec(schedulerName,
		"--kubeconfig="+conf, "--authentication-kubeconfig="+conf, "--authorization-kubeconfig="+conf,
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--profiling=false",
	)
}

func (s specs) simulator() process.Spec {
	return s.spec(simulatorName,
		"--kubeconfig="+s.layout.componentConf("kwok"),
		// Without leases the controller-manager takes the nodes for dead, and their pods with them.
		"--node-lease-duration-seconds=40",
		"--config="+s.layout.stages(),
		"--manage-nodes-with-annotation-selector="+fakeAnnotation+"=fake",
		// No server of its own: nobody asks it for logs or for a shell.
		"--node-port=0",
	)
}

// stages are what the simulator does to nodes and pods: nodes are ready, pods run, those of Jobs complete, deleted
// ones go.
func stages() string {
	return strings.Join([]string{nodestage.DefaultNodeInit, podstage.DefaultPodReady, podstage.DefaultPodComplete, podstage.DefaultPodDelete}, "\n---\n")
}
