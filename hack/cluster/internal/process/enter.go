// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Enter has all processes that the group starts from now on run in the namespaces of root, a process of the group with
// Spec.Root. When root ends, the kernel kills all of them.
func (g *Group) Enter(root *Process) error {
	err := g.onThread(func() error {
		g.entered = true
		return enter(root.PID)
	})
	if err != nil {
		return fmt.Errorf("enter the namespaces of %s: %w", root.Name, err)
	}
	return nil
}

// enter moves the calling thread, which must be locked, into the namespaces of a process; its children will also be in
// that process's process namespace.
func enter(pid int) error {
	// A thread that shares its working directory with others may not change to another tree of mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the working directory: %w", err)
	}
	kinds := []struct {
		name string
		flag int
	}{{"net", unix.CLONE_NEWNET}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS}}
	fds := make([]int, 0, len(kinds))
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, kind := range kinds {
		path := fmt.Sprintf("/proc/%d/ns/%s", pid, kind.name)
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		fds = append(fds, fd)
	}
	for i, kind := range kinds {
		if err := unix.Setns(fds[i], kind.flag); err != nil {
			return fmt.Errorf("join the %s namespace: %w", kind.name, err)
		}
	}
	return nil
}
