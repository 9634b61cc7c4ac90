// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build weirnode

// Kubernetes is tested upstream with these runtime defaults; its own go.mod asks for them.
//go:debug default=go1.26

// Weirnode is what a Kubernetes node needs beside a container runtime: kubelet, kube-proxy, the cluster's DNS and a
// registry for its images, in one file, chosen like the applets of weirkube.
//
// It is a program of its own because most clusters have no node, and need not wait until it is compiled.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// An applet runs one component until it ends and returns its exit code. It finds its arguments in os.Args.
type applet func() int

func main() {
	// The launcher starts it by the symbolic links that it made, so there is always a name.
	name := filepath.Base(os.Args[0])
	run, ok := applets()[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "weirnode: there is no component %q\n", name)
		os.Exit(2)
	}
	os.Exit(run())
}

// report prints err, if any, and returns the exit code that goes with it.
func report(component string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", component, err)
	return 1
}
