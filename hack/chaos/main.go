// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command chaos breaks what can break around Weir while it works, and says what
// was lost by that and how long it took until all was right again. The figures go
// to docs/reliability.json, and from there into docs/reliability.md.
//
//	go run ./hack/chaos [-only kill] [-minutes 10], or make chaos ONLY=kill CHAOS_MINUTES=10
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options of a run.
type options struct {
	only    []string
	minutes float64
	ground  string
	record  bool
	soak    float64
}

func main() {
	var o options
	only := flag.String("only", "", "run these scenarios alone, separated by commas; by default all")
	flag.Float64Var(&o.minutes, "minutes", 10, "how long controllers are killed at random, and how old the snapshot is that etcd goes back to")
	flag.StringVar(&o.ground, "ground", onNode, "what Weir runs as: processes; pods on a real node, which takes root; or two replicas of each as pods")
	flag.Float64Var(&o.soak, "soak", 0, "break nothing, but work on for so many minutes and see what grows")
	flag.BoolVar(&o.record, "record", true, "write the figures into "+page)
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// run brings each ground up that is needed and runs its scenarios on it in turn.
func run(ctx context.Context, o options, out io.Writer) error {
	if grounds()[o.ground] == nil {
		return fmt.Errorf("there is no ground %q; there are %s", o.ground, strings.Join(slices.Sorted(maps.Keys(grounds())), ", "))
	}
	all := scenarios(o.length())
	chosen, err := choose(all, o)
	if err != nil {
		return err
	}
	if o.soak > 0 {
		chosen = map[string][]string{o.ground: nil}
	}
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		err := on(ctx, grounds()[name], out, func(a *arena) error {
			if o.soak > 0 {
				return a.soakAndKeep(ctx, o)
			}
			return a.playAll(ctx, o, chosen[name], all)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// on brings a ground up with a load on it.
func on(ctx context.Context, start func(context.Context) (ground, error), out io.Writer, do func(*arena) error) (err error) {
	begun := time.Now()
	g, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(context.WithoutCancel(ctx))) }()
	a, err := enter(ctx, g, out)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, g.lastWords(context.WithoutCancel(ctx)))
	}
	defer func() { err = errors.Join(err, a.leave()) }()
	fmt.Fprintf(out, "Weir works as %s, after %.0f s\n", g.name(), time.Since(begun).Seconds())
	return do(a)
}

// length is how long the random killing goes on.
func (o options) length() time.Duration { return time.Duration(o.minutes * float64(time.Minute)) }

// soakAndKeep soaks and writes down what was seen.
func (a *arena) soakAndKeep(ctx context.Context, o options) error {
	s, err := a.soak(ctx, time.Duration(o.soak*float64(time.Minute)))
	if err != nil {
		return err
	}
	for _, loss := range s.Losses {
		fmt.Fprintf(a.out, "  lost: %s\n", loss)
	}
	if !o.record {
		fmt.Fprint(a.out, soakTable(&s))
		return nil
	}
	return s.keep(a.out)
}

// playAll runs the scenarios in turn. One that cannot be run ends all.
func (a *arena) playAll(ctx context.Context, o options, chosen []string, all []scenario) error {
	var done []result
	for _, name := range chosen {
		fmt.Fprintf(a.out, "%s\n", name)
		r, err := a.play(ctx, name, all, o.length())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, loss := range r.Losses {
			fmt.Fprintf(a.out, "  lost: %s\n", loss)
		}
		done = append(done, r)
		if o.record {
			if err := record(r); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(a.out, "\n%s", table(done))
	return nil
}

// The grounds, as they are asked for.
const (
	onProcesses = "processes"
	onNode      = "pods"
	onReplicas  = "replicas"
)

// grounds are where Weir can be disturbed.
func grounds() map[string]func(context.Context) (ground, error) {
	return map[string]func(context.Context) (ground, error){
		onProcesses: func(ctx context.Context) (ground, error) { return startProcesses(ctx) },
		onNode:      func(ctx context.Context) (ground, error) { return startPods(ctx, ".", "pods") },
		onReplicas: func(ctx context.Context) (ground, error) {
			return startPods(ctx, "high-availability", "pods, two replicas")
		},
	}
}

// kill is the name of the random killing.
const kill = "kill"

// choose returns the names of the scenarios to run on each ground: those that
// were asked for, or all that the ground can have. What takes two replicas runs
// on a ground of its own where there are pods.
func choose(all []scenario, o options) (map[string][]string, error) {
	on := map[string][]string{}
	for _, name := range o.only {
		if name != kill && !slices.ContainsFunc(all, func(s scenario) bool { return s.name == name }) {
			return nil, fmt.Errorf("no scenario is called %q", name)
		}
	}
	wanted := func(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }
	if wanted(kill) {
		on[o.ground] = []string{kill}
	}
	for _, s := range all {
		at := o.ground
		if s.takes == onReplicas && at == onNode {
			at = onReplicas
		}
		able := s.takes == "" || s.takes == at || s.takes == onNode && at == onReplicas
		if wanted(s.name) && (able || len(o.only) > 0) {
			on[at] = append(on[at], s.name)
		}
	}
	return on, nil
}

func (a *arena) play(ctx context.Context, name string, all []scenario, length time.Duration) (result, error) {
	if name == kill {
		return a.killAtRandom(ctx, length)
	}
	i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
	return a.disturb(ctx, all[i])
}
