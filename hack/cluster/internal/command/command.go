// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package command is the launcher's command line.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/weir-gitops/weir/hack/cluster/internal/build"
	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
	"github.com/weir-gitops/weir/hack/cluster/internal/node"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// errUsage says that the command line was not understood, and was answered already.
var errUsage = errors.New("usage")

// A runner carries out one command line.
type runner struct {
	out, err io.Writer

	name, dir  string
	gpuNodes   int
	node       bool
	nodeGPUs   int
	fsync      bool
	owner      int
	foreground bool
	output     string
}

// A verb is one command.
type verb struct {
	name  string
	args  string // the arguments after the flags
	help  string
	count int // of arguments; -1 means any
	run   func(*runner, context.Context, []string) error
}

func verbs() []verb {
	return []verb{
		{"up", "", "start a cluster; it runs until down", 0, (*runner).up},
		{"down", "", "end a cluster and remove everything of it", 0, (*runner).down},
		{"status", "", "say what a cluster is doing; exit code 1 unless it is ready", 0, (*runner).status},
		{"env", "", "print KUBECONFIG and KUBEBUILDER_ASSETS for a shell to evaluate", 0, (*runner).env},
		{"build", "", "only build Kubernetes, which up does by itself when needed", 0, (*runner).build},
		{"kubectl", "[ARGUMENT...]", "run kubectl against a cluster", -1, (*runner).kubectl},
		{"component", "stop|kill|start NAME", "stop a component, so that the cluster goes on without it, or start it again", 2, (*runner).component},
		{"run", "COMMAND [ARGUMENT...]", "run a command in the namespaces of a cluster with a node", -1, (*runner).enter},
		{"snapshot", "FILE", "write what the cluster's etcd holds to a file", 1, (*runner).snapshot},
		{"restore", "FILE", "put a cluster back to a snapshot of itself", 1, (*runner).restore},
	}
}

// Run carries out args, which do not include the program's name, and returns the exit code.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	if len(args) > 0 && args[0] == cluster.SuperviseCommand {
		if err := cluster.ServeSupervisor(ctx, os.Stdin, os.Stdout); err != nil {
			return exitError
		}
		return exitOK
	}
	if len(args) == 2 && args[0] == node.InitCommand {
		fmt.Fprintf(errOut, "%v\n", node.ServeInit(args[1]))
		return exitError
	}
	r := &runner{out: out, err: errOut}
	err := r.run(ctx, args)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	}
	fmt.Fprintf(errOut, "error: %v\n", err)
	if errors.Is(err, cluster.ErrOptions) {
		return exitUsage
	}
	return exitError
}

func (r *runner) run(ctx context.Context, args []string) error {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		r.usage()
		if len(args) == 0 {
			return errUsage
		}
		return nil
	}
	index := slices.IndexFunc(verbs(), func(v verb) bool { return v.name == args[0] })
	if index < 0 {
		fmt.Fprintf(r.err, "error: there is no command %q\n\n", args[0])
		r.usage()
		return errUsage
	}
	chosen := verbs()[index]
	flags := r.flags(chosen)
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return errUsage
	}
	if chosen.count >= 0 && flags.NArg() != chosen.count {
		fmt.Fprintf(r.err, "error: %s takes %d arguments, not %d\n", chosen.name, chosen.count, flags.NArg())
		flags.Usage()
		return errUsage
	}
	if err := r.complete(); err != nil {
		return err
	}
	return chosen.run(r, ctx, flags.Args())
}

// flags declares the flags that v understands.
func (r *runner) flags(v verb) *flag.FlagSet {
	flags := flag.NewFlagSet("cluster "+v.name, flag.ContinueOnError)
	flags.SetOutput(r.err)
	flags.Usage = func() {
		fmt.Fprintf(r.err, "usage: cluster %s [flags] %s\n%s\n\n", v.name, v.args, v.help)
		flags.PrintDefaults()
	}
	if v.name == "build" {
		flags.BoolVar(&r.node, "node", false, "build what a node needs, too")
		return flags
	}
	flags.StringVar(&r.name, "name", cluster.DefaultName, "the cluster's `name`")
	flags.StringVar(&r.dir, "dir", "", "the cluster's `directory` (default: one per name in ~/.local/state/weir/clusters)")
	if v.name == "up" || v.name == "status" {
		flags.StringVar(&r.output, "output", "text", "`format` of what is printed: text or json")
	}
	if v.name == "up" {
		flags.IntVar(&r.gpuNodes, "gpu-nodes", 0, "`number` of simulated nodes with 8 GPUs each to add")
		flags.BoolVar(&r.node, "node", false, "run the cluster in namespaces of its own, with a real node that runs pods; takes root")
		flags.IntVar(&r.nodeGPUs, "node-gpus", 0, "`number` of GPUs that the real node claims to have")
		flags.BoolVar(&r.fsync, "fsync", false, "have etcd wait for the disk, which only a measurement needs")
		flags.IntVar(&r.owner, "owner-pid", 0, "end the cluster when the process with this `number` ends")
		flags.BoolVar(&r.foreground, "foreground", false, "stay, and end the cluster on Ctrl-C")
	}
	return flags
}

// complete fills in what the flags left open.
func (r *runner) complete() error {
	if r.output != "" && r.output != "text" && r.output != "json" {
		return fmt.Errorf("%w: output format %q: use text or json", cluster.ErrOptions, r.output)
	}
	if r.nodeGPUs != 0 && !r.node {
		return fmt.Errorf("%w: --node-gpus is about the node that --node runs", cluster.ErrOptions)
	}
	if r.name == "" {
		return nil
	}
	var err error
	if r.dir == "" {
		r.dir, err = cluster.DefaultDir(r.name)
	} else {
		r.dir, err = filepath.Abs(r.dir)
	}
	return err
}

func (r *runner) usage() {
	fmt.Fprint(r.err, "cluster runs a real Kubernetes control plane on this machine.\n\nusage: cluster COMMAND [flags]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(r.err, "  %-9s %s\n", v.name, v.help)
	}
	fmt.Fprint(r.err, "\n\"cluster COMMAND -h\" lists the flags of a command.\n")
}

// assets returns the components of a program, which are built if they were not before.
func (r *runner) assets(ctx context.Context, program build.Program) (build.Assets, error) {
	source, err := build.FindSource()
	if err != nil {
		return build.Assets{}, err
	}
	cache, err := build.DefaultCache()
	if err != nil {
		return build.Assets{}, err
	}
	return build.Builder{Source: source, Cache: cache, Progress: r.err}.Ensure(ctx, program)
}

// nodeOptions returns what a node is to be run with, or nil if none is asked for.
func (r *runner) nodeOptions(ctx context.Context) (*node.Options, error) {
	if !r.node {
		return nil, nil
	}
	cache, err := build.DefaultCache()
	if err != nil {
		return nil, err
	}
	opts := &node.Options{GPUs: r.nodeGPUs}
	// What is missing is said before anything is built.
	if opts.Tools, err = node.FindTools(filepath.Dir(cache)); err != nil {
		return nil, err
	}
	if opts.Programs, err = r.assets(ctx, build.Node()); err != nil {
		return nil, err
	}
	opts.Pause, err = r.assets(ctx, build.Pause())
	return opts, err
}

func (r *runner) build(ctx context.Context, _ []string) error {
	if _, err := r.nodeOptions(ctx); err != nil {
		return err
	}
	assets, err := r.assets(ctx, build.Kube())
	if err != nil {
		return err
	}
	fmt.Fprintln(r.out, assets.Dir)
	return nil
}

// exports are the lines by which a shell finds the cluster.
func exports(state cluster.State) string {
	return fmt.Sprintf("export KUBECONFIG=%s\nexport KUBEBUILDER_ASSETS=%s\n", quote(state.Kubeconfig), quote(state.Assets))
}

// quote makes a word of text for any POSIX shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// kubectl replaces this process, so that signals, the terminal and the exit code are kubectl's.
func (r *runner) kubectl(ctx context.Context, args []string) error {
	state, err := r.ready(ctx)
	if err != nil {
		return err
	}
	program := filepath.Join(state.Assets, "kubectl")
	environment := append(os.Environ(), "KUBECONFIG="+state.Kubeconfig)
	if err := syscall.Exec(program, append([]string{"kubectl"}, args...), environment); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}
