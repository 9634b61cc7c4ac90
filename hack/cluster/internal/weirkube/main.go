// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build weirkube

// Kubernetes is tested upstream with these runtime defaults; its own go.mod asks for them.
//go:debug default=go1.26

// Weirkube is a Kubernetes control plane in one file: it is linked once and then runs as any of its components,
// chosen by the name it was started under (a symbolic link) or else by its first argument.
//
// Each component is upstream's own command, unchanged. One program instead of seven saves most of the link time and
// six copies of the same code on disk.
//
// The build tag keeps "go vet ./..." and "go test ./..." from working through all of Kubernetes.
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	run, args, err := choose(os.Args, applets())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	// The components read os.Args themselves, some of them more than once.
	os.Args = args
	os.Exit(run())
}

// An applet runs one component until it ends and returns its exit code. It finds its arguments in os.Args.
type applet func() int

// choose returns the applet that args ask for, and the arguments as that applet expects them, its own name first.
func choose(args []string, known map[string]applet) (applet, []string, error) {
	if len(args) > 0 {
		if run, ok := known[filepath.Base(args[0])]; ok {
			return run, args, nil
		}
	}
	names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
	if len(args) < 2 {
		return nil, nil, fmt.Errorf("weirkube: no component named; the first argument is one of: %s", names)
	}
	if run, ok := known[args[1]]; ok {
		return run, args[1:], nil
	}
	return nil, nil, fmt.Errorf("weirkube: there is no component %q; the first argument is one of: %s", args[1], names)
}

// report prints err, if any, and returns the exit code that goes with it.
func report(w io.Writer, name string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(w, "%s: %v\n", name, err)
	return 1
}
