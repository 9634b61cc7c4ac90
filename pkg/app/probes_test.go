// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"net/http"
	"testing"

	"github.com/go-logr/logr"

	"github.com/weir-gitops/weir/pkg/testkit"
)

func TestProbes(t *testing.T) {
	t.Parallel()
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProbes(t.Context(), logr.Discard(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	broken := errors.New("not yet")
	p.add("certificate", func(*http.Request) error { return broken })
	expect := func(when string, want map[string]int) {
		t.Helper()
		for path, status := range want {
			resp, err := http.Get("http://" + address + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s, %s answers %d, want %d", when, path, resp.StatusCode, status)
			}
		}
	}
	expect("while it waits", map[string]int{"/healthz": 200, "/healthz/ping": 200, "/readyz": 503, "/readyz/ping": 503})
	p.started()
	expect("while a check fails", map[string]int{"/healthz": 200, "/readyz": 500, "/readyz/ping": 200, "/readyz/certificate": 500, "/": 404})
	broken = nil
	expect("at work", map[string]int{"/healthz": 200, "/readyz": 200, "/readyz/certificate": 200})

	if _, err := newProbes(t.Context(), logr.Discard(), address); err == nil {
		t.Error("two answer at one address")
	}
	none, err := newProbes(t.Context(), logr.Discard(), "0")
	if err != nil {
		t.Fatal(err)
	}
	none.close()
}
