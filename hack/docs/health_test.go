// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/pkg/health"
)

const healthPage = "docs/health.md"

// TestEveryRuleOfHealthIsDescribed compares the table of the page with the
// rules, row by row.
func TestEveryRuleOfHealthIsDescribed(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, healthPage))
	if err != nil {
		t.Fatal(err)
	}
	page, known := string(data), map[string]bool{}
	for _, row := range health.Table() {
		text := healthRow(row)
		known[text] = true
		if !strings.Contains(page, "\n"+text+"\n") {
			t.Errorf("%s lacks the row\n%s", healthPage, text)
		}
	}
	for line := range strings.Lines(page) {
		// Every row of the table has six columns.
		if line = strings.TrimRight(line, "\n"); strings.HasPrefix(line, "| `") && strings.Count(line, " | ") == 5 && !known[line] {
			t.Errorf("%s has a row that no rule stands for:\n%s", healthPage, line)
		}
	}
}

func healthRow(row health.Row) string {
	kinds := make([]string, len(row.Kinds))
	for i, kind := range row.Kinds {
		kinds[i] = "`" + kind + "`"
	}
	name := strings.Join(kinds, ", ")
	if row.Group != "" {
		name += " " + row.Group
	}
	if row.RunsToCompletion != "" {
		name += " **ends**"
	}
	if row.RunsToCompletion != "" && row.RunsToCompletion != "yes" {
		name += " if " + row.RunsToCompletion
	}
	cells := []string{name, row.Healthy, row.Failed, row.Queued, row.InProgress, row.Source}
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "–"
		}
	}
	return "| " + strings.Join(cells, " | ") + " |"
}
