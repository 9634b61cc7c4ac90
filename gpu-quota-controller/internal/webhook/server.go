// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/tls"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// NewServer returns the HTTPS server of a replica: it answers at Path with the
// handler and shows what certificates has at the time. Host "" listens on all
// addresses. Add it to the manager.
func NewServer(host string, port int, certificates *Certificates, handler http.Handler) webhook.Server {
	server := webhook.NewServer(webhook.Options{
		Host: host,
		Port: port,
		TLSOpts: []func(*tls.Config){func(config *tls.Config) {
			config.MinVersion = tls.VersionTLS13
			config.GetCertificate = certificates.GetCertificate
		}},
	})
	server.Register(Path, handler)
	return server
}
