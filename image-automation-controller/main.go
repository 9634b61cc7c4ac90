// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command image-automation-controller commits new images to Git, when they are good
// enough.
package main

import (
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/image-automation-controller/internal/app"
)

func main() {
	options := &app.Options{}
	options.Bind(pflag.CommandLine)
	pflag.Parse()
	os.Exit(options.Ended(app.Run(ctrl.SetupSignalHandler(), options)))
}
