// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/weir-gitops/weir/hack/dashboards/rehearsal"
	"github.com/weir-gitops/weir/hack/platform"
)

// profilesAreBehindAFlag asks every controller for profiles where it serves
// metrics, and one that was started with the flag where that says.
func profilesAreBehindAFlag(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	for _, c := range r.Platform.Controllers() {
		if status, err := get(ctx, "http://"+c.Metrics+"/debug/pprof/"); status != http.StatusNotFound || err != nil {
			t.Errorf("%s answers a request for profiles with %d and error %v, want %d", c.Name, status, err, http.StatusNotFound)
		}
		if status, err := get(ctx, "http://"+c.Metrics+"/metrics"); status != http.StatusOK || err != nil {
			t.Errorf("%s answers a request for metrics with %d and error %v", c.Name, status, err)
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Platform.StartImageController(ctx, "--pprof-addr="+address); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]int{
		"http://" + address + "/debug/pprof/goroutine?debug=1":          http.StatusOK,
		"http://" + r.Platform.Image.Metrics + "/debug/pprof/goroutine": http.StatusNotFound,
	} {
		err := platform.Await(ctx, func(ctx context.Context) error {
			status, err := get(ctx, url)
			if err == nil && status != want {
				err = fmt.Errorf("with the flag, %s is answered with %d, want %d", url, status, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func get(ctx context.Context, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
