// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/hack/platform"
)

// definitions is how many CRDs a cluster has that runs a few operators.
const definitions = 200

// TestManyDefinitions brings 200 CRDs and an object of each from Git, then one
// more commit that changes one object, and says how long it took and how much
// memory each controller has needed. No pod may be ended for it.
func TestManyDefinitions(t *testing.T) {
	t.Parallel()
	r := newRig(t, site, "crds", nil)
	for _, kind := range []string{"definition", "object"} {
		template, err := os.ReadFile(filepath.Join("testdata", "crds", kind+".yaml"))
		if err == nil {
			err = os.MkdirAll(filepath.Join(r.repo.Dir, kind+"s"), 0o750)
		}
		for n := 0; err == nil && n < definitions; n++ {
			content := strings.ReplaceAll(string(template), "@N@", strconv.Itoa(n))
			err = os.WriteFile(filepath.Join(r.repo.Dir, kind+"s", strconv.Itoa(n)+".yaml"), []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	commit := r.push(platform.Change{Message: "Serve many kinds of models"})
	begun := time.Now()
	r.apply("objects.yaml")
	r.awaitReady("kustomization/crds", platform.Revision(commit))
	r.awaitReady("kustomization/objects", platform.Revision(commit))
	t.Logf("%d definitions and an object of each: %.1f s", definitions, time.Since(begun).Seconds())

	begun = time.Now()
	commit = r.push(platform.Change{Message: "Serve one of them twice", Edits: []platform.Edit{{Path: "objects/7.yaml", Old: "replicas: 1", New: "replicas: 2"}}})
	r.awaitReady("kustomization/objects", platform.Revision(commit))
	t.Logf("a change of one of them: %.1f s", time.Since(begun).Seconds())

	// What renders charts ends when there is nothing to render.
	for _, name := range append(platform.Programs(), platform.RenderWorker) {
		pids, err := site.Processes(name)
		if err != nil || len(pids) == 0 && name != platform.RenderWorker {
			t.Errorf("%s runs as %v: %v", name, pids, err)
		}
		for _, pid := range pids {
			peak, err := platform.PeakMemory(pid)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s: %.0f MiB at most", name, peak)
		}
	}
	restarts := r.kubectl("get", "pods", "--namespace="+platform.Namespace, "--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}")
	if strings.Trim(restarts, "0 ") != "" {
		t.Errorf("containers were started again: %s", restarts)
	}
}
