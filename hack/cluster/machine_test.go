// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package main

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
)

// A machine is what could be seen of a cluster with a node outside of it, while it ran.
type machine struct {
	state      cluster.State
	namespaces []string            // of its first process
	facts      map[string][]string // of what is not the cluster's
}

// observe looks at the machine while a cluster runs, which may be seen but may have changed nothing since before. It fails
// unless there is something to look for later.
func observe(t *testing.T, state cluster.State, before map[string][]string) machine {
	t.Helper()
	m := machine{state: state, facts: before}
	m.unchanged(t)
	for _, kind := range []string{"mnt", "net", "pid"} {
		link, err := os.Readlink(filepath.Join("/proc/self/ns", kind))
		if err != nil {
			t.Fatal(err)
		}
		own, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(state.Init), "ns", kind))
		if err != nil {
			t.Fatal(err)
		}
		if own == link {
			t.Errorf("the cluster is in the machine's own namespace %s", kind)
		}
		m.namespaces = append(m.namespaces, own)
	}
	seen := m.remains(t)
	for _, kind := range []string{"directory ", "interface ", "cgroup ", "namespace "} {
		if !slices.ContainsFunc(seen, func(s string) bool { return strings.HasPrefix(s, kind) }) {
			t.Errorf("of a running cluster only %v can be seen, no %s", seen, kind)
		}
	}
	return m
}

// hierarchies are the places where the machine's cgroups are mounted: one for each controller, or one for all.
func hierarchies(t *testing.T) []string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile(`(?m)^\S+ (\S+) cgroup2? `).FindAllStringSubmatch(string(mounts), -1) {
		found = append(found, match[1])
	}
	if len(found) == 0 {
		t.Fatal("no cgroups are mounted")
	}
	return found
}

// remains lists what there is of the cluster.
func (m machine) remains(t *testing.T) []string {
	t.Helper()
	var found []string
	if _, err := os.Lstat(m.state.Dir); err == nil {
		found = append(found, "directory "+m.state.Dir)
	}
	if _, err := net.InterfaceByName(m.state.Link); err == nil {
		found = append(found, "interface "+m.state.Link)
	}
	for _, root := range hierarchies(t) {
		folder := filepath.Join(root, m.state.Cgroup)
		if _, err := os.Lstat(folder); err == nil {
			found = append(found, "cgroup "+folder)
		}
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && slices.Contains(m.namespaces, target) {
			found = append(found, "namespace "+link)
		}
	}
	return found
}

// leftNothing checks that nothing is left of a cluster, and nothing on the machine was changed by it.
func (f *fixture) leftNothing(m machine) {
	f.t.Helper()
	f.gone()
	f.eventually(func() string { return strings.Join(m.remains(f.t), "\n") })
	m.unchanged(f.t)
}

// unchanged checks that the rest of the machine is as it was before.
func (m machine) unchanged(t *testing.T) {
	t.Helper()
	now := facts(t)
	for _, name := range slices.Sorted(maps.Keys(m.facts)) {
		if !slices.Equal(m.facts[name], now[name]) {
			t.Errorf("%s were %q before the cluster, and are %q now", name, m.facts[name], now[name])
		}
	}
}

// facts describe the machine without the cluster, and without others that come and go meanwhile.
func facts(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if !regexp.MustCompile(`^weir\d+$`).MatchString(i.Name) {
			all["interfaces"] = append(all["interfaces"], i.Name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	all["mounts"] = strings.Split(string(mounts), "\n")
	tables, err := exec.Command("nft", "list", "tables").CombinedOutput()
	if err != nil {
		t.Fatalf("list the tables of the packet filter: %v: %s; \"hack/deps.sh node\" gets the program", err, tables)
	}
	all["tables of the packet filter"] = strings.Split(string(tables), "\n")
	for _, root := range hierarchies(t) {
		folders, err := filepath.Glob(root + "/*/")
		if err != nil {
			t.Fatal(err)
		}
		all["cgroups"] = append(all["cgroups"], folders...)
	}
	all["cgroups"] = slices.DeleteFunc(all["cgroups"], func(path string) bool { return strings.HasPrefix(filepath.Base(path), "weir-") })
	all["files"] = nil
	for _, setting := range []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/ipv4/ip_forward"} {
		value, err := os.ReadFile(filepath.Join("/proc/sys", setting))
		if err != nil {
			t.Fatal(err)
		}
		all["settings"] = append(all["settings"], setting+"="+string(value))
	}
	for _, path := range []string{"/etc/cni", "/etc/containerd", "/opt/cni", "/opt/containerd", "/run/containerd", "/run/netns", "/run/runc", "/var/lib/cni",
		"/var/lib/containerd", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods", "/usr/libexec/kubernetes"} {
		if _, err := os.Lstat(path); err == nil {
			all["files"] = append(all["files"], path)
		}
	}
	return all
}

// pushPeer builds the program of the test's pods and pushes an image of it.
func pushPeer(t *testing.T, reference string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "peer")
	build := exec.Command("go", "build", "-o", program, "./testdata/peer")
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the peer: %v\n%s", err, out)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	header := &tar.Header{Name: "peer", Mode: 0o755, Size: int64(len(binary)), Typeflag: tar.TypeReg}
	if err := writer.WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(binary); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.Config(image, v1.Config{Entrypoint: []string{"/peer"}}); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
}
