// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// serverTLS returns what a server of a CA of its own is configured with, and
// the CA. If the server demands client certificates, it returns one too.
func serverTLS(mutual bool) (config *tls.Config, caPEM, clientCert, clientKey []byte, err error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, nil, nil, nil, err
	}
	serving, _, _, err := ca.issue("127.0.0.1")
	if err != nil {
		return nil, nil, nil, nil, err
	}
	config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{serving}}
	if mutual {
		if _, clientCert, clientKey, err = ca.issue("client"); err != nil {
			return nil, nil, nil, nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(ca.pem)
	}
	return config, ca.pem, clientCert, clientKey, nil
}

// serveFault does what the fault says, and answers if it says nothing. A
// request that hangs ends with its client or with stop.
func serveFault(
	w http.ResponseWriter, req *http.Request, fault RegistryFault, stop <-chan struct{}, answer http.HandlerFunc,
) {
	switch {
	case fault.Hang:
		select {
		case <-req.Context().Done():
		case <-stop:
		}
	case fault.Drop:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	case fault.Redirect != "":
		http.Redirect(w, req, fault.Redirect, http.StatusTemporaryRedirect)
	case fault.Code != 0:
		if fault.RetryAfter != 0 {
			w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
		}
		http.Error(w, "secret body of an error", fault.Code)
	case fault.Garbage:
		_, _ = io.WriteString(w, "<html>secret body of a page</html>")
	case fault.Truncate || fault.Tamper:
		spoil(w, fault, func(w http.ResponseWriter) { answer(w, req) })
	default:
		answer(w, req)
	}
}

// countContaining returns how many texts hold part.
func countContaining(texts []string, part string) int {
	count := 0
	for _, text := range texts {
		if strings.Contains(text, part) {
			count++
		}
	}
	return count
}
