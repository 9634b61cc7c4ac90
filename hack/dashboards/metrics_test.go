// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/hack/dashboards/rehearsal"
)

// root of the repository, seen from this package.
const root = "../.."

// A metric is what the tables of the documentation say of it.
type metric struct {
	Type   string
	Labels []string
}

// ours are the prefixes of metrics of which none may be undocumented.
var ours = regexp.MustCompile(`^(weir|gpuquota|gotk)_`)

// standby is the prefix of metrics that only a standby serves. There is none: a
// test of internal/mirror of source-controller compares them.
const standby = "weir_source_mirror_"

// metricsAreAsDocumented compares what Prometheus has scraped from all
// controllers with the tables.
func metricsAreAsDocumented(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	told := documented(t)
	if len(told) < 30 {
		t.Fatalf("only %d metrics are documented", len(told))
	}
	series, err := r.Prometheus.Range(ctx, `{__name__=~".+_.+"}`, r.Began, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	types, err := r.Prometheus.Types(ctx)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(types, r.Held)
	served, from := map[string]metric{}, map[string]map[string]bool{}
	for _, s := range series {
		name, labels := describe(s.Labels, types)
		// A label without a value is none to Prometheus.
		labels = append(labels, served[name].Labels...)
		slices.Sort(labels)
		served[name] = metric{Type: types[name], Labels: slices.Compact(labels)}
		if from[name] == nil {
			from[name] = map[string]bool{}
		}
		from[name][s.Labels["instance"]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if _, ok := served[name]; !ok && strings.HasPrefix(name, standby) {
			continue
		}
		if diff := cmp.Diff(told[name], served[name]); diff != "" {
			t.Errorf("%s is not served as it is documented (-documented +served):\n%s", name, diff)
		}
	}
	for name := range served {
		if _, ok := told[name]; !ok && ours.MatchString(name) {
			t.Errorf("%s is served and not documented", name)
		}
	}
	for _, name := range []string{"gotk_reconcile_duration_seconds", "weir_reconcile_failures_total", "weir_resource_condition", "weir_resource_suspended", "weir_leader", "workqueue_depth"} {
		if want := len(r.Platform.Controllers()); len(from[name]) != want {
			t.Errorf("%d controllers serve %s, want all %d", len(from[name]), name, want)
		}
	}
}

// describe returns the name of a series' metric, of which there are those types,
// and its labels. Those that Prometheus adds do not count.
func describe(labels, types map[string]string) (name string, own []string) {
	name = labels["__name__"]
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if whole, is := strings.CutSuffix(name, part); is && (types[whole] == "histogram" || types[whole] == "summary") {
			name = whole
		}
	}
	for label := range labels {
		if !slices.Contains([]string{"__name__", "instance", "job", "le", "quantile"}, label) {
			// What a target calls as Prometheus does is renamed.
			own = append(own, strings.TrimPrefix(label, "exported_"))
		}
	}
	return name, own
}

// documented reads the tables that begin with "| metric | type | labels |".
func documented(t *testing.T) map[string]metric {
	t.Helper()
	quoted := regexp.MustCompile("`([a-z_]+)`")
	names := func(cell string) (found []string) {
		for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
			found = append(found, match[1])
		}
		slices.Sort(found)
		return found
	}
	all := map[string]metric{}
	for _, page := range []string{"docs/observability.md", "source-controller/docs/gitrepositories.md", "gpu-quota-controller/docs/gpuquotas.md", "image-automation-controller/docs/imageupdateautomations.md"} {
		data, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		within := false
		for line := range strings.Lines(string(data)) {
			cells := strings.Split(line, "|")
			switch {
			case len(cells) < 6:
				within = false
			case strings.HasPrefix(line, "| metric | type | labels |"):
				within = true
			case within && !strings.HasPrefix(line, "|---"):
				for _, name := range names(cells[1]) {
					all[name] = metric{Type: strings.TrimSpace(cells[2]), Labels: names(cells[3])}
				}
			}
		}
	}
	return all
}
