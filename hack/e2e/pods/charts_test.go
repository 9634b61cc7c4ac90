// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"testing"

	"github.com/weir-gitops/weir/hack/platform"
)

// TestChart installs a chart from Git, upgrades it, and has an upgrade to an
// image that there is none of rolled back, without the pods that serve noticing.
func TestChart(t *testing.T) {
	t.Parallel()
	r := newRig(t, site, "charts", nil)
	r.publish("charts/server", "1.0.0")
	r.publish("charts/server", "2.0.0")
	r.apply("objects.yaml")
	r.awaitReady("helmrelease/server", "")
	r.awaitAnswer("server", "1.0.0")

	const values = "release/values.yaml"
	r.push(platform.Change{Message: "Serve version 2", Edits: []platform.Edit{{Path: values, Old: "1.0.0", New: "2.0.0"}}})
	r.awaitAnswer("server", "2.0.0")
	r.awaitReady("helmrelease/server", "")

	bad := r.push(platform.Change{Message: "Serve version 3", Edits: []platform.Edit{{Path: values, Old: "2.0.0", New: "3.0.0"}}})
	r.awaitText("RollbackSucceeded", "get", "helmrelease/server", "--namespace=charts", `--output=jsonpath={.status.conditions[?(@.type=="Remediated")].reason}`)
	r.awaitAnswer("server", "2.0.0")
	r.awaitText("Deployment/charts/server", "get", "helmrelease/server", "--namespace=charts", `--output=jsonpath={.status.conditions[?(@.type=="Released")].message}`)

	if _, err := r.repo.Revert(r.ctx, "Ada Okafor <ada@acme-ml.example>", bad); err != nil {
		t.Fatal(err)
	}
	r.awaitReady("helmrelease/server", "")
}
