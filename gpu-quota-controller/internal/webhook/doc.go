// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package webhook is how the API server asks the controller about pods: the
// HTTPS server that every replica runs, the certificate that it shows, and the
// ValidatingWebhookConfiguration that the leader keeps in place for as long as
// there is a quota to enforce.
package webhook

const (
	// ConfigurationName is the name of the ValidatingWebhookConfiguration.
	ConfigurationName = "gpu-quota"
	// Domain ends the name of every entry of it; error messages of the API
	// server carry that name.
	Domain = "gpu-quota.weir.dev"
	// ServiceName is the name of the Service in front of the replicas.
	ServiceName = "gpu-quota-webhook"
	// SecretName is the name of the Secret with the certificate.
	SecretName = "gpu-quota-webhook-certificate" //#nosec G101 -- a name
	// Path is where reviews of pods are sent.
	Path = "/validate-pods"
	// ServicePort is the port of the Service.
	ServicePort = 443
)
