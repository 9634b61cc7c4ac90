// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// hierarchies returns where the machine's trees of cgroups are mounted: one tree, or one for each controller.
func hierarchies() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("look for cgroups: %w", err)
	}
	found := parseHierarchies(string(data))
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: no cgroups are mounted", ErrMissing)
	}
	return found, nil
}

func parseHierarchies(mounts string) []string {
	var found []string
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") && !slices.Contains(found, fields[1]) {
			found = append(found, fields[1])
		}
	}
	return found
}

// CreateCgroup makes the folder of that name in every hierarchy, in which the kubelet puts those of its pods.
func CreateCgroup(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return fmt.Errorf("make a cgroup: %w", err)
		}
		// A new folder of this controller of the first version has no processors, and takes no process.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(root, name, file); err != nil {
				return fmt.Errorf("make a cgroup: %w", err)
			}
		}
	}
	return nil
}

// inherit copies a setting of the folder above, if this hierarchy has it.
func inherit(root, name, file string) error {
	value, err := os.ReadFile(filepath.Join(root, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, name, file), bytes.TrimSpace(value), 0o644) //#nosec G306 -- the kernel's file
}

// RemoveCgroup removes the folder of that name and those below from every hierarchy, and waits for the processes in them,
// which must have been killed, to be gone. It is not an error that there is none.
func RemoveCgroup(ctx context.Context, name string) error {
	const pause = 20 * time.Millisecond
	roots, err := hierarchies()
	if err != nil || name == "" {
		return err
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		var left []error
		for _, root := range roots {
			left = append(left, removeFolders(filepath.Join(root, name)))
		}
		err := errors.Join(left...)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove the node's cgroups: %w", err)
		case <-ticker.C:
		}
	}
}

// removeFolders removes a folder of a hierarchy and all below it. Their files are the kernel's and go with them.
func removeFolders(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeFolders(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
