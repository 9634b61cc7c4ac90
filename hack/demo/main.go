// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command demo shows Weir at work: commits in a real Git repository reach a
// real Kubernetes API server, new models reach Git, and every claim is checked
// against that server. With --node the controllers are pods of a real node, as
// bootstrap deploys them, for which one has to be root; otherwise they are
// processes. KEEP=1 leaves all of it running until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/weir-gitops/weir/hack/platform"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	onNode := flag.Bool("node", false, "run the controllers as pods of a real node")
	flag.Parse()
	err := run(ctx, newConsole(os.Stdout), *onNode, os.Getenv("KEEP") == "1")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run tells the story and clears up. What went wrong in a step is on the
// console already; the error says so in a word.
func run(ctx context.Context, out *console, onNode, keep bool) (err error) {
	p, err := platform.New()
	if err != nil {
		return err
	}
	defer func() {
		out.note("Clearing up …")
		err = errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}()
	s := &story{platform: p, out: out, ground: processes{p}}
	if onNode {
		s.ground = pods{p}
	}
	if err := s.tell(ctx); err != nil {
		return err
	}
	if keep {
		s.invite()
		<-ctx.Done()
	}
	return nil
}
