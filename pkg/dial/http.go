// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	// maxRedirects is how many redirects a client follows.
	maxRedirects = 5
	// maxHeaderBytes bounds the header of a response.
	maxHeaderBytes = 1 << 20
)

// credentials lists the request headers that only the origin may see. After a
// redirect, Referer is the URL before it, whose query may hold a token.
var credentials = [...]string{"Authorization", "Cookie", "Proxy-Authorization", "Private-Token", "Referer"}

// Client describes an HTTP client.
type Client struct {
	// Origin is the URL that the credentials belong to. Requests to another
	// scheme, host or port, as after a redirect, carry neither headers with
	// credentials nor the client certificate. Nil: no credentials at all.
	Origin *url.URL
	// CA holds PEM certificates to trust beside those of the system.
	CA []byte
	// Certificate and Key are the PEM pair that identifies the client.
	Certificate, Key []byte
	// Proxy, if set, is what requests go through. It is then the address of
	// the proxy that the policy is asked about, and that of the destination
	// only where it is written as an IP address: the proxy resolves names.
	Proxy *url.URL
}

// HTTP returns a client that connects through d and follows at most five
// redirects, none of them from https to http. It has no timeout of its own:
// the context of each request is the limit. The caller ends its idle
// connections with CloseIdleConnections.
func (d *Dialer) HTTP(c Client) (*http.Client, error) {
	trusted, err := roots(c.CA)
	if err != nil {
		return nil, err
	}
	plain := d.transport(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}, c.Proxy)
	t := &transport{origin: c.Origin, toOrigin: plain, elsewhere: plain}

	if len(c.Certificate) > 0 || len(c.Key) > 0 {
		pair, err := tls.X509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, errors.New("the client certificate and its key are not a valid PEM pair")
		}
		t.toOrigin = d.transport(&tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: trusted, Certificates: []tls.Certificate{pair},
		}, c.Proxy)
	}
	return &http.Client{Transport: t, CheckRedirect: checkRedirect}, nil
}

func (d *Dialer) transport(config *tls.Config, proxy *url.URL) *http.Transport {
	return &http.Transport{
		Proxy:                  d.through(proxy),
		DialContext:            d.DialContext,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    15 * time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConnsPerHost:    2,
		MaxResponseHeaderBytes: maxHeaderBytes,
		// The digest of an artifact is taken of the bytes as sent.
		DisableCompression: true,
	}
}

// through returns what an http.Transport asks for the proxy of a request.
func (d *Dialer) through(proxy *url.URL) func(*http.Request) (*url.URL, error) {
	if proxy == nil {
		return nil
	}
	return func(req *http.Request) (*url.URL, error) {
		if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil {
			_, port := splitHost(req.URL.String())
			if err := d.policy.Check(netip.AddrPortFrom(ip, port)); err != nil {
				return nil, &connectError{address: req.URL.Host, err: err}
			}
		}
		return proxy, nil
	}
}

// roots returns the certificates of the system and those in pem, and nil, for
// the system's alone, if pem is empty.
func roots(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the CA holds no PEM certificate")
	}
	return pool, nil
}

// checkRedirect is asked before each redirect; via holds the requests so far.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("gave up after %d redirects", maxRedirects)
	}
	switch last := via[len(via)-1].URL.Scheme; {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("a redirect to the scheme %q is not followed", req.URL.Scheme)
	case last == "https" && req.URL.Scheme == "http":
		return errors.New("a redirect from https to http is not followed")
	}
	return nil
}

// transport gives the credentials to their origin and to nobody else.
type transport struct {
	origin              *url.URL
	toOrigin, elsewhere *http.Transport
}

// RoundTrip sends the request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.origin != nil && sameOrigin(t.origin, req.URL) {
		return t.toOrigin.RoundTrip(req)
	}
	bare := req.Clone(req.Context())
	for _, name := range credentials {
		bare.Header.Del(name)
	}
	return t.elsewhere.RoundTrip(bare)
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() {
	t.toOrigin.CloseIdleConnections()
	t.elsewhere.CloseIdleConnections()
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && defaultPort(a) == defaultPort(b)
}
