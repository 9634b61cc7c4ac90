// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// issuer grants tokens that live for ten minutes, whatever is asked for.
type issuer struct {
	corev1client.ServiceAccountInterface
	granted int
	err     error
}

func (i *issuer) ServiceAccounts(string) corev1client.ServiceAccountInterface { return i }

func (i *issuer) CreateToken(context.Context, string, *authenticationv1.TokenRequest, metav1.CreateOptions) (*authenticationv1.TokenRequest, error) {
	if i.err != nil {
		return nil, i.err
	}
	i.granted++
	return &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
		Token: fmt.Sprintf("token-%d", i.granted), ExpirationTimestamp: metav1.NewTime(time.Now().Add(10 * time.Minute)),
	}}, nil
}

func TestTokensAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, status := &issuer{}, http.StatusOK
		var seen string
		b := &bearer{
			account: &account{name: types.NamespacedName{Namespace: "ml", Name: "weir"}}, accounts: from,
			next: roundTrip(func(req *http.Request) (*http.Response, error) {
				seen = req.Header.Get("Authorization")
				return &http.Response{StatusCode: status, Body: http.NoBody}, nil
			}),
		}
		send := func(want string) {
			t.Helper()
			seen = ""
			_, err := ask(t, b)
			if err != nil && want != "" || seen != want {
				t.Errorf("sent %q (error %v), want %q", seen, err, want)
			}
		}
		send("Bearer token-1")
		pass(7 * time.Minute)
		send("Bearer token-1")
		pass(2 * time.Minute)
		send("Bearer token-2")
		from.err = errors.New("the API server is away")
		pass(9 * time.Minute)
		send("Bearer token-2") // has a minute left
		pass(time.Minute)
		send("")
		from.err = nil
		send("Bearer token-3")
		status = http.StatusUnauthorized
		send("Bearer token-3")
		status = http.StatusOK
		send("Bearer token-4")
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// ask sends a request and closes the body of the response.
func ask(t *testing.T, through http.RoundTripper) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://one.example/api", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := through.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return resp, err
}

// pass lets time pass in the bubble of a test.
func pass(d time.Duration) { <-time.After(d) }
