// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command source-controller fetches what people publish and offers it to other
// controllers as artifacts.
package main

import (
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/source-controller/internal/app"
)

func main() {
	options := &app.Options{}
	options.Bind(pflag.CommandLine)
	pflag.Parse()
	os.Exit(options.Ended(app.Run(ctrl.SetupSignalHandler(), options)))
}
