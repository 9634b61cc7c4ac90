// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build weirkube

package main

import (
	"context"
	"os"
	_ "time/tzdata" // CronJobs name time zones, and the machine may have no database of them

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's credential plugins
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the components' client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build_info metric
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"
)

// applets returns the components by name. A command is constructed only when it runs, because several of them claim
// the same process-wide flags and feature gates.
func applets() map[string]applet {
	return map[string]applet{
		"etcd":                    runEtcd,
		"etcdutl":                 runEtcdutl,
		"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
		"kube-controller-manager": func() int { return cli.Run(manager.NewControllerManagerCommand()) },
		"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
		"kubectl":                 runKubectl,
		"kwok":                    runKwok,
	}
}

func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}

// runEtcdutl offers the part of etcdutl that turns a snapshot back into a data directory.
func runEtcdutl() int {
	root := &cobra.Command{Use: "etcdutl", Short: "Works on etcd's files while etcd does not run", SilenceUsage: true}
	root.AddCommand(etcdutl.NewSnapshotCommand(), etcdutl.NewVersionCommand())
	return report(os.Stderr, "etcdutl", root.Execute())
}

func runKubectl() int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}

// runKwok reads --config before the rest, because the configuration decides the defaults of the other flags.
func runKwok() int {
	early := pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	early.ParseErrorsAllowlist.UnknownFlags = true
	early.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), early)
	ctx, err := kwokconfig.InitFlags(ctx, early)
	if err != nil {
		return report(os.Stderr, "kwok", err)
	}
	return report(os.Stderr, "kwok", executeKwok(ctx, early))
}

func executeKwok(ctx context.Context, early *pflag.FlagSet) error {
	command := kwok.NewCommand(ctx)
	// Kubernetes' packages claim a global --version that is not the yes-or-no flag cobra would make of this field.
	command.Version = ""
	command.PersistentFlags().AddFlagSet(early)
	return command.ExecuteContext(ctx)
}
