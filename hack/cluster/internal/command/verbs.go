// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/build"
	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
	"github.com/weir-gitops/weir/hack/cluster/internal/node"
)

func (r *runner) up(ctx context.Context, _ []string) error {
	opts := cluster.Options{Name: r.name, Dir: r.dir, GPUNodes: r.gpuNodes, Fsync: r.fsync, OwnerPID: r.owner}
	if err := opts.Validate(); err != nil {
		return err
	}
	state, err := cluster.Status(ctx, r.dir)
	if err != nil {
		return err
	}
	switch state.Phase {
	case cluster.Absent:
	case cluster.Dead:
		fmt.Fprintf(r.err, "removing what is left of a cluster whose supervisor was killed, in %s\n", r.dir)
	default:
		return fmt.Errorf("%w: %s is %s in %s; \"down\" ends it, or give another --name", cluster.ErrRunning, r.name, state.Phase, r.dir)
	}
	ctx, release, err := cluster.WithOwner(ctx, r.owner)
	if err != nil {
		return err
	}
	defer release()
	if opts.Node, err = r.nodeOptions(ctx); err != nil {
		return err
	}
	if opts.Assets, err = r.assets(ctx, build.Kube()); err != nil {
		return err
	}
	if r.foreground {
		return r.stay(ctx, opts)
	}
	state, err = cluster.Up(ctx, opts, r.step)
	if err != nil {
		return fmt.Errorf("start the cluster %s: %w\n%s", r.name, err, r.left(ctx))
	}
	r.announce(state)
	return nil
}

// left says what there still is of a cluster that could not be started.
func (r *runner) left(ctx context.Context) string {
	state, err := cluster.Status(context.WithoutCancel(ctx), r.dir)
	if err == nil && state.Phase == cluster.Absent {
		return "nothing of it is left"
	}
	return "not all of it is gone; \"down\" removes the rest"
}

// stay runs the cluster in this process.
func (r *runner) stay(ctx context.Context, opts cluster.Options) error {
	err := cluster.Run(ctx, opts, func(event cluster.Event) {
		r.step(event)
		if event.Ready != nil {
			r.announce(*event.Ready)
		}
	})
	if err != nil {
		return fmt.Errorf("the cluster %s is gone: %w", r.name, err)
	}
	fmt.Fprintf(r.err, "cluster %s is gone\n", r.name)
	return nil
}

func (r *runner) step(event cluster.Event) {
	if event.Step != "" {
		fmt.Fprintf(r.err, "  %5.1f s  %s\n", event.Seconds, event.Step)
	}
}

// announce tells how to use a cluster that has just become ready.
func (r *runner) announce(state cluster.State) {
	if r.output == "json" {
		// The cluster runs even if nobody reads this.
		_ = printJSON(r.out, state)
		return
	}
	fmt.Fprintf(r.err, "cluster %s (Kubernetes %s) is ready at %s\n", state.Name, state.Version, state.Server)
	fmt.Fprint(r.out, exports(state))
}

func (r *runner) down(ctx context.Context, _ []string) error {
	err := cluster.Down(ctx, r.dir)
	if errors.Is(err, cluster.ErrAbsent) {
		return fmt.Errorf("end the cluster %s: %w%s", r.name, err, r.crash())
	}
	if err != nil {
		return fmt.Errorf("end the cluster %s: %w", r.name, err)
	}
	fmt.Fprintf(r.err, "cluster %s is gone\n", r.name)
	return nil
}

func (r *runner) status(ctx context.Context, _ []string) error {
	state, err := cluster.Status(ctx, r.dir)
	if err != nil {
		return err
	}
	if r.output == "json" {
		err = printJSON(r.out, state)
	} else {
		r.describe(state)
	}
	if err == nil && state.Phase != cluster.Ready {
		return fmt.Errorf("the cluster %s is %s, not %s%s", r.name, state.Phase, cluster.Ready, r.crash())
	}
	return err
}

func (r *runner) describe(state cluster.State) {
	fmt.Fprintf(r.out, "%-12s %s\n%-12s %s\n%-12s %s\n", "name", r.name, "phase", state.Phase, "directory", state.Dir)
	if state.Phase == cluster.Dead {
		fmt.Fprintln(r.out, "its supervisor was killed; \"down\" removes what is left, \"up\" does so and starts anew")
	}
	if state.Phase == cluster.Dead || state.Phase == cluster.Absent {
		return
	}
	fmt.Fprintf(r.out, "%-12s %s\n%-12s %s\n%-12s %d\n", "kubernetes", state.Version, "server", state.Server, "gpu nodes", state.GPUNodes)
	fmt.Fprintf(r.out, "%-12s %s\n%-12s %d\n", "age", time.Since(state.Started).Round(time.Second), "supervisor", state.PID)
	if state.Init != 0 {
		fmt.Fprintf(r.out, "%-12s %s at %s, reached from %s\n%-12s %s\n", "node", node.Name, state.NodeAddress, state.HostAddress, "registry", state.Registry)
	}
	for _, c := range state.Components {
		fmt.Fprintf(r.out, "  %-24s %7d  %s%s\n", c.Name, c.PID, c.Log, note(c))
	}
}

// note says what is unusual about a component.
func note(c cluster.Component) string {
	switch {
	case c.PID == 0:
		return "  stopped"
	case c.Restarts > 0:
		return fmt.Sprintf("  restarts: %d", c.Restarts)
	}
	return ""
}

func (r *runner) env(ctx context.Context, _ []string) error {
	state, err := r.ready(ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(r.out, exports(state))
	return nil
}

func (r *runner) snapshot(ctx context.Context, args []string) error {
	return cluster.Snapshot(ctx, r.dir, args[0])
}

func (r *runner) restore(ctx context.Context, args []string) error {
	return cluster.Restore(ctx, r.dir, args[0])
}

func (r *runner) component(ctx context.Context, args []string) error {
	actions := []string{cluster.StopComponent, cluster.KillComponent, cluster.StartComponent}
	if !slices.Contains(actions, args[0]) {
		return fmt.Errorf("%w: a component can be told to %s, not %q", cluster.ErrOptions, strings.Join(actions, ", "), args[0])
	}
	return cluster.Act(ctx, r.dir, args[1], args[0])
}

// enter replaces this process, so that signals, the terminal and the exit code are the command's.
func (r *runner) enter(ctx context.Context, args []string) error {
	state, err := r.ready(ctx)
	if err != nil {
		return err
	}
	if state.Init == 0 {
		return fmt.Errorf("the cluster %s has no namespaces of its own; \"up --node\" starts one that has", r.name)
	}
	if len(args) == 0 {
		return fmt.Errorf("%w: run takes a command", cluster.ErrOptions)
	}
	program, err := exec.LookPath("nsenter")
	if err != nil {
		return fmt.Errorf("enter the cluster's namespaces: %w; it is in Debian's package util-linux", err)
	}
	line := append([]string{"nsenter"}, node.EnterArguments(state.Init, args...)...)
	if err := syscall.Exec(program, line, append(os.Environ(), "KUBECONFIG="+state.Kubeconfig)); err != nil { //#nosec G204 -- what the user asks for
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

// ready returns the state of a cluster that can be used.
func (r *runner) ready(ctx context.Context) (cluster.State, error) {
	state, err := cluster.Status(ctx, r.dir)
	if err != nil {
		return state, err
	}
	if state.Phase != cluster.Ready {
		return state, fmt.Errorf("the cluster %s is %s, not %s; \"up\" starts one%s", r.name, state.Phase, cluster.Ready, r.crash())
	}
	return state, nil
}

// crash says why the cluster ended, if it did so by itself.
func (r *runner) crash() string {
	if why := cluster.LastCrash(r.dir); why != "" {
		return "\nit ended by itself at " + why
	}
	return ""
}
