// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dial

import (
	"net/netip"
	"slices"
)

// metadata lists where clouds serve credentials of the machine outside the
// link-local ranges.
var metadata = [...]netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
}

var (
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	sixToIV = netip.MustParsePrefix("2002::/16")
	ivCompt = netip.MustParsePrefix("::/96")
	zeroNet = netip.MustParsePrefix("0.0.0.0/8")
)

// Check returns nil if the policy permits to connect to addr, and otherwise an
// error that wraps ErrRefused and says what kind of address it is. IPv4
// addresses inside of IPv6 ones are judged as IPv4.
func (p Policy) Check(addr netip.AddrPort) error {
	for _, ip := range forms(addr.Addr()) {
		if why := p.refuse(netip.AddrPortFrom(ip, addr.Port())); why != "" {
			return &refusedError{why: why}
		}
	}
	return nil
}

// refuse returns why addr is not permitted, or "".
func (p Policy) refuse(addr netip.AddrPort) string {
	ip := addr.Addr()
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast():
		return "is link-local or multicast, which is never permitted"
	case slices.Contains(metadata[:], ip):
		return "is a metadata service of a cloud, which is never permitted"
	case p.AllowLocal:
		return ""
	case ip.IsLoopback(), ip.IsUnspecified(), zeroNet.Contains(ip):
		return "is on the controller's own host, which is permitted only with --allow-local-sources"
	case slices.Contains(p.APIServer, addr):
		return "is the Kubernetes API server, which is permitted only with --allow-local-sources"
	}
	return ""
}

// forms returns ip in its plain form and, if it is an IPv6 address that stands
// for an IPv4 one, that too.
func forms(ip netip.Addr) []netip.Addr {
	ip = ip.WithZone("").Unmap()
	if ip.Is4() {
		return []netip.Addr{ip}
	}
	b := ip.As16()
	switch {
	case nat64.Contains(ip), ivCompt.Contains(ip) && !ip.IsLoopback() && !ip.IsUnspecified():
		return []netip.Addr{ip, netip.AddrFrom4([4]byte(b[12:16]))}
	case sixToIV.Contains(ip):
		return []netip.Addr{ip, netip.AddrFrom4([4]byte(b[2:6]))}
	}
	return []netip.Addr{ip}
}

// refusedError says why an address is not connected to.
type refusedError struct{ why string }

func (e *refusedError) Error() string { return "the address " + e.why }

// Unwrap returns ErrRefused.
func (e *refusedError) Unwrap() error { return ErrRefused }
