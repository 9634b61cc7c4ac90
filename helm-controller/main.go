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
	options := &app.Options{}
	options.Bind(pflag.CommandLine)
	pflag.Parse()
	if err := app.Run(ctrl.SetupSignalHandler(), options); err != nil {
		fmt.Fprintln(os.Stderr, "helm-controller:", err)
		os.Exit(1)
	}
}
