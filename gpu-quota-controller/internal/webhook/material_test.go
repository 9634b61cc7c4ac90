// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

const host = "gpu-quota-webhook.weir-system.svc"

// accepts reports whether who trusts m's authorities accepts m's certificate.
func accepts(t *testing.T, trusted []byte, m material, at time.Time) bool {
	t.Helper()
	pair, err := tls.X509KeyPair(m.cert, m.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted)
	_, err = leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: at, KeyUsages: serverUsage})
	return err == nil
}

// TestRenewOverYears follows a Secret over six years, day by day: at every
// time who trusts what the Secret said the day before accepts what is shown.
func TestRenewOverYears(t *testing.T) {
	i := issuer{host, DefaultLifetimes()}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	m, err := i.renew(material{}, now)
	if err != nil {
		t.Fatal(err)
	}
	authorities, certificates := 1, 1
	const step = 24 * time.Hour
	for end := now.AddDate(6, 0, 0); now.Before(end); {
		now = now.Add(step)
		next, err := i.renew(m, now)
		if err != nil {
			t.Fatal(err)
		}
		if !accepts(t, m.trusted, next, now) {
			t.Fatalf("%s: the certificate is not accepted by who has yesterday's authorities", now)
		}
		if !accepts(t, next.trusted, m, now) {
			t.Fatalf("%s: yesterday's certificate is not accepted by who has today's authorities", now)
		}
		if !bytes.Equal(next.ca, m.ca) {
			authorities++
		}
		if !bytes.Equal(next.cert, m.cert) {
			certificates++
		}
		if n := len(split(next.trusted)); n > 2 {
			t.Fatalf("%s: %d authorities are trusted", now, n)
		}
		m = next
	}
	if authorities != 2 {
		t.Errorf("%d authorities in six years, want 2", authorities)
	}
	if certificates < 6*365/65 || certificates > 6*365/55 {
		t.Errorf("%d certificates in six years, want one in 60 days", certificates)
	}
}

func TestRenew(t *testing.T) {
	i := issuer{host, DefaultLifetimes()}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	fresh, err := i.renew(material{}, now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := issuer{"elsewhere.example.com", DefaultLifetimes()}.renew(material{}, now)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*material)) material {
		m := fresh
		change(&m)
		return m
	}
	for name, tc := range map[string]struct {
		m                material
		sameCA, sameCert bool
	}{
		"nothing to do":            {fresh, true, true},
		"for another host":         {other, true, false},
		"without a certificate":    {with(func(m *material) { m.cert, m.key = nil, nil }), true, false},
		"key of another":           {with(func(m *material) { m.key = other.key }), true, false},
		"junk for a certificate":   {with(func(m *material) { m.cert = []byte("junk") }), true, false},
		"signed by somebody else":  {with(func(m *material) { m.cert, m.key = other.cert, other.key }), true, false},
		"no authority":             {with(func(m *material) { m.ca, m.caKey = nil, nil }), false, true},
		"key of another authority": {with(func(m *material) { m.caKey = other.caKey }), false, true},
		"nothing is trusted":       {with(func(m *material) { m.trusted = nil }), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := i.renew(tc.m, now)
			if err != nil {
				t.Fatal(err)
			}
			if !accepts(t, next.trusted, next, now) {
				t.Error("the result is not usable")
			}
			if same := bytes.Equal(next.ca, tc.m.ca); same != tc.sameCA {
				t.Errorf("the authority is the same: %t", same)
			}
			if same := bytes.Equal(next.cert, tc.m.cert); same != tc.sameCert {
				t.Errorf("the certificate is the same: %t", same)
			}
			if again, err := i.renew(next, now); err != nil || !again.equal(next) {
				t.Errorf("a second look changes it again (%v)", err)
			}
		})
	}
}

// TestOverlap: what a new authority signs is shown only once it is trusted
// everywhere.
func TestOverlap(t *testing.T) {
	i := issuer{host, DefaultLifetimes()}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	old, err := i.renew(material{}, now)
	if err != nil {
		t.Fatal(err)
	}
	// The authority is lost and the certificate is not.
	damaged := old
	damaged.caKey = nil
	at := func(m material, after time.Duration) material {
		next, err := i.renew(m, now.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	first := at(damaged, 0)
	if bytes.Equal(first.ca, old.ca) || !bytes.Equal(first.cert, old.cert) {
		t.Fatal("want a new authority and the old certificate")
	}
	if later := at(first, i.lifetimes.Overlap-time.Second); !later.equal(first) {
		t.Error("the certificate changed before the overlap had passed")
	}
	if later := at(first, i.lifetimes.Overlap); bytes.Equal(later.cert, old.cert) || !accepts(t, first.trusted, later, now.Add(time.Hour)) {
		t.Error("the certificate did not change when the overlap had passed")
	}
}
