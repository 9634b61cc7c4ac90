// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"slices"
	"testing"
	"time"
)

func TestIssue(t *testing.T) {
	t.Parallel()
	trusted, foreign := newAuthority(t), newAuthority(t)
	client := Subject{Name: "system:kube-scheduler", Groups: []string{"system:masters"}}
	server := Subject{Name: "kube-apiserver", DNS: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}
	tests := map[string]struct {
		by      *Authority
		subject Subject
		host    string
		usage   x509.ExtKeyUsage
		want    bool
	}{
		"client as client":            {trusted, client, "", x509.ExtKeyUsageClientAuth, true},
		"client as server":            {trusted, client, "", x509.ExtKeyUsageServerAuth, false},
		"server by name":              {trusted, server, "localhost", x509.ExtKeyUsageServerAuth, true},
		"server by address":           {trusted, server, "127.0.0.1", x509.ExtKeyUsageServerAuth, true},
		"server by another name":      {trusted, server, "example.com", x509.ExtKeyUsageServerAuth, false},
		"server as client of a peer":  {trusted, server, "", x509.ExtKeyUsageClientAuth, true},
		"client of another authority": {foreign, client, "", x509.ExtKeyUsageClientAuth, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair, err := tt.by.Issue(tt.subject)
			if err != nil {
				t.Fatal(err)
			}
			keyPair, err := tls.X509KeyPair(pair.Cert, pair.Key)
			if err != nil {
				t.Fatalf("certificate and key do not belong together: %v", err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(trusted.Cert)
			_, err = keyPair.Leaf.Verify(x509.VerifyOptions{DNSName: tt.host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{tt.usage}})
			if got := err == nil; got != tt.want {
				t.Errorf("valid is %t (%v), want %t", got, err, tt.want)
			}
			if subject := keyPair.Leaf.Subject; subject.CommonName != tt.subject.Name || !slices.Equal(subject.Organization, tt.subject.Groups) {
				t.Errorf("the subject is %v, want name %q and groups %q", subject, tt.subject.Name, tt.subject.Groups)
			}
			if soon := time.Now().Add(24 * time.Hour); keyPair.Leaf.NotAfter.Before(soon) {
				t.Errorf("it expires at %s, before a cluster may have ended", keyPair.Leaf.NotAfter)
			}
		})
	}
}

func TestNewSigningKey(t *testing.T) {
	t.Parallel()
	pair, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pem.Decode(pair.Cert)
	private, _ := pem.Decode(pair.Key)
	if public == nil || private == nil {
		t.Fatal("the pair is not PEM")
	}
	if _, err := x509.ParsePKIXPublicKey(public.Bytes); err != nil {
		t.Error(err)
	}
	if _, err := x509.ParseECPrivateKey(private.Bytes); err != nil {
		t.Error(err)
	}
}

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	authority, err := NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}
