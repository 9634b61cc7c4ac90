// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Prometheus is a real one that scrapes the controllers every second.
type Prometheus struct {
	url     string
	process *os.Process
	ended   chan struct{}
}

// StartPrometheus starts the Prometheus that `make deps-test` has unpacked, for
// the controllers that run. Stop ends it.
func (p *Platform) StartPrometheus(ctx context.Context) (*Prometheus, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find Prometheus: %w", err)
	}
	targets := make([]string, 0, len(Programs()))
	for _, c := range p.Controllers() {
		targets = append(targets, fmt.Sprintf("%q", c.Metrics))
	}
	dir := p.path("prometheus")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make a directory for Prometheus: %w", err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	content := "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: weir, static_configs: [{targets: [" + strings.Join(targets, ", ") + "]}]}]\n"
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		return nil, fmt.Errorf("configure Prometheus: %w", err)
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(cache, "weir", "prometheus", "usr", "bin", "prometheus")
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program,
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	ended, err := spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("start Prometheus, which `make deps-test` unpacks: %w", err)
	}
	p.prometheus = &Prometheus{url: "http://" + address, process: cmd.Process, ended: ended}
	return p.prometheus, nil
}

// Query returns how many series a query returns that have a value. None is no
// error.
func (p *Prometheus) Query(ctx context.Context, expr string) (series int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(expr), http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("read the answer of Prometheus: %w", err)
	}
	if answer.Error != "" {
		return 0, errors.New(answer.Error)
	}
	for _, found := range answer.Data.Result {
		if found.Value[1] != "NaN" {
			series++
		}
	}
	return series, nil
}

// stop ends the process and returns when it is gone.
func (p *Prometheus) stop() error {
	err := p.process.Kill()
	<-p.ended
	return err
}
