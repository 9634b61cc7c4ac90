// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// reloadPatience is how long an API server may take to see that its certificate is
// another one. It looks once a minute, and the kernel tells it before.
const reloadPatience = 2 * time.Minute

// expireServing has the API server show a certificate that ended an hour ago, and
// everybody look at it. It is lifted by one that is good for a year. The authority
// and the key stay the same.
func expireServing(ctx context.Context, a *arena) (func(context.Context) error, error) {
	c := a.ground.cluster()
	renew := func(ctx context.Context) error { return serve(ctx, c, time.Now().AddDate(1, 0, 0)) }
	err := serve(ctx, c, time.Now().Add(-time.Hour))
	cut := 0
	if err == nil {
		cut, err = a.ground.cutAPI(ctx, true)
	}
	if err == nil && cut == 0 {
		err = errors.New("there was no connection to cut")
	}
	if err != nil {
		return nil, errors.Join(err, renew(ctx))
	}
	return renew, nil
}

// serve has the API server show a certificate that ends then, and returns when it
// does.
func serve(ctx context.Context, c *testkit.Cluster, end time.Time) error {
	folder := filepath.Join(filepath.Dir(c.Kubeconfig()), "pki")
	authority, err := tls.LoadX509KeyPair(filepath.Join(folder, "ca.crt"), filepath.Join(folder, "ca.key"))
	if err != nil {
		return fmt.Errorf("read the cluster's authority: %w", err)
	}
	file := filepath.Join(folder, apiServer+".crt")
	server, err := tls.LoadX509KeyPair(file, filepath.Join(folder, apiServer+".key"))
	if err != nil {
		return fmt.Errorf("read the API server's certificate: %w", err)
	}
	like := server.Leaf
	like.NotBefore, like.NotAfter = end.AddDate(-2, 0, 0), end.Truncate(time.Second)
	der, err := x509.CreateCertificate(rand.Reader, like, authority.Leaf, like.PublicKey, authority.PrivateKey)
	if err != nil {
		return fmt.Errorf("make a certificate for the API server: %w", err)
	}
	if err := os.WriteFile(file+".new", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reloadPatience)
	defer cancel()
	return await(ctx, func(ctx context.Context) error { return shows(ctx, c, like.NotAfter) })
}

// shows returns nil if the API server shows a certificate that ends then.
func shows(ctx context.Context, c *testkit.Cluster, end time.Time) error {
	config, err := rest.TLSConfigFor(c.Config())
	if err != nil {
		return fmt.Errorf("read the cluster's authority: %w", err)
	}
	shown, err := certificateOf(ctx, config, strings.TrimPrefix(c.Config().Host, "https://"))
	if err != nil {
		return fmt.Errorf("look at the API server's certificate: %w", err)
	}
	if !shown.NotAfter.Equal(end) {
		return fmt.Errorf("the API server shows a certificate until %s, not %s", shown.NotAfter, end)
	}
	return nil
}

// certificateOf returns the certificate that a server shows. One that is refused, as
// when it has expired, is in the error that says so.
func certificateOf(ctx context.Context, config *tls.Config, address string) (*x509.Certificate, error) {
	dialer := tls.Dialer{Config: config}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if refused, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return refused.UnverifiedCertificates[0], nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	secured, ok := connection.(*tls.Conn)
	if !ok {
		return nil, errors.New("the server does not speak TLS")
	}
	return secured.ConnectionState().PeerCertificates[0], nil
}
