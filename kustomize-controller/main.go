// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command kustomize-controller applies what sources hold to a cluster and keeps
// the cluster that way.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/kustomize-controller/internal/app"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build"
)

func main() {
	// Builds that go out to the network have a process of their own.
	if len(os.Args) == 2 && os.Args[1] == app.BuildWorker {
		exit(build.Work(ctrl.SetupSignalHandler(), os.Stdin, os.Stdout))
	}
	options := &app.Options{}
	options.Bind(pflag.CommandLine)
	pflag.Parse()
	os.Exit(options.Ended(app.Run(ctrl.SetupSignalHandler(), options)))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kustomize-controller:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
