// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package dial opens every connection whose destination a user can choose:
// Git servers, registries, artifacts, token endpoints.
//
// A controller sits inside the cluster's network and a tenant does not, so a
// URL in a tenant's object must not become a way to the metadata service of
// the cloud, to the controller's own ports or to the API server. The address
// is checked when the socket connects, after name resolution and for every
// redirect, because names can resolve to anything and change between a check
// and its use.
package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// connectTimeout bounds one attempt to connect; the caller's context bounds
// the whole.
const connectTimeout = 30 * time.Second

// ErrRefused is wrapped by the error for an address that the policy forbids.
var ErrRefused = errors.New("address refused")

// Policy says which addresses may be connected to. Its zero value is the
// strict one. Link-local addresses and the metadata services of the clouds
// are refused by every policy.
type Policy struct {
	// AllowLocal permits loopback addresses and the API server. It is for
	// demonstrations and tests, where the Git server runs beside the
	// controller.
	AllowLocal bool
	// APIServer lists the addresses of the API server; see APIServer.
	APIServer []netip.AddrPort
}

// Dialer connects to what its policy permits. It is safe for concurrent use.
type Dialer struct {
	policy Policy
	net    net.Dialer
}

// New returns a Dialer for the policy.
func New(policy Policy) *Dialer {
	d := &Dialer{policy: policy}
	d.net = net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second, ControlContext: d.control}
	return d
}

// AllowsLocal reports whether the policy permits local addresses, as it does
// for demonstrations and tests. Who needs TLS otherwise may do without it then.
func (d *Dialer) AllowsLocal() bool { return d.policy.AllowLocal }

// DialContext connects to an address "host:port". The text of its error names
// the address as given and not what it resolved to, so that it stays the same
// from one try to the next.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, &connectError{address: address, err: err}
	}
	return &stableConn{Conn: conn}, nil
}

// control runs between the creation of a socket and its connect, once per
// resolved address.
func (d *Dialer) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusedError{why: "is not an IP address and a port"}
	}
	return d.policy.Check(addr)
}

// APIServer returns the addresses that the hosts of the given URLs, or
// "host:port" pairs, resolve to now. What does not resolve is left out: then
// the controller has no connection to guard either.
func APIServer(ctx context.Context, hosts ...string) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, host := range hosts {
		name, port := splitHost(host)
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			continue
		}
		for _, ip := range ips {
			addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), port))
		}
	}
	return addrs
}

// splitHost takes "https://host:port/path" or "host:port" apart; the port
// defaults to that of the scheme.
func splitHost(host string) (name string, port uint16) {
	u, err := url.Parse(host)
	if err != nil || u.Host == "" {
		u = &url.URL{Scheme: "https", Host: host}
	}
	number, err := strconv.ParseUint(defaultPort(u), 10, 16)
	if err != nil {
		return u.Hostname(), 0
	}
	return u.Hostname(), uint16(number)
}

// defaultPort returns the port of u, given or implied.
func defaultPort(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// connectError is the failure to connect to an address.
type connectError struct {
	address string
	err     error
}

func (e *connectError) Error() string {
	return "connect to " + e.address + ": " + causeOf(e.err)
}

// Unwrap returns the error of the network.
func (e *connectError) Unwrap() error { return e.err }

// Timeout tells net/http and others about expired deadlines.
func (e *connectError) Timeout() bool {
	var timeout interface{ Timeout() bool }
	return errors.As(e.err, &timeout) && timeout.Timeout()
}

// causeOf words the error of a dial without resolver and peer addresses.
func causeOf(err error) string {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return refused.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return "the host name does not exist"
		case dns.IsTimeout:
			return "the lookup of the host name timed out"
		default:
			return "the lookup of the host name failed"
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		return "timed out"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

func isTimeout(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Timeout()
}

// stableConn keeps the local port, which differs each time, out of errors.
type stableConn struct{ net.Conn }

func (c *stableConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, withoutAddresses(err)
}

func (c *stableConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, withoutAddresses(err)
}

func withoutAddresses(err error) error {
	op, ok := err.(*net.OpError) //nolint:errorlint // Only the outermost error carries the addresses of this connection.
	if !ok {
		return err
	}
	return &net.OpError{Op: op.Op, Net: op.Net, Err: op.Err}
}
