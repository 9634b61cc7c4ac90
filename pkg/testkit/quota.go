// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// QuotaController is gpu-quota-controller, a program of its own. The zero value
// is ready for Start.
type QuotaController struct {
	once sync.Once
	err  error
	cmd  *exec.Cmd
	dir  string
	log  bytes.Buffer
}

// Start builds the program from the folder of its module and runs it on a cluster
// with Weir's manifests, once, with the rights that it ships with. It goes on
// until Stop is called, whatever becomes of ctx.
func (p *QuotaController) Start(ctx context.Context, c *Cluster, folder string) error {
	p.once.Do(func() { p.err = p.run(context.WithoutCancel(ctx), c, folder) })
	return p.err
}

func (p *QuotaController) run(ctx context.Context, c *Cluster, folder string) error {
	var err error
	if p.dir, err = os.MkdirTemp("", "weir-quota-"); err != nil {
		return err
	}
	program := filepath.Join(p.dir, "gpu-quota-controller")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build gpu-quota-controller: %w: %s", err, out)
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, "weir-system", "gpu-quota-controller")
	if err != nil {
		return err
	}
	address, err := FreeAddress()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	p.cmd = exec.CommandContext(ctx, program, "--metrics-addr=0", "--health-addr=0", "--runtime-namespace=weir-system",
		"--webhook-port="+port, "--webhook-url=https://localhost:"+port)
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	return p.cmd.Start()
}

// Stop ends the program, if it was started.
func (p *QuotaController) Stop() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}
