// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"

	"github.com/weir-gitops/weir/hack/cluster/internal/node"
	"github.com/weir-gitops/weir/hack/cluster/internal/pki"
)

// Names of the files in the pki folder.
const (
	clusterCA   = "ca"      // signs what the API server trusts
	etcdCA      = "etcd-ca" // signs what etcd trusts, which is the API server and us: one authority for both would let any user certificate into etcd
	etcdServer  = "etcd"    // etcd serves and is its own peer with it
	etcdClient  = "etcd-client"
	apiServer   = "kube-apiserver"
	signingKey  = "service-account"
	adminClient = "admin"

	kubeletClient = "kubelet-client" // the API server asks the kubelet for logs with it
	kubeletServer = "kubelet-server"
)

// mastersGroup is the group that Kubernetes lets do everything.
const mastersGroup = "system:masters"

// serviceIP is the first address of the service range, that of the service "kubernetes".
const (
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1"
)

// users are the clients that get a kubeconfig: whose names Kubernetes knows by its built-in roles, and whose it does not.
func users() map[string]pki.Subject {
	return map[string]pki.Subject{
		adminClient:          {Name: "weir:admin", Groups: []string{mastersGroup}},
		"controller-manager": {Name: "system:kube-controller-manager"},
		"scheduler":          {Name: "system:kube-scheduler"},
		"kwok":               {Name: "weir:kwok", Groups: []string{mastersGroup}},
	}
}

// nodeUsers are those of a cluster with a node.
func nodeUsers() map[string]pki.Subject {
	all := users()
	all[node.KubeletName] = pki.Subject{Name: "system:node:" + node.Name, Groups: []string{"system:nodes"}}
	all[node.ProxyName] = pki.Subject{Name: "system:kube-proxy"}
	all[node.DNSName] = pki.Subject{Name: "weir:coredns", Groups: []string{mastersGroup}}
	return all
}

// writeCredentials makes all keys, certificates and kubeconfigs of a cluster whose servers are at p.
func writeCredentials(l layout, p ports, clients map[string]pki.Subject) error {
	ca, err := pki.NewAuthority("weir cluster")
	if err != nil {
		return err
	}
	etcd, err := pki.NewAuthority("weir cluster etcd")
	if err != nil {
		return err
	}
	signing, err := pki.NewSigningKey()
	if err != nil {
		return err
	}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1)}
	if p.host != loopback {
		addresses = append(addresses, net.ParseIP(p.host))
	}
	pairs := map[string]pki.Pair{clusterCA: ca.Pair, etcdCA: etcd.Pair, signingKey: signing}
	issue := func(file string, by *pki.Authority, subject pki.Subject) {
		if err == nil {
			pairs[file], err = by.Issue(subject)
		}
	}
	issue(etcdServer, etcd, pki.Subject{Name: "etcd", DNS: []string{"localhost"}, IPs: addresses})
	issue(etcdClient, etcd, pki.Subject{Name: "kube-apiserver"})
	issue(apiServer, ca, pki.Subject{
		Name: "kube-apiserver",
		DNS:  []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPs:  append([]net.IP{net.ParseIP(serviceIP)}, addresses...),
	})
	if _, ok := clients[node.KubeletName]; ok {
		issue(kubeletClient, ca, pki.Subject{Name: "kube-apiserver", Groups: []string{mastersGroup}})
		issue(kubeletServer, ca, pki.Subject{Name: node.Name, DNS: []string{node.Name}, IPs: addresses})
	}
	for name, subject := range clients {
		issue(name, ca, subject)
	}
	if err != nil {
		return err
	}
	for name, pair := range pairs {
		if err := writePair(l, name, pair); err != nil {
			return err
		}
	}
	return writeKubeconfigs(l, p.apiURL(), ca.Cert, clients, pairs)
}

func writePair(l layout, name string, pair pki.Pair) error {
	if err := writeFile(l.cert(name), pair.Cert); err != nil {
		return err
	}
	return writeFile(l.key(name), pair.Key)
}

func writeKubeconfigs(l layout, server string, ca []byte, clients map[string]pki.Subject, pairs map[string]pki.Pair) error {
	for name := range clients {
		data, err := kubeconfig(server, ca, name, pairs[name])
		if err != nil {
			return fmt.Errorf("write the kubeconfig of %s: %w", name, err)
		}
		path := l.componentConf(name)
		if name == adminClient {
			path = l.kubeconfig()
		}
		if err := writeFile(path, data); err != nil {
			return err
		}
	}
	return nil
}

// kubeconfig returns a kubeconfig as JSON, which every reader of the YAML form takes.
func kubeconfig(server string, ca []byte, user string, pair pki.Pair) ([]byte, error) {
	type object = map[string]any
	encode := base64.StdEncoding.EncodeToString
	data, err := json.MarshalIndent(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": "weir",
		"clusters": []object{{"name": "weir", "cluster": object{
			"server": server, "certificate-authority-data": encode(ca),
		}}},
		"users": []object{{"name": user, "user": object{
			"client-certificate-data": encode(pair.Cert), "client-key-data": encode(pair.Key),
		}}},
		"contexts": []object{{"name": "weir", "context": object{"cluster": "weir", "user": user}}},
	}, "", "  ")
	return append(data, '\n'), err
}
