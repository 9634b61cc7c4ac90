// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gitops/weir/hack/chaos/wire"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// processes is the ground on which the controllers are processes of this machine
// behind a real API server. Each reaches it over a wire of its own.
type processes struct {
	p         *platform.Platform
	api       map[string]*wire.Wire
	artifacts *wire.Wire
}

var _ ground = (*processes)(nil)

// startProcesses brings the ground up, with one simulated node.
func startProcesses(ctx context.Context) (_ *processes, err error) {
	p, err := platform.New()
	if err != nil {
		return nil, err
	}
	g := &processes{p: p, api: map[string]*wire.Wire{}}
	for _, step := range []func(context.Context) error{
		p.Build,
		func(ctx context.Context) error { return p.StartCluster(ctx, 1) },
		p.Install, p.StartControllers, g.layWires,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, g.close(context.WithoutCancel(ctx)))
		}
	}
	return g, nil
}

// layWires has each controller start again, with wires between it and what it
// needs.
func (g *processes) layWires(ctx context.Context) error {
	target := g.p.Source.Flag("storage-adv-addr")
	var err error
	if g.artifacts, err = wire.New(ctx, g.host(), target); err != nil {
		return err
	}
	for _, c := range g.p.Controllers() {
		if err := c.Stop(); err != nil {
			return err
		}
		config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
		if err != nil {
			return fmt.Errorf("read the kubeconfig of %s: %w", c.Name, err)
		}
		w, err := wire.New(ctx, g.host(), strings.TrimPrefix(config.Host, "https://"))
		if err != nil {
			return err
		}
		g.api[c.Name] = w
		config.Host = "https://" + w.Addr
		if err := testkit.WriteKubeconfig(config, c.Kubeconfig); err != nil {
			return err
		}
		if c == g.p.Source {
			c.SetFlag("storage-adv-addr", g.artifacts.Addr)
		}
		if err := c.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (g *processes) name() string { return "processes" }

func (g *processes) cluster() *testkit.Cluster { return g.p.Cluster }

func (g *processes) host() string { return "127.0.0.1" }

func (g *processes) dir() string { return g.p.Dir() }

func (g *processes) controller(name string) (*platform.Controller, error) {
	for _, c := range g.p.Controllers() {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("there is no controller %q", name)
}

func (g *processes) kill(ctx context.Context, controller string, then func(context.Context) error) error {
	return g.absent(ctx, controller, then)
}

func (g *processes) loseDisk(ctx context.Context, controller string) error {
	c, err := g.controller(controller)
	if err != nil {
		return err
	}
	return g.absent(ctx, controller, func(context.Context) error { return c.LoseDisk() })
}

func (g *processes) absent(ctx context.Context, controller string, meanwhile func(context.Context) error) error {
	c, err := g.controller(controller)
	if err != nil {
		return err
	}
	if err := c.Kill(); err != nil {
		return err
	}
	return errors.Join(meanwhile(ctx), c.Start(ctx))
}

func (g *processes) stopAPI(ctx context.Context) (func(context.Context) error, error) {
	return stopAPI(ctx, g.p.Cluster)
}

func (g *processes) cutAPI(context.Context, bool) (cut int, err error) {
	for _, w := range g.api {
		cut += w.Cut()
	}
	return cut, nil
}

func (g *processes) part(_ context.Context, controller, other string) (func(context.Context) error, error) {
	w := g.api[controller]
	if other == sourceController {
		w = g.artifacts // nobody else listens there
	} else if other != "" {
		return nil, fmt.Errorf("nothing connects %s with %s", controller, other)
	}
	w.Set(wire.Blocked)
	return func(context.Context) error {
		w.Set(wire.Whole)
		return nil
	}, nil
}

func (g *processes) freeze(_ context.Context, controller string) (func(context.Context) error, error) {
	c, err := g.controller(controller)
	if err != nil {
		return nil, err
	}
	pid := c.PID()
	return func(context.Context) error { return syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
}

func (g *processes) step(ctx context.Context, by time.Duration, everything bool) (func(context.Context) error, error) {
	if everything {
		return nil, errors.New("this takes a node, and there are processes")
	}
	return keepOff(ctx, by, func() ([]int, error) {
		var pids []int
		for _, c := range g.p.Controllers() {
			pids = append(pids, c.PID())
		}
		return pids, nil
	})
}

func (g *processes) metrics(ctx context.Context, controller string) ([]byte, error) {
	c, err := g.controller(controller)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Metrics+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", controller, err)
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

func (g *processes) lastWords(context.Context) string {
	const lines = 15
	var b strings.Builder
	for _, c := range g.p.Controllers() {
		fmt.Fprintf(&b, "== %s\n%s\n", c.Name, c.LogTail(lines))
	}
	return b.String()
}

func (g *processes) close(ctx context.Context) error {
	err := g.p.Stop(ctx)
	for _, w := range g.api {
		w.Close()
	}
	if g.artifacts != nil {
		g.artifacts.Close()
	}
	return err
}
