// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// Errors for what the server answered.
var (
	errNotFound = errors.New("not found")
	errConflict = errors.New("it is there already, or was changed meanwhile")
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// A client speaks JSON to one of the cluster's servers with a client certificate. It is a few lines of net/http
// because the launcher has to be built within a second, and Kubernetes' own client takes a minute.
type client struct {
	base string
	http *http.Client
}

// newClient returns a client for the server at base, which proves itself by the authority's certificate.
func newClient(base, caFile, certFile, keyFile string) (*client, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read %s: no certificate in it", caFile)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	return &client{base: base, http: &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}}, nil
}

// do sends body, if any, and decodes the answer into result, if any.
func (c *client) do(ctx context.Context, method, path string, body, result any) error {
	answer, err := c.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if result == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(answer, maxAnswer))
		return err
	}
	return json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(result)
}

// open is do for an answer that the caller reads and closes.
func (c *client) open(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < http.StatusMultipleChoices {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s %s: %w", method, path, errNotFound)
	}
	if answer.StatusCode == http.StatusConflict {
		return nil, fmt.Errorf("%s %s: %w", method, path, errConflict)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, strings.TrimSpace(string(text)))
}

// close drops idle connections, which would otherwise lead to a server that is gone.
func (c *client) close() {
	c.http.CloseIdleConnections()
}

// often is how long until waits between two looks at something that answers with a few bytes.
const often = 25 * time.Millisecond

// until repeats check, with pauses between, until it returns nil or ctx ends; then it returns the cause of that and
// check's last error.
func until(ctx context.Context, pause time.Duration, check func(context.Context) error) error {
	const patience = 5 * time.Second
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	var last error
	for {
		attempt, cancel := context.WithTimeout(ctx, patience)
		err := check(attempt)
		cancel()
		if err == nil {
			return nil
		}
		// The end of ctx fails the attempt under way as well, and says nothing about what it waited for.
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}
