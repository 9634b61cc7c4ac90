// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestCertificateOf(t *testing.T) {
	t.Parallel()
	data, err := expired([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	old, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		serve   []tls.Certificate // by default a good one
		expired bool
	}{
		"good":    {nil, false},
		"expired": {[]tls.Certificate{old}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.TLS = &tls.Config{Certificates: tc.serve}
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			shown, err := certificateOf(t.Context(), &tls.Config{RootCAs: roots}, server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if got := shown.NotAfter.Before(time.Now()); got != tc.expired {
				t.Errorf("the certificate ends at %s", shown.NotAfter)
			}
			if !shown.Equal(server.Certificate()) {
				t.Error("it is not the one that the server shows")
			}
		})
	}
	if _, err := certificateOf(t.Context(), &tls.Config{}, "127.0.0.1:1"); err == nil {
		t.Error("nobody listens there, and that is no error")
	}
}
