// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// ForgeNamespace is where the servers of the forge have their names in a cluster
// with a real node.
const ForgeNamespace = "forge"

// A service tells pods where a server is that runs outside of the cluster: a
// Service without a selector, and the one address behind it.
const service = `apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: ` + ForgeNamespace + `}
spec:
  ports: [{name: server, port: %[2]s}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: %[1]s
  namespace: ` + ForgeNamespace + `
  labels: {kubernetes.io/service-name: %[1]s}
addressType: IPv4
ports: [{name: server, port: %[4]s}]
endpoints: [{addresses: [%[3]s]}]
`

// listen is the address for a server that the controllers are to reach: on
// this machine if they are processes of it, and where pods can reach it if they
// are pods.
func (p *Platform) listen() string {
	if !p.onNode {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort(p.Cluster.Node().Host, "0")
}

// known returns the host and port under which the controllers know a server that
// listens on address. Pods know it by a name and a port of a Service.
func (p *Platform) known(ctx context.Context, name, port, address string) (string, error) {
	if !p.onNode {
		return address, nil
	}
	host, target, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("publish %s in the cluster: %w", name, err)
	}
	if err := p.applyText(ctx, name, fmt.Sprintf(service, name, port, host, target)); err != nil {
		return "", err
	}
	name += "." + ForgeNamespace + ".svc.cluster.local"
	if port == "80" {
		return name, nil
	}
	return net.JoinHostPort(name, port), nil
}

// knownURL is known for a server with a URL.
func (p *Platform) knownURL(ctx context.Context, name, port, server string) (string, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("publish %s in the cluster: %w", name, err)
	}
	parsed.Host, err = p.known(ctx, name, port, parsed.Host)
	return parsed.String(), err
}

// applyText applies a manifest as somebody with kubectl does.
func (p *Platform) applyText(ctx context.Context, name, manifest string) error {
	file := p.path(name + ".yaml")
	if err := os.WriteFile(file, []byte(strings.TrimLeft(manifest, "\n")), 0o600); err != nil {
		return fmt.Errorf("write the manifest of %s: %w", name, err)
	}
	_, err := p.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-f", file)
	return err
}
