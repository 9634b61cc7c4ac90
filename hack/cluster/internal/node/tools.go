// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package node is one real Kubernetes node, with everything that belongs to it in namespaces of its own.
package node

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrMissing says that the machine lacks what a node needs.
var ErrMissing = errors.New("this machine cannot run a node")

// Tools are the programs of the machine that a node runs.
type Tools struct {
	// Containerd is the program.
	Containerd string `json:"containerd"`
	// CNI is the directory of the network plugins.
	CNI string `json:"cni"`
	// Path is a PATH on which all other programs are.
	Path string `json:"path"`
}

// FindTools looks for the programs where hack/deps.sh unpacks them, in cache, and then where the system has them. Its
// error is an ErrMissing that names all that is missing, and the command that gets it.
func FindTools(cache string) (Tools, error) {
	if os.Geteuid() != 0 {
		return Tools{}, fmt.Errorf("%w: it takes root to make namespaces, interfaces and cgroups; run the command with sudo, or without --node", ErrMissing)
	}
	dirs := append([]string{
		filepath.Join(cache, "containerd", "usr", "bin"), filepath.Join(cache, "runc", "usr", "sbin"),
	}, searched()...)
	tools := Tools{Path: strings.Join(dirs, string(os.PathListSeparator))}
	var missing []string
	for _, program := range []string{"containerd", "containerd-shim-runc-v2", "runc", "ip", "nft", "nsenter"} {
		path := find(dirs, program)
		if path == "" {
			missing = append(missing, program)
		}
		if program == "containerd" {
			tools.Containerd = path
		}
	}
	plugin := find([]string{filepath.Join(cache, "containernetworking-plugins", "usr", "lib", "cni"), "/usr/lib/cni", "/opt/cni/bin"}, "ptp")
	if plugin == "" {
		missing = append(missing, "the CNI plugins")
	}
	tools.CNI = filepath.Dir(plugin)
	if len(missing) > 0 {
		return Tools{}, fmt.Errorf("%w: %s missing; on Debian \"hack/deps.sh node\" gets them, elsewhere install "+
			"containerd, runc, CNI plugins (in /opt/cni/bin), nftables, iproute2 and util-linux", ErrMissing, strings.Join(missing, ", "))
	}
	return tools, nil
}

// searched are the directories in which the system has programs. What a user's PATH lacks is often where it belongs.
func searched() []string {
	return append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin")
}

// find returns the path of a program in the first directory that has it, or "".
func find(dirs []string, program string) string {
	for _, dir := range dirs {
		path := filepath.Join(dir, program)
		if found, err := exec.LookPath(path); err == nil && filepath.IsAbs(found) {
			return found
		}
	}
	return ""
}

// find returns the path of a program that FindTools has found.
func (t Tools) find(program string) string {
	return find(filepath.SplitList(t.Path), program)
}

// maxGPUs bounds what a node may claim to have.
const maxGPUs = 1024

// Validate says what is wrong with the options for a cluster in dir.
func (o Options) Validate(dir string) error {
	if o.GPUs < 0 || o.GPUs > maxGPUs {
		return fmt.Errorf("%d GPUs of a node: use 0 to %d", o.GPUs, maxGPUs)
	}
	for _, target := range append(slices.Sorted(maps.Keys(replaced())), "/run") {
		for _, path := range []string{dir, o.Programs.Dir, o.Tools.Containerd, o.Tools.CNI} {
			if strings.HasPrefix(path, target+"/") {
				return fmt.Errorf("a node has a %s of its own and would not see %s: set XDG_STATE_HOME and XDG_CACHE_HOME to other places", target, path)
			}
		}
	}
	return nil
}
