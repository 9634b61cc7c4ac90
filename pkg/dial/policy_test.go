// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dial

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	strict := Policy{APIServer: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:443")}}
	local := Policy{AllowLocal: true, APIServer: strict.APIServer}

	tests := map[string]struct {
		addr          string
		strict, local bool // whether the policy permits it
	}{
		"public":                    {"140.82.112.3:443", true, true},
		"private":                   {"10.1.2.3:443", true, true},
		"public v6":                 {"[2606:50c0:8000::153]:443", true, true},
		"loopback":                  {"127.0.0.1:80", false, true},
		"loopback, other":           {"127.8.9.10:80", false, true},
		"loopback v6":               {"[::1]:80", false, true},
		"loopback, mapped":          {"[::ffff:127.0.0.1]:80", false, true},
		"loopback, compatible":      {"[::127.0.0.1]:80", false, true},
		"loopback, NAT64":           {"[64:ff9b::7f00:1]:80", false, true},
		"loopback, 6to4":            {"[2002:7f00:1::]:80", false, true},
		"unspecified":               {"0.0.0.0:80", false, true},
		"unspecified v6":            {"[::]:80", false, true},
		"this network":              {"0.1.2.3:80", false, true},
		"API server":                {"10.96.0.1:443", false, true},
		"API server, mapped":        {"[::ffff:10.96.0.1]:443", false, true},
		"API server's host":         {"10.96.0.1:8443", true, true},
		"link-local":                {"169.254.169.254:80", false, false},
		"link-local, other":         {"169.254.1.1:80", false, false},
		"link-local, mapped":        {"[::ffff:169.254.169.254]:80", false, false},
		"link-local, NAT64":         {"[64:ff9b::a9fe:a9fe]:80", false, false},
		"link-local v6":             {"[fe80::1]:80", false, false},
		"link-local v6 with a zone": {"[fe80::1%eth0]:80", false, false},
		"metadata AWS v6":           {"[fd00:ec2::254]:80", false, false},
		"metadata Azure":            {"168.63.129.16:80", false, false},
		"metadata Alibaba":          {"100.100.100.200:80", false, false},
		"multicast":                 {"224.0.0.1:80", false, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := netip.MustParseAddrPort(tc.addr)
			for policy, want := range map[*Policy]bool{&strict: tc.strict, &local: tc.local} {
				err := policy.Check(addr)
				if (err == nil) != want {
					t.Errorf("AllowLocal=%v: Check(%s) = %v, want permitted: %v", policy.AllowLocal, addr, err, want)
				}
				if err != nil && !errors.Is(err, ErrRefused) {
					t.Errorf("Check(%s): %v does not wrap ErrRefused", addr, err)
				}
			}
		})
	}
}

func TestAPIServer(t *testing.T) {
	t.Parallel()
	got := APIServer(t.Context(), "https://127.0.0.9:6443/path", "127.0.0.8:8443", "https://127.0.0.7", "[::1]:1", "no such host:1")
	var texts []string
	for _, addr := range got {
		texts = append(texts, addr.String())
	}
	const want = "127.0.0.9:6443 127.0.0.8:8443 127.0.0.7:443 [::1]:1"
	if joined := strings.Join(texts, " "); joined != want {
		t.Errorf("APIServer = %s, want %s", joined, want)
	}
}

// FuzzPolicyCheck: whatever the spelling, what means 169.254.169.254 is
// refused even where local sources are allowed.
func FuzzPolicyCheck(f *testing.F) {
	f.Add("169.254.169.254", uint16(80))
	f.Add("::ffff:169.254.169.254", uint16(0))
	f.Add("64:ff9b::169.254.169.254", uint16(443))
	f.Fuzz(func(t *testing.T, text string, port uint16) {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return
		}
		b := ip.As16()
		embedded := netip.AddrFrom4([4]byte(b[12:]))
		permitted := Policy{AllowLocal: true}.Check(netip.AddrPortFrom(ip, port)) == nil
		if permitted && (ip.Is4() || ip.Is4In6()) && embedded.IsLinkLocalUnicast() {
			t.Errorf("%s is permitted", text)
		}
		if permitted && ip.WithZone("").IsLinkLocalUnicast() {
			t.Errorf("%s is permitted", text)
		}
	})
}
