// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
)

// cli returns the SDK as the helm CLI uses it: with its own client and storage.
func (r *rig) cli() *action.Configuration {
	r.Helper()
	flags := genericclioptions.NewConfigFlags(false)
	flags.Namespace = &r.namespace
	flags.WrapConfigFn = func(*rest.Config) *rest.Config { return cluster.Config() }
	config := &action.Configuration{}
	r.must(config.Init(flags, r.namespace, "secret", func(string, ...any) {}))
	return config
}

// TestReleasesOfTheCLI takes over a release of the CLI, and hands it back.
func TestReleasesOfTheCLI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	install := action.NewInstall(r.cli())
	install.ReleaseName, install.Namespace = "app", r.namespace
	install.Labels = map[string]string{"team": "ml"}
	chart := r.chart(app("1.0.0").ConfigMap("old", "here"))
	if _, err := install.Run(copyChart(chart.parsed), map[string]any{"size": 2.0}); err != nil {
		t.Fatal(err)
	}

	// It is not known as ours, so it becomes what is wanted by an upgrade.
	done := r.fulfil(wish{r.chart(app("2.0.0")), map[string]any{"size": 3.0}})
	if len(done) != 1 || done[0] != state.Upgrade {
		t.Errorf("taken over by %v", done)
	}
	seen := r.observe().History
	if len(seen) != 2 || seen[0].ApplyMethod != release.ClientSide || seen[0].Labels["team"] != "ml" {
		t.Errorf("taken over: %v %+v", r.history(), seen[0])
	}
	if got := r.value("app-settings") + r.value("app-old"); got != "3absent" {
		t.Errorf("there is %q", got)
	}

	upgrade := action.NewUpgrade(r.cli())
	upgrade.Namespace = r.namespace
	upgrade.ReuseValues = true
	got, err := upgrade.Run("app", copyChart(r.chart(app("3.0.0")).parsed), nil)
	r.must(err)
	if got.Version != 3 || r.value("app-settings") != "3" {
		t.Errorf("handed back: %+v with %q", got.Info, r.value("app-settings"))
	}
	back := action.NewRollback(r.cli())
	back.Version = 2
	r.must(back.Run("app"))
	uninstall := action.NewUninstall(r.cli())
	if _, err := uninstall.Run("app"); err != nil || r.value("app-settings") != "absent" {
		t.Errorf("uninstalled: %v, %q", err, r.value("app-settings"))
	}
}
