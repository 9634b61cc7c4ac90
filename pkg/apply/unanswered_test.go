// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// TestWhatMayBeWrittenIsNotPutBack has the connection end while a new state is
// written. Whether the API server has taken it or not, nobody puts the old one
// back.
func TestWhatMayBeWrittenIsNotPutBack(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]bool{"the answer is lost": true, "the request is lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.mustApply(config)
			next := strings.ReplaceAll(config, "hello", "welcome")
			lossy := r.lossy(taken)
			if _, err := r.apply(next, func(o *Options) { o.Client = lossy }); err == nil {
				t.Fatal("the apply succeeded without an answer")
			}
			r.correct()
			if got, _, _ := unstructured.NestedString(r.live(configMapGVR, "web").Object, "data", "greeting"); got != "welcome" {
				t.Errorf("greeting = %q after the drift was corrected, want what was written last", got)
			}
			r.settle()
		})
	}
}

// lossy is a client whose writes end without an answer, taken or not.
func (r *rig) lossy(taken bool) *Client {
	r.Helper()
	cfg := cluster.Config()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet || req.URL.Query().Has("dryRun") {
				return next.RoundTrip(req)
			}
			if taken {
				response, err := next.RoundTrip(req)
				if err != nil {
					return nil, err
				}
				_, err = io.Copy(io.Discard, response.Body)
				if err := errors.Join(err, response.Body.Close()); err != nil {
					return nil, err
				}
			}
			return nil, io.ErrUnexpectedEOF
		})
	})
	dyn, err := dynamic.NewForConfig(cfg)
	r.must(err)
	return &Client{Dynamic: dyn, Mapper: r.client.Mapper, Manager: manager}
}
