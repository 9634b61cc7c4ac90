// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// memoryLimit is that of the shipped Deployment, which Go takes as its soft
// limit.
const memoryLimit = "1073741824"

// The controllers that are measured as processes.
const (
	kustomizeController = "kustomize-controller"
	helmController      = "helm-controller"
)

// controller is a controller that runs.
type controller struct {
	name                string
	program, kubeconfig string
	flags               []string

	cmd     *exec.Cmd
	dir     string
	metrics string
	log     *bytes.Buffer
}

// startController builds a controller and runs it as it ships, with the token
// of its own service account, but with as many workers as Flux's benchmark
// gives it.
func startController(ctx context.Context, r *rig, name string, flags ...string) (*controller, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, err
	}
	c := &controller{name: name, dir: dir, log: &bytes.Buffer{}, flags: flags}
	program := filepath.Join(dir, name)
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./"+name).CombinedOutput(); err != nil { //#nosec G204 -- our own program
		return nil, errors.Join(fmt.Errorf("build %s: %w: %s", name, err, out), os.RemoveAll(dir))
	}
	kubeconfig, err := r.cluster.ServiceAccountKubeconfig(ctx, "weir-system", name)
	if err != nil {
		return nil, err
	}
	if c.metrics, err = testkit.FreeAddress(); err != nil {
		return nil, err
	}
	c.program, c.kubeconfig = program, kubeconfig
	r.close = append(r.close, c.remove)
	return c, c.start(ctx)
}

// start runs the program and returns when its workers have started.
func (c *controller) start(ctx context.Context) error {
	args := append([]string{"--concurrent=20", "--metrics-addr=" + c.metrics, "--health-addr=0",
		"--runtime-namespace=weir-system", "--allow-local-sources", "--interval-jitter-percentage=0"}, c.flags...)
	if c.name == kustomizeController {
		args = append(args, "--artifact-path="+c.dir)
	}
	c.cmd = exec.CommandContext(ctx, c.program, args...) //#nosec G204 -- our own program
	c.cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "GOMEMLIMIT="+memoryLimit)
	c.cmd.Stderr = c.log
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	return c.awaitUp(ctx)
}

// stop ends the program, as a rollout does.
func (c *controller) stop() {
	_ = c.cmd.Process.Signal(os.Interrupt)
	_ = c.cmd.Wait()
}

// remove ends the program and removes what it left.
func (c *controller) remove() {
	if c.cmd != nil && c.cmd.Process != nil {
		c.stop()
	}
	_ = exec.Command("chmod", "-R", "u+w", c.dir).Run() //#nosec G204 -- our own directory
	_ = os.RemoveAll(c.dir)
}

// awaitUp returns when the controller has started its workers.
func (c *controller) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if n, err := c.sum("controller_runtime_max_concurrent_reconciles", nil); err == nil && n > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not start: %s", c.name, c.log.String())
		case <-tick.C:
		}
	}
}

// sum adds up a metric over all of its series that match.
func (c *controller) sum(name string, match func(map[string]string) bool) (float64, error) {
	list, err := c.series(name, match)
	total := 0.0
	for _, series := range list {
		total += series.GetCounter().GetValue() + series.GetGauge().GetValue()
	}
	return total, err
}

// series returns the series of a metric that match; nil matches all.
func (c *controller) series(name string, match func(map[string]string) bool) ([]*dto.Metric, error) {
	resp, err := http.Get("http://" + c.metrics + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	var list []*dto.Metric
	for _, series := range families[name].GetMetric() {
		if match == nil || match(labelsOf(series)) {
			list = append(list, series)
		}
	}
	return list, nil
}

func labelsOf(series *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range series.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}

// peakMemory is the most resident memory that the process and those that it
// started ever had, in MiB.
func (c *controller) peakMemory() (float64, error) {
	own, err := platform.PeakMemory(c.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	children, _, err := family(c.cmd.Process.Pid)
	return own + children, err
}

// cpuSeconds is the processor time that the process and those that it started
// have used.
func (c *controller) cpuSeconds() (float64, error) {
	own, err := c.sum("process_cpu_seconds_total", nil)
	if err != nil {
		return 0, err
	}
	_, children, err := family(c.cmd.Process.Pid)
	return own + children, err
}
