// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
)

// Networks of a node. They are inside its namespace, so all nodes can have the same.
const (
	// PodRange is where pods get addresses.
	PodRange = "10.244.0.0/24"
	// DNSAddress is the address of the service that resolves names.
	DNSAddress = "10.96.0.10"
	// device is the node's end of its link to the machine.
	device = "eth0"
)

// links is how many nodes fit into the range that their links to the machine are taken from.
const links = 1 << 14

// A Link joins a node to the machine: a pair of interfaces with a network of two addresses.
type Link struct {
	index int
}

// Name is that of the machine's interface.
func (l Link) Name() string { return fmt.Sprintf("weir%d", l.index) }

// Host is the machine's address on the link.
func (l Link) Host() string { return l.address(1) }

// Node is the node's address, to itself, its pods and the machine.
func (l Link) Node() string { return l.address(2) }

func (l Link) address(n int) string {
	offset := l.index*4 + n
	return netip.AddrFrom4([4]byte{10, 213, byte(offset >> 8), byte(offset)}).String() //#nosec G115 -- the low byte is meant
}

// taken reports whether one of the addresses is in the link's network.
func (l Link) taken(addresses []net.Addr) bool {
	prefix := netip.PrefixFrom(netip.MustParseAddr(l.address(0)), 30)
	for _, address := range addresses {
		other, err := netip.ParsePrefix(address.String())
		if err == nil && other.Overlaps(prefix) && other.Bits() > 0 {
			return true
		}
	}
	return false
}

// newLink makes the first link whose name and network nobody has. Its other end is in the namespace of the process with
// that number from the beginning, and both go with it.
func newLink(ctx context.Context, pid int) (Link, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return Link{}, fmt.Errorf("look at the addresses of this machine: %w", err)
	}
	for index := range links {
		link := Link{index: index}
		if link.taken(addresses) {
			continue
		}
		err := ip(ctx, "link", "add", link.Name(), "type", "veth", "peer", "name", device, "netns", strconv.Itoa(pid))
		// Another cluster that starts at the same time may be faster, and the kernel decides.
		if errors.Is(err, errExists) {
			continue
		}
		return link, err
	}
	return Link{}, errors.New("all networks for nodes, 10.213.0.0/16, are taken")
}

// connect gives the machine's end its address.
func (l Link) connect(ctx context.Context) error {
	return errors.Join(
		ip(ctx, "address", "add", l.Host()+"/30", "dev", l.Name()),
		ip(ctx, "link", "set", l.Name(), "up"),
	)
}

// removeLink removes the link of that name. It is not an error that it is gone.
func removeLink(ctx context.Context, name string) error {
	err := ip(ctx, "link", "delete", name)
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

var (
	errExists = errors.New("it exists already")
	errAbsent = errors.New("there is none")
)

// ip runs the program of that name.
func ip(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, find(searched(), "ip"), args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	text := strings.TrimSpace(said.String())
	switch {
	case err == nil:
		return nil
	case strings.Contains(text, "File exists"):
		err = errExists
	case strings.Contains(text, "Cannot find device"):
		err = errAbsent
	}
	return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, text)
}

// batch are the commands by which ip gives the node's own interfaces their addresses.
func (l Link) batch() string {
	return fmt.Sprintf("link set lo up\naddress add %[1]s/30 dev %[2]s\nlink set %[2]s up\nroute add default via %[3]s\n", l.Node(), device, l.Host())
}

// rules let pods reach the machine, which does not know their addresses.
func rules() string {
	return fmt.Sprintf(`table ip weir {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		ip saddr %s oifname %q masquerade
	}
}
`, PodRange, device)
}
