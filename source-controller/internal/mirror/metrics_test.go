// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gitops/weir/pkg/artifact"
)

// The table is compared here, and not with all others, because only a standby
// serves these.
func TestMetricsAreAsDocumented(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	f, err := NewFigures(registry)
	if err != nil {
		t.Fatal(err)
	}
	f.hold(1, 2)
	for _, err := range []error{nil, artifact.ErrDigest, artifact.ErrNotFound, errors.New("no answer")} {
		f.downloaded(1, err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string][]string{} // the type, the labels and their values, of each
	for _, family := range families {
		facts := map[string]bool{strings.ToLower(family.GetType().String()): true}
		for _, one := range family.GetMetric() {
			for _, label := range one.GetLabel() {
				facts[label.GetName()], facts[label.GetValue()] = true, true
			}
		}
		served[family.GetName()] = slices.Sorted(maps.Keys(facts))
	}
	page, err := os.ReadFile("../../docs/gitrepositories.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `(weir_source_mirror_[a-z_]+)` \\| ([a-z]+) (\\|.*)$")
	quoted := regexp.MustCompile("`([a-z]+)`")
	for _, match := range row.FindAllStringSubmatch(string(page), -1) {
		facts := []string{match[2]}
		for _, word := range quoted.FindAllStringSubmatch(match[3], -1) {
			facts = append(facts, word[1])
		}
		slices.Sort(facts)
		told[match[1]] = facts
	}
	if diff := cmp.Diff(told, served); diff != "" {
		t.Errorf("the metrics are not as they are documented (-documented +served):\n%s", diff)
	}
}
