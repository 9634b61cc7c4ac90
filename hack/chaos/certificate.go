// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/platform"
)

// certificateSecret holds what the webhook shows.
const certificateSecret = "gpu-quota-webhook-certificate"

// expireCertificate puts a certificate and an authority in the place of those of
// the webhook that ended an hour ago, as after a year in which nothing ran.
func (a *arena) expireCertificate(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(a.ground.cluster().Config())
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	secrets := clients.CoreV1().Secrets(platform.Namespace)
	secret, err := secrets.Get(ctx, certificateSecret, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the webhook's certificate: %w", err)
	}
	names, err := namesOf(secret.Data[corev1.TLSCertKey])
	if err != nil {
		return err
	}
	if secret.Data, err = expired(names); err != nil {
		return fmt.Errorf("make an expired certificate: %w", err)
	}
	_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return err
}

// namesOf are the hosts that a certificate is for.
func namesOf(data []byte) ([]string, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("the webhook's certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the webhook's certificate: %w", err)
	}
	return cert.DNSNames, nil
}

// expired is the content of a Secret with a certificate for hosts that has ended,
// and so has its authority.
func expired(hosts []string) (map[string][]byte, error) {
	begin, end := time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gpu-quota-webhook-ca", Organization: []string{"weir"}},
		NotBefore: begin, NotAfter: end, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: begin, NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca, caKeyPEM, err := sign(authority, authority, caKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, keyPEM, err := sign(server, authority, key, caKey)
	return map[string][]byte{
		"ca.crt": ca, "ca.key": caKeyPEM, "trusted.crt": ca, corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: keyPEM,
	}, err
}

// sign returns a certificate and its key as PEM.
func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (cert, keyPEM []byte, err error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
