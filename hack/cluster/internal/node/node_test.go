// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/hack/cluster/internal/build"
)

func TestLink(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		index      int
		host, node string
	}{
		"first":        {0, "10.213.0.1", "10.213.0.2"},
		"second":       {1, "10.213.0.5", "10.213.0.6"},
		"next network": {64, "10.213.1.1", "10.213.1.2"},
		"last":         {links - 1, "10.213.255.253", "10.213.255.254"},
	}
	for name, tt := range tests {
		link := Link{index: tt.index}
		if link.Host() != tt.host || link.Node() != tt.node {
			t.Errorf("%s: addresses are %s and %s, want %s and %s", name, link.Host(), link.Node(), tt.host, tt.node)
		}
		// The kernel takes 15 bytes.
		if got := link.Name(); len(got) > 15 {
			t.Errorf("%s: the name %q is too long for an interface", name, got)
		}
	}
}

func TestTaken(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		address string
		want    bool
	}{
		"in it":                  {"10.213.0.6/30", true},
		"around it":              {"10.213.9.9/16", true},
		"beside it":              {"10.213.0.9/30", false},
		"another network":        {"192.0.2.2/24", false},
		"of another family":      {"fd00::1/64", false},
		"something else":         {"nonsense", false},
		"everything is no claim": {"10.0.0.1/0", false},
	}
	for name, tt := range tests {
		if got := (Link{index: 1}).taken([]net.Addr{address(tt.address)}); got != tt.want {
			t.Errorf("%s: taken is %t, want %t", name, got, tt.want)
		}
	}
}

type address string

func (a address) Network() string { return "ip+net" }
func (a address) String() string  { return string(a) }

func TestParseHierarchies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mounts string
		want   []string
	}{
		"none": {"proc /proc proc rw 0 0\n", nil},
		"one for each controller": {
			"tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n",
			[]string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory"},
		},
		"one":           {"cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", []string{"/sys/fs/cgroup"}},
		"mounted twice": {"cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", []string{"/sys/fs/cgroup"}},
	}
	for name, tt := range tests {
		if got := parseHierarchies(tt.mounts); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestRemoveFolders(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "group")
	if err := os.MkdirAll(filepath.Join(dir, "kubepods", "burstable", "pod"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := removeFolders(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is left: %v", err)
		}
	}
}

// Not as root, the error says that; as root, it names what is missing and how to get it.
func TestFindToolsMissing(t *testing.T) {
	t.Setenv("PATH", "")
	cache := t.TempDir()
	_, err := FindTools(cache)
	if !errors.Is(err, ErrMissing) {
		t.Fatalf("FindTools returned %v, want ErrMissing", err)
	}
	wants := []string{"hack/deps.sh node", "containerd"}
	if os.Geteuid() != 0 {
		wants = []string{"sudo", "without --node"}
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %q, want %q in it", err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := Options{Programs: build.Assets{Dir: "/home/me/.cache/weir"}, Tools: Tools{Containerd: "/usr/bin/containerd", CNI: "/usr/lib/cni"}}
	tests := map[string]struct {
		change func(*Options)
		dir    string
		want   string
	}{
		"good":                {func(*Options) {}, "/tmp/cluster", ""},
		"too few GPUs":        {func(o *Options) { o.GPUs = -1 }, "/tmp/cluster", "GPUs"},
		"too many GPUs":       {func(o *Options) { o.GPUs = maxGPUs + 1 }, "/tmp/cluster", "GPUs"},
		"directory hidden":    {func(*Options) {}, "/run/user/0/cluster", "XDG_STATE_HOME"},
		"programs hidden":     {func(o *Options) { o.Programs.Dir = "/var/lib/ci/.cache" }, "/tmp/cluster", "XDG_CACHE_HOME"},
		"like what is hidden": {func(*Options) {}, "/var/library/cluster", ""},
	}
	for name, tt := range tests {
		opts := good
		tt.change(&opts)
		err := opts.Validate(tt.dir)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Validate returned %v, want %q in it", name, err, tt.want)
		}
	}
}

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := &Node{Link: Link{index: 1}, Cgroup: "weir-a-1", dir: dir}
	if err := n.WriteFiles(Files{DNS: "/conf/dns"}); err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"ip.batch":                  "address add 10.213.0.6/30 dev eth0",
		"rules.nft":                 "ip saddr 10.244.0.0/24",
		"containerd.toml":           "restrict_oom_score_adj = true",
		"certs/_default/hosts.toml": `server = "http://10.213.0.6:5000"`,
		"Corefile":                  `kubeconfig "/conf/dns"`,
		"kubelet.json":              `"cgroupRoot": "/weir-a-1"`,
		"kube-proxy.json":           `"mode": "nftables"`,
		"cni/weir.conflist":         `"subnet": "10.244.0.0/24"`,
	}
	for name, want := range tests {
		data, err := os.ReadFile(filepath.Join(dir, folder, name))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s is %q (%v), want %q in it", name, data, err, want)
		}
	}
}
