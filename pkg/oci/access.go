// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/url"

	"github.com/weir-gitops/weir/pkg/dial"
)

// Access says with what a registry is asked. The zero value is anonymous.
type Access struct {
	// Username and Password are sent to the registry, or to the server that
	// gives tokens for it.
	Username, Password string
	// IdentityToken is exchanged for tokens in the way of OAuth.
	IdentityToken string
	// RegistryToken is sent as a bearer token as it is.
	RegistryToken string
	// CA holds PEM certificates to trust beside those of the system;
	// Certificate and PrivateKey are the client's own.
	CA, Certificate, PrivateKey []byte
	// Proxy is an HTTP proxy, perhaps with user and password.
	Proxy *url.URL
	// Insecure permits plain HTTP where the registry does not speak TLS.
	Insecure bool
}

// Key returns a text that two values share only if they are equal in every
// field. It does not disclose them.
func (a Access) Key() string {
	h := sha256.New()
	proxy := ""
	if a.Proxy != nil {
		proxy = a.Proxy.String()
	}
	insecure := ""
	if a.Insecure {
		insecure = "insecure"
	}
	for _, part := range [...]string{
		a.Username, a.Password, a.IdentityToken, a.RegistryToken,
		string(a.CA), string(a.Certificate), string(a.PrivateKey), proxy, insecure,
	} {
		// Lengths keep "ab"+"c" apart from "a"+"bc".
		_ = binary.Write(h, binary.BigEndian, uint64(len(part)))
		_, _ = h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// anonymous says whether there is nothing that tells the registry who asks.
func (a Access) anonymous() bool {
	return a.Username == "" && a.Password == "" && a.IdentityToken == "" && a.RegistryToken == ""
}

// dialClient describes the client for requests to origin, which is the registry
// host or its token server. Only the registry sees the client's certificate.
func dialClient(origin *url.URL, a Access, host string) dial.Client {
	c := dial.Client{Origin: origin, CA: a.CA, Proxy: a.Proxy}
	if origin.Host == host {
		c.Certificate, c.Key = a.Certificate, a.PrivateKey
	}
	return c
}
