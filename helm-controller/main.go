// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command helm-controller releases charts and keeps the releases as Git has them.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/helm-controller/internal/app"
)

func main() {
	// For the controller itself.
	if len(os.Args) > 1 && os.Args[1] == app.RenderWorker {
		exit(app.Render(os.Args[2:]))
	}
	// For people, by way of kubectl exec.
	if len(os.Args) > 1 && os.Args[1] == app.ValuesCommand {
		exit(app.Values(ctrl.SetupSignalHandler(), os.Args[2:], os.Stdout))
	}
	options := &app.Options{}
	options.Bind(pflag.CommandLine)
	pflag.Parse()
	os.Exit(options.Ended(app.Run(ctrl.SetupSignalHandler(), options)))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "helm-controller:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
