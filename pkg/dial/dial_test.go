// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestDialRefusesAfterResolution(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port

	// "localhost" is a name: only what it resolves to tells that it is local.
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0"} {
		address := fmt.Sprintf("%s:%d", host, port)
		conn, err := New(Policy{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s: connected, want refused", address)
			continue
		}
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "--allow-local-sources") {
			t.Errorf("%s: error %q does not say what to do", address, err)
		}
		conn, err = New(Policy{AllowLocal: true}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("%s with AllowLocal: %v", address, err)
			continue
		}
		_ = conn.Close()
	}
}

func TestDialRefusesTheAPIServer(t *testing.T) {
	t.Parallel()
	d := New(Policy{APIServer: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443")}})
	if _, err := d.DialContext(t.Context(), "tcp", "192.0.2.1:6443"); !errors.Is(err, ErrRefused) {
		t.Errorf("error %v, want ErrRefused", err)
	}
}

func TestDialErrorsAreStable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()

	tests := map[string]struct {
		ctx           context.Context
		address, want string
	}{
		"nobody listens":  {t.Context(), closed, "connect to " + closed + ": connect: connection refused"},
		"no such name":    {t.Context(), "x.invalid:80", "connect to x.invalid:80: the host name does not exist"},
		"deadline passed": {expired, closed, "connect to " + closed + ": timed out"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(Policy{AllowLocal: true}).DialContext(tc.ctx, "tcp", tc.address)
			if err == nil {
				t.Fatal("connected, want an error")
			}
			// A machine without a resolver fails the lookup in another way.
			if got := strings.Replace(err.Error(), "the lookup of the host name failed", "the host name does not exist", 1); got != tc.want {
				t.Errorf("error %q, want %q", got, tc.want)
			}
		})
	}
}

func TestResetConnectionNamesNoPort(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // makes Close send a reset
		_ = conn.Close()
	}))
	defer server.Close()
	_, err := get(t, Client{}, server.URL, nil)
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), "->") {
		t.Errorf("error %q holds addresses", err)
	}
}

// get sends one request through a client that may connect to loopback.
func get(t *testing.T, c Client, target string, header http.Header) (*http.Response, error) {
	t.Helper()
	client, err := New(Policy{AllowLocal: true}).HTTP(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := client.Do(req)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCredentialsStayWithTheirOrigin(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization") + r.Header.Get("Cookie") + r.Header.Get("Referer")
	}))
	defer other.Close()
	// The same host with another port is another origin; the standard
	// library alone would send the header there.
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, other.URL, http.StatusFound)
			return
		}
		if r.URL.Path == "/stay" {
			http.Redirect(w, r, "/end", http.StatusFound)
			return
		}
		seen <- r.Header.Get("Authorization")
	}))
	defer first.Close()

	tests := map[string]struct{ origin, path, want string }{
		"same origin":              {first.URL, "/end", "Bearer x"},
		"redirect within":          {first.URL, "/stay", "Bearer x"},
		"redirect to another port": {first.URL, "/away?token=x", ""},
		"no origin":                {"", "/end", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := Client{}
			if tc.origin != "" {
				c.Origin = parse(t, tc.origin)
			}
			header := http.Header{"Authorization": {"Bearer x"}}
			if _, err := get(t, c, first.URL+tc.path, header); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got != tc.want {
				t.Errorf("server saw %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	hops := 0
	mux := http.NewServeMux()
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		hops++
		http.Redirect(w, r, "/loop", http.StatusFound)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusFound)
	})
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})

	for path, want := range map[string]string{
		"/loop":  "gave up after 5 redirects",
		"/file":  `scheme "file" is not followed`,
		"/plain": "from https to http is not followed",
	} {
		_, err := get(t, Client{CA: ca}, server.URL+path, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
	if hops != maxRedirects+1 {
		t.Errorf("%d requests were sent, want %d", hops, maxRedirects+1)
	}
}

func TestClientCertificateStaysWithItsOrigin(t *testing.T) {
	t.Parallel()
	var got []*x509.Certificate
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.TLS.PeerCertificates
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()

	pair := server.TLS.Certificates[0]
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})

	for origin, want := range map[string]int{server.URL: 1, "https://other.example.com": 0} {
		c := Client{Origin: parse(t, origin), CA: cert, Certificate: cert, Key: key}
		if _, err := get(t, c, server.URL, nil); err != nil {
			t.Fatal(err)
		}
		if len(got) != want {
			t.Errorf("origin %s: server saw %d certificates, want %d", origin, len(got), want)
		}
	}
}

func TestHTTPRejectsBadPEM(t *testing.T) {
	t.Parallel()
	const pair = "the client certificate and its key are not a valid PEM pair"
	tests := map[string]struct {
		client Client
		want   string
	}{
		"CA":           {Client{CA: []byte("x")}, "the CA holds no PEM certificate"},
		"pair":         {Client{Certificate: []byte("x"), Key: []byte("y")}, pair},
		"only the key": {Client{Key: []byte("y")}, pair},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(Policy{}).HTTP(tc.client); err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestUnknownAuthorityIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := get(t, Client{}, server.URL, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v, want one about the certificate", err)
	}
}
