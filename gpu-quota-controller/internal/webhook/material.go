// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
)

const (
	// authority is the name of the certificate authority, which signs nothing
	// but the certificate of the webhook.
	authority, organization = "gpu-quota-webhook-ca", "weir"
	// backdate is how long before its making a certificate begins to be valid,
	// for API servers whose clocks are behind.
	backdate = time.Hour
	// maxTrusted bounds how many authorities are trusted at a time.
	maxTrusted = 4
)

// Lifetimes say how long certificates are valid and when they are replaced.
type Lifetimes struct {
	// CA and Server are how long the authority's and the server's certificates
	// are valid.
	CA, Server time.Duration
	// Ahead is how long before its end a certificate is replaced.
	Ahead time.Duration
	// Overlap is how long a new authority is trusted before a certificate that
	// it signed is shown, so that every API server has heard of it by then.
	Overlap time.Duration
}

// DefaultLifetimes are for clusters.
func DefaultLifetimes() Lifetimes {
	const day = 24 * time.Hour
	return Lifetimes{CA: 5 * 365 * day, Server: 90 * day, Ahead: 30 * day, Overlap: 5 * time.Minute}
}

// material is what the Secret holds: the authority that signs, the certificate
// that is shown, and the authorities to trust, all as PEM.
type material struct {
	ca, caKey, cert, key, trusted []byte
}

// Keys of the Secret. Those that other tools know have the names that they
// expect.
const (
	keyCA, keyCAKey, keyCert, keyKey, keyTrusted = "ca.crt", "ca.key", "tls.crt", "tls.key", "trusted.crt"
)

func materialOf(data map[string][]byte) material {
	return material{ca: data[keyCA], caKey: data[keyCAKey], cert: data[keyCert], key: data[keyKey], trusted: data[keyTrusted]}
}

func (m material) data() map[string][]byte {
	return map[string][]byte{keyCA: m.ca, keyCAKey: m.caKey, keyCert: m.cert, keyKey: m.key, keyTrusted: m.trusted}
}

func (m material) equal(other material) bool {
	return bytes.Equal(m.ca, other.ca) && bytes.Equal(m.caKey, other.caKey) && bytes.Equal(m.cert, other.cert) &&
		bytes.Equal(m.key, other.key) && bytes.Equal(m.trusted, other.trusted)
}

// issuer makes certificates for one host.
type issuer struct {
	host      string
	lifetimes Lifetimes
}

var serverUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

// renew returns what is to be used from now on: the same, or the same with
// parts of it replaced that are missing, unusable, not for the host, or near
// their end. Certificates of a new authority are not shown before the overlap
// has passed, unless there is nothing else to show.
func (i issuer) renew(m material, now time.Time) (material, error) {
	next := m
	if !valid(m.ca, m.ca, m.caKey, authority, nil, now.Add(i.lifetimes.Ahead)) {
		made, err := i.rotator().CreateCACert(now.Add(-backdate), now.Add(i.lifetimes.CA))
		if err != nil {
			return m, fmt.Errorf("make the webhook's certificate authority: %w", err)
		}
		next.ca, next.caKey = made.CertPEM, made.KeyPEM
	}
	ca, caKey, err := parseAuthority(next.ca, next.caKey)
	if err != nil {
		return m, err
	}
	if i.due(next, ca, now) {
		end := now.Add(i.lifetimes.Server)
		if ca.NotAfter.Before(end) {
			end = ca.NotAfter
		}
		next.cert, next.key, err = i.rotator().CreateCertPEM(&rotator.KeyPairArtifacts{Cert: ca, Key: caKey}, now.Add(-backdate), end)
		if err != nil {
			return m, fmt.Errorf("make the webhook's certificate: %w", err)
		}
	}
	next.trusted = trusted(now, next.ca, m.ca, m.trusted)
	return next, nil
}

// due reports whether a new certificate has to be shown.
func (i issuer) due(m material, ca *x509.Certificate, now time.Time) bool {
	if valid(m.ca, m.cert, m.key, i.host, &serverUsage, now.Add(i.lifetimes.Ahead)) {
		return false
	}
	if now.Sub(ca.NotBefore.Add(backdate)) >= i.lifetimes.Overlap {
		return true
	}
	// The authority is new: what an older one signed is good for some time.
	for _, older := range split(m.trusted) {
		if valid(encode(older), m.cert, m.key, i.host, &serverUsage, now.Add(i.lifetimes.Overlap)) {
			return false
		}
	}
	return true
}

func (i issuer) rotator() *rotator.CertRotator {
	return &rotator.CertRotator{CAName: authority, CAOrganization: organization, DNSName: i.host, ExtKeyUsages: &serverUsage}
}

// valid is ValidCert without the reason.
func valid(ca, cert, key []byte, host string, usage *[]x509.ExtKeyUsage, at time.Time) bool {
	ok, err := rotator.ValidCert(ca, cert, key, host, usage, at)
	return ok && err == nil
}

// trusted is the first authority and those of the others that are still valid,
// without repetitions.
func trusted(now time.Time, bundles ...[]byte) []byte {
	var seen, result [][]byte
	for _, cert := range split(bytes.Join(bundles, []byte("\n"))) {
		known := slices.ContainsFunc(seen, func(other []byte) bool { return bytes.Equal(cert.Raw, other) })
		if known || !cert.IsCA || now.After(cert.NotAfter) || len(result) == maxTrusted {
			continue
		}
		seen = append(seen, cert.Raw)
		result = append(result, encode(cert))
	}
	return bytes.Join(result, nil)
}

// split returns the certificates of a bundle, without those that cannot be
// read.
func split(bundle []byte) []*x509.Certificate {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return certs
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, cert)
		}
	}
}

func encode(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func parseAuthority(cert, key []byte) (*x509.Certificate, *rsa.PrivateKey, error) {
	certs := split(cert)
	block, _ := pem.Decode(key)
	if len(certs) == 0 || block == nil {
		return nil, nil, errors.New("the webhook's certificate authority cannot be read; delete the Secret " + SecretName)
	}
	parsed, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("read the key of the webhook's certificate authority: %w; delete the Secret %s", err, SecretName)
	}
	return certs[0], parsed, nil
}
