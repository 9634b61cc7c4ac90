// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build weirnode

package main

import (
	"context"

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"       // what the launcher's Corefile says
	_ "github.com/coredns/coredns/plugin/errors"     // what the launcher's Corefile says
	_ "github.com/coredns/coredns/plugin/kubernetes" // what the launcher's Corefile says
	_ "github.com/coredns/coredns/plugin/ready"      // what the launcher's Corefile says
	_ "github.com/coredns/coredns/plugin/template"   // what the launcher's Corefile says
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the components' client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build_info metric
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// applets returns the components by name. A command is constructed only when it runs, because several of them claim
// the same process-wide flags and feature gates.
func applets() map[string]applet {
	return map[string]applet{
		"coredns":    runCoreDNS,
		"kube-proxy": func() int { return cli.Run(proxy.NewProxyCommand()) },
		"kubelet":    runKubelet,
		"registry":   runRegistry,
	}
}

func runCoreDNS() int {
	coremain.Run()
	return 0
}

func runKubelet() int {
	return cli.Run(kubelet.NewKubeletCommand(context.Background()))
}
