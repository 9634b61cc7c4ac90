// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// Prometheus is a real one that scrapes the controllers every second.
type Prometheus struct {
	url     string
	process *os.Process
	ended   <-chan struct{}
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
	address, err := testkit.FreeAddress()
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

// Series is what a query returns for one set of labels.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Point is a value at a time. Values that are no numbers are left out.
type Point struct {
	At    time.Time
	Value float64
}

// Range evaluates a query at every second of a time, and returns the series
// that have a value. None is no error.
func (p *Prometheus) Range(ctx context.Context, expr string, start, end time.Time) ([]Series, error) {
	query := url.Values{
		"query": {expr}, "step": {"1"},
		"start": {start.UTC().Format(time.RFC3339)}, "end": {end.UTC().Format(time.RFC3339)},
	}
	var data struct {
		Result []struct {
			Metric map[string]string    `json:"metric"`
			Values [][2]json.RawMessage `json:"values"`
		} `json:"result"`
	}
	if err := p.get(ctx, "query_range", query, &data); err != nil {
		return nil, err
	}
	var all []Series
	for _, found := range data.Result {
		series := Series{Labels: found.Metric}
		for _, pair := range found.Values {
			at, atErr := strconv.ParseFloat(string(pair[0]), 64)
			value, valueErr := strconv.ParseFloat(strings.Trim(string(pair[1]), `"`), 64)
			if atErr != nil || valueErr != nil || math.IsNaN(value) || math.IsInf(value, 0) {
				continue
			}
			series.Points = append(series.Points, Point{At: time.UnixMilli(int64(at * 1000)), Value: value})
		}
		if len(series.Points) > 0 {
			all = append(all, series)
		}
	}
	return all, nil
}

// Types returns the types that the controllers say their metrics have, such as
// "histogram", by the names of the metrics.
func (p *Prometheus) Types(ctx context.Context) (map[string]string, error) {
	var data map[string][]struct {
		Type string `json:"type"`
	}
	if err := p.get(ctx, "metadata", nil, &data); err != nil {
		return nil, err
	}
	types := map[string]string{}
	for name, said := range data {
		for _, one := range said {
			if before := types[name]; before != "" && before != one.Type {
				return nil, fmt.Errorf("%s is a %s and a %s", name, before, one.Type)
			}
			types[name] = one.Type
		}
	}
	return types, nil
}

// get asks the API of Prometheus and decodes what it answers.
func (p *Prometheus) get(ctx context.Context, what string, query url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/"+what+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := struct {
		Error string `json:"error"`
		Data  any    `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the answer of Prometheus: %w", err)
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// stop ends the process and returns when it is gone.
func (p *Prometheus) stop() error {
	err := p.process.Kill()
	<-p.ended
	return err
}
