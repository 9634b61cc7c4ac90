// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/hack/chaos/judge"
	"github.com/weir-gitops/weir/hack/platform"
)

// root of the repository.
const root = "../.."

// TestPageShowsTheFigures holds the page to the figures that it is made of.
func TestPageShowsTheFigures(t *testing.T) {
	t.Parallel()
	all, err := readFigures(filepath.Join(root, figures))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	want, err := insert(text, begins, ends, table(all))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("%s (-figures +page):\n%s", page, diff)
	}
}

func TestTableTellsMedianAndWorst(t *testing.T) {
	t.Parallel()
	for want, seconds := range map[string][]float64{
		"| **7.0** |":      {7},
		"| 6.0, **8.0** |": {8, 4},
		"| 5.0, **9.0** |": {9, 1, 5},
		"| 4.0, **9.0** |": {9, 1, 5, 3},
	} {
		if got := table([]result{{Seconds: seconds}}); !strings.HasSuffix(got, want+"\n") {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}

func TestMergeReplacesTheSameRow(t *testing.T) {
	t.Parallel()
	all := []result{{Scenario: kill, Ground: "pods", Times: 1}, {Scenario: "disk", Ground: "pods"}}
	all = merge(all, result{Scenario: kill, Ground: "processes", Times: 2})
	all = merge(all, result{Scenario: kill, Ground: "pods", Times: 3})
	want := []result{
		{Scenario: kill, Ground: "pods", Times: 3}, {Scenario: "disk", Ground: "pods"}, {Scenario: kill, Ground: "processes", Times: 2},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	got := keys([]result{
		{Scenario: kill, Times: 3, Seconds: []float64{1, 9, 2}, Losses: []string{"one"}},
		{Scenario: "leader", Times: 1, Seconds: []float64{12}, Losses: []string{"two", "three"}},
		{Scenario: "etcd", Times: 1, Losses: []string{"four"}},
	})
	want := map[string]float64{
		"chaos_lost": 3, "chaos_etcd_lost": 1, "chaos_scenarios": 3, "chaos_disturbances": 5, "chaos_worst_seconds": 12, "chaos_kill_seconds": 9, "failover_seconds": 12,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestAddKeysKeepsOthers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results.json")
	for _, more := range []map[string]float64{{"a": 1, "b": 1}, {"b": 2}} {
		if err := addKeys(file, more); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{\n  \"a\": 1,\n  \"b\": 2\n}\n", string(data)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []scenario{{name: "any"}, {name: "pod", takes: onNode}, {name: "two", takes: onReplicas}}
	for name, tc := range map[string]struct {
		options options
		want    map[string][]string
		fails   bool
	}{
		"all on pods":      {options{ground: onNode}, map[string][]string{onNode: {kill, "any", "pod"}, onReplicas: {"two"}}, false},
		"all on processes": {options{ground: onProcesses}, map[string][]string{onProcesses: {kill, "any"}}, false},
		"all on replicas":  {options{ground: onReplicas}, map[string][]string{onReplicas: {kill, "any", "pod", "two"}}, false},
		"one":              {options{ground: onNode, only: []string{"two"}}, map[string][]string{onReplicas: {"two"}}, false},
		"unknown":          {options{ground: onNode, only: []string{"none"}}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := choose(all, tc.options)
			if (err != nil) != tc.fails {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("scenarios (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLoad holds the manifests of the load to what is expected of them: each
// commit changes what bears its number, and content is the same for a manifest
// and for what is read of it.
func TestLoad(t *testing.T) {
	t.Parallel()
	first, err := state(manifests(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	second, err := state(manifests(2, 1))
	if err != nil {
		t.Fatal(err)
	}
	for ref := range first {
		changes := ref.Kind == "ConfigMap" || ref.Kind == "Deployment"
		if content, there := second[ref]; there && (content != first[ref]) != changes {
			t.Errorf("%s: %q, and then %q", ref, first[ref], content)
		}
	}
	kinds := map[string]int{}
	for commit := range 3 * jobEvery {
		held, err := state(manifests(commit+1, 1))
		if err != nil {
			t.Fatal(err)
		}
		for ref := range held {
			kinds[ref.Kind+" "+strings.SplitN(ref.Name, "-", 2)[0]]++
		}
	}
	for _, kind := range []string{"ConfigMap settings", "ConfigMap visitor", "Deployment server", "Job train", "HelmRelease release"} {
		if kinds[kind] == 0 {
			t.Errorf("no commit has a %s", kind)
		}
	}
	if _, err := parse(tie("http://127.0.0.1:1", "127.0.0.1:2")); err != nil {
		t.Error(err)
	}
}

func TestSoakFindsWhatGrows(t *testing.T) {
	t.Parallel()
	s := &soak{Date: time.Unix(0, 0), Samples: map[string]map[string][]judge.Sample{}, Restarts: map[string]int{}, started: map[string]float64{}}
	for minute := range 21 {
		m := float64(minute)
		s.Looks++
		for _, measure := range measures() {
			for _, name := range platform.Programs() {
				if name == imageController && measure.key == "files" && minute > 8 {
					continue
				}
				s.add(measure.key, name, m, 100+map[bool]float64{true: 2 * m}[measure.key == "memory" && name == helmController])
			}
		}
		s.start(sourceController, 1)
		s.start(kustomizeController, map[bool]float64{true: 2, false: 1}[minute > 10])
		s.add(etcdObjects, "all but Events", m, 500)
	}
	want := []string{
		"Resident memory of helm-controller grew by 30.0",
		"Open file descriptors of image-automation-controller was seen 4 times only",
		"kustomize-controller was started anew 1 times",
	}
	if diff := cmp.Diff(want, s.growth()); diff != "" {
		t.Errorf("what grows (-want +got):\n%s", diff)
	}
	for path, picture := range s.draw() {
		if !strings.HasSuffix(string(picture), "</svg>\n") || strings.Contains(string(picture), "NaN") {
			t.Errorf("%s is no picture", path)
		}
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	data, err := expired([]string{"webhook.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	names, err := namesOf(data["tls.crt"])
	if diff := cmp.Diff([]string{"webhook.example.com"}, names); err != nil || diff != "" {
		t.Errorf("%v, names (-want +got):\n%s", err, diff)
	}
}
