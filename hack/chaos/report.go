// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// The page and the figures that it shows. The lines of the page between the two
// marks are written by this program.
const (
	page    = "docs/reliability.md"
	figures = "docs/reliability.json"
	summary = "hack/bench/results.json"

	begins = "<!-- figures begin: written by make chaos -->"
	ends   = "<!-- figures end -->"

	soakBegins = "<!-- soak begin: written by make soak -->"
	soakEnds   = "<!-- soak end -->"
)

// readFigures returns what the page shows.
func readFigures(file string) ([]result, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []result
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return all, nil
}

// merge puts a result in the place of the one of the same scenario and ground.
func merge(all []result, r result) []result {
	same := func(other result) bool { return other.Scenario == r.Scenario && other.Ground == r.Ground }
	if i := slices.IndexFunc(all, same); i >= 0 {
		all[i] = r
		return all
	}
	return append(all, r)
}

// table is the results as Markdown.
func table(all []result) string {
	var b strings.Builder
	b.WriteString("| scenario | ground | what was done | times | under | lost | seconds until right: median, worst |\n|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		lost := "nothing"
		if n := len(r.Losses); n > 0 {
			lost = fmt.Sprintf("**%d**", n)
		}
		seconds := fmt.Sprintf("%.1f, **%.1f**", r.median(), r.worst())
		if len(r.Seconds) == 1 {
			seconds = fmt.Sprintf("**%.1f**", r.worst())
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %d | %d commits, %d models in %.0f min | %s | %s |\n",
			r.Scenario, r.Ground, r.Did, r.Times, r.Commits, r.Models, r.Minutes, lost, seconds)
	}
	return b.String()
}

// insert puts a table between two marks of a page.
func insert(page []byte, first, last, table string) ([]byte, error) {
	before, rest, found := bytes.Cut(page, []byte(first))
	_, after, closed := bytes.Cut(rest, []byte(last))
	if !found || !closed {
		return nil, fmt.Errorf("the page lacks the lines %q and %q", first, last)
	}
	return slices.Concat(before, []byte(first+"\n\n"+table+"\n"+last), after), nil
}

// record writes a result into the figures, the page and the summary.
func record(r result) error {
	all, err := readFigures(figures)
	if err != nil {
		return err
	}
	all = merge(all, r)
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(figures, append(data, '\n'), 0o644); err != nil { //#nosec G306 -- everybody may read it
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if text, err = insert(text, begins, ends, table(all)); err != nil {
		return err
	}
	if err := os.WriteFile(page, text, 0o644); err != nil { //#nosec G306 -- everybody may read it
		return err
	}
	return addKeys(summary, keys(all))
}

// keys are the figures that hack/bench/results.json has of all results.
func keys(all []result) map[string]float64 {
	k := map[string]float64{"chaos_lost": 0, "chaos_scenarios": float64(len(all))}
	for _, r := range all {
		lost := "chaos_lost"
		if r.Scenario == "etcd" {
			// There the cluster has to equal Git again, and what came between was asked
			// for by objects that had gone back in time themselves.
			lost = "chaos_etcd_lost"
		}
		k[lost] += float64(len(r.Losses))
		k["chaos_disturbances"] += float64(r.Times)
		k["chaos_worst_seconds"] = max(k["chaos_worst_seconds"], r.worst())
		switch r.Scenario {
		case "kill":
			k["chaos_kill_seconds"] = r.worst()
		case "leader":
			k["failover_seconds"] = r.worst()
		}
	}
	return k
}

// addKeys puts figures into a file that has others too.
func addKeys(file string, more map[string]float64) error {
	all := map[string]float64{}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", file, err)
	}
	maps.Copy(all, more)
	if data, err = json.MarshalIndent(all, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644) //#nosec G306 -- everybody may read it
}
