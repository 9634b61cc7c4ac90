// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures Weir on a real API server and writes the figures to
// hack/bench/results.json. Wherever it can, it measures a bare client that does
// the same work in the same run, because the ratio of the two means the same on
// every machine, and seconds do not.
//
//	go run ./hack/bench [-only ks], or make bench ONLY=ks
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// results are the figures by their keys.
type results map[string]float64

// part is a group of figures that can be measured alone.
type part struct {
	name    string
	measure func(ctx context.Context, out results) error
}

var parts = []part{
	{"ks", measureKustomizations},
	{"distinct", measureDistinct},
	{"large", measureLarge},
	{"growth", measureGrowth},
	{"admission", measureAdmission},
	{"gate", measureGate},
	{"wakeup", measureWakeups},
	{"recount", measureRecount},
	{"storm", measureStorm},
	{"image", measureImages},
	{"hr", measureReleases},
	{"failover", measureFailover},
	{"e2e", measureEndToEnd},
}

func main() {
	only := flag.String("only", os.Getenv("ONLY"), "measure this part alone: "+strings.Join(names(), ", "))
	out := flag.String("out", filepath.Join("hack", "bench", "results.json"), "where the figures go")
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, out string) error {
	if only != "" && !slices.Contains(names(), only) {
		return fmt.Errorf("no part is called %q; there are %s", only, strings.Join(names(), ", "))
	}
	all, err := earlier(only, out)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		if err := p.measure(ctx, all); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	fmt.Println()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Printf("%-28s %10.3f\n", key, all[key])
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	return os.WriteFile(out, append(data, '\n'), 0o600)
}

// earlier returns the figures that a run of one part leaves as they are.
func earlier(only, file string) (results, error) {
	all := results{}
	if only == "" {
		return all, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the figures of other parts: %w", err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("read the figures of other parts in %s: %w; remove it if it is of no use", file, err)
	}
	return all, nil
}

func names() []string {
	list := make([]string, len(parts))
	for i, p := range parts {
		list[i] = p.name
	}
	return list
}
