// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// tokenLifetime is asked for. The API server may grant another.
	tokenLifetime = time.Hour
	// tokenTimeout bounds one request for a token.
	tokenTimeout = 10 * time.Second
	// tokenMargin is how long before its end a token is not used any more.
	tokenMargin = 30 * time.Second
)

// account is a service account of the local cluster that another one trusts.
type account struct {
	name      types.NamespacedName
	audiences []string
}

// bearer sends requests with a token of an account, and asks for a new one
// when four fifths of its life are over.
type bearer struct {
	account  *account
	accounts corev1client.ServiceAccountsGetter
	next     http.RoundTripper

	mu      sync.Mutex
	token   string
	renew   time.Time
	expires time.Time
}

// RoundTrip sends the request in the name of the account.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := b.current(req.Context(), time.Now())
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := b.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		b.drop(token)
	}
	return resp, err
}

// current returns a token that is good for now. One that could not be renewed
// serves until shortly before its end.
func (b *bearer) current(ctx context.Context, now time.Time) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != "" && now.Before(b.renew) {
		return b.token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	seconds := int64(tokenLifetime.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: b.account.audiences, ExpirationSeconds: &seconds,
	}}
	request, err := b.accounts.ServiceAccounts(b.account.name.Namespace).CreateToken(ctx, b.account.name.Name, request, metav1.CreateOptions{})
	switch {
	case err != nil && b.token != "" && now.Before(b.expires.Add(-tokenMargin)):
		return b.token, nil
	case err != nil:
		return "", fmt.Errorf("request a token of ServiceAccount '%s': %w", b.account.name, err)
	}
	b.token, b.expires = request.Status.Token, request.Status.ExpirationTimestamp.Time
	b.renew = now.Add(b.expires.Sub(now) * 4 / 5)
	return b.token, nil
}

// drop forgets a token that was refused: the account may have been made anew.
func (b *bearer) drop(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token == token {
		b.token = ""
	}
}
