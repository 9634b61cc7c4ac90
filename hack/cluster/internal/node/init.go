// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// InitCommand is the launcher's first argument under which it calls ServeInit; the cluster's directory follows.
const InitCommand = "node-init"

// settings are what the kubelet wants of the whole machine. It finds it there, in files of the node's own, and does
// not come to change the machine.
func settings() map[string]string {
	return map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	}
}

// replaced are the directories in which a node's programs keep state under names of their own. In the namespace they
// are the node's.
func replaced() map[string]string {
	return map[string]string{"/var/lib": "lib", "/var/log": "log"}
}

// ServeInit is the first process of a node's namespaces: it makes the node's view of the file system, says so by
// creating the file of Ready, and reaps processes whose parents have ended until it is killed. All others in the
// namespaces are killed with it.
func ServeInit(dir string) error {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	if err := mountAll(filepath.Join(dir, folder)); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil { //#nosec G306 -- the kernel's file
		return fmt.Errorf("have the node forward packets: %w", err)
	}
	if err := os.WriteFile(Ready(dir), nil, 0o600); err != nil {
		return err
	}
	for range children {
		reap()
	}
	return errors.New("the channel of signals was closed")
}

// Ready is the file that ServeInit makes when other processes can join it.
func Ready(dir string) string {
	return filepath.Join(dir, folder, "ready")
}

func mountAll(home string) error {
	// Nothing that is mounted here is to be seen outside, nor the other way round; but pods may share with each other.
	for _, flags := range []uintptr{unix.MS_REC | unix.MS_PRIVATE, unix.MS_REC | unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("separate the node's mounts: %w", err)
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("run", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for target, name := range replaced() {
		if err := bind(filepath.Join(home, name), target); err != nil {
			return err
		}
	}
	for name, value := range settings() {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); err != nil {
			continue // this kernel has no such setting, so the kubelet cannot change it either
		}
		source := filepath.Join(home, "sys", name)
		if err := os.MkdirAll(filepath.Dir(source), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(source, []byte(value+"\n"), 0o600); err != nil {
			return err
		}
		if err := bind(source, target); err != nil {
			return err
		}
	}
	return nil
}

func bind(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("put the node's own in the place of %s: %w", target, err)
	}
	return nil
}

// reap takes the exit codes of all children that have ended. There is nobody to tell.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err != nil || pid <= 0 {
			return
		}
	}
}
