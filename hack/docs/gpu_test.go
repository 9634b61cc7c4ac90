// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/pkg/gpu"
)

const countingPage = "docs/gpu-counting.md"

// TestEveryDeviceIsDescribed compares the table of resources with the data.
func TestEveryDeviceIsDescribed(t *testing.T) {
	var rows []string
	for _, vendor := range gpu.Vendors() {
		domain := code(vendor.Domain)
		if vendor.Domain == "" {
			domain = "the names"
		}
		rows = append(rows, row(vendor.Name, domain, codes(vendor.Counting), codes(vendor.Shares), codes(vendor.Others)))
	}
	compareTable(t, "## Resources", rows)
}

// TestEveryKindIsDescribed compares the tables of kinds with the data.
func TestEveryKindIsDescribed(t *testing.T) {
	var counted, unknown []string
	for _, kind := range gpu.BuiltinKinds().Table() {
		name := strings.TrimSpace(code(kind.Kind) + " " + kind.Group)
		if kind.Unknown != "" {
			unknown = append(unknown, row(name, kind.Unknown))
			continue
		}
		cell := func(of func(gpu.PodSet) string) string {
			var parts []string
			for _, set := range kind.PodSets {
				parts = append(parts, of(set))
			}
			return strings.Join(slices.Compact(parts), "; ")
		}
		counted = append(counted, row(name, cell(templateText), cell(podsText), cell(mostText), cell(rolloutText), idleText(kind)))
	}
	compareTable(t, "## Kinds", counted)
	compareTable(t, "## What is not known", unknown)
}

// compareTable compares the rows of the first table under a heading.
func compareTable(t *testing.T, heading string, want []string) {
	t.Helper()
	got := tableUnder(t, heading)
	for _, text := range want {
		if !slices.Contains(got, text) {
			t.Errorf("%s lacks the row\n%s", countingPage, text)
		}
	}
	for _, text := range got {
		if !slices.Contains(want, text) {
			t.Errorf("%s has a row that no data stands for:\n%s", countingPage, text)
		}
	}
}

func tableUnder(t *testing.T, heading string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, countingPage))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(data), "\n"+heading+"\n")
	_, table, divided := strings.Cut(after, "|---|")
	if !found || !divided {
		t.Fatalf("%s has no table under %q", countingPage, heading)
	}
	var rows []string
	for line := range strings.Lines(table[strings.Index(table, "\n")+1:]) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, strings.TrimSpace(line))
	}
	return rows
}

func row(cells ...string) string {
	for i, cell := range cells {
		cells[i] = cmp.Or(cell, "–")
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

func code(text string) string { return "`" + text + "`" }

func codes(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = code(text)
	}
	return strings.Join(quoted, ", ")
}

func field(path string) string { return code(strings.TrimPrefix(path, "$.")) }

func templateText(set gpu.PodSet) string {
	text := "the object"
	switch {
	case set.PodSpec != "":
		text = field(set.PodSpec)
	case set.Template != nil && *set.Template != "":
		text = field(*set.Template)
	}
	if set.Otherwise != "" {
		text += ", without it " + field(set.Otherwise)
	}
	if len(set.Containers) > 0 {
		text += " with " + codes(set.Containers)
	}
	if set.Each != "" {
		text += " of each of " + field(set.Each)
	}
	if set.Unless != "" {
		text += ", unless " + field(set.Unless)
	}
	for _, path := range set.Suspended {
		text += ", unless " + field(path)
	}
	if set.Inherits != "" {
		text += " (not known unless it asks for devices: " + set.Inherits + ")"
	}
	if set.UncountedIf != nil {
		text += " (not known with " + field(set.UncountedIf.Path) + ": " + set.UncountedIf.Because + ")"
	}
	return text
}

func countText(count gpu.Count) string {
	text := field(count.Path)
	if count.AtLeast != "" || count.AtMost != "" {
		var bounds []string
		if count.AtLeast != "" {
			bounds = append(bounds, "at least "+field(count.AtLeast))
		}
		if count.AtMost != "" {
			bounds = append(bounds, "at most "+field(count.AtMost))
		}
		text += ", " + strings.Join(bounds, ", ") + ","
	}
	text += fmt.Sprintf(" (%d)", count.Default)
	if count.Plus != 0 {
		text = fmt.Sprintf("(%s %+d)", text, count.Plus)
	}
	return text
}

func podsText(set gpu.PodSet) string {
	if set.Uncounted != "" {
		return "not known: " + set.Uncounted
	}
	var factors []string
	if set.Replicas != nil {
		factors = append(factors, countText(*set.Replicas))
	}
	for _, count := range set.Times {
		factors = append(factors, countText(count))
	}
	return cmp.Or(strings.Join(factors, " × "), "1")
}

func mostText(set gpu.PodSet) string {
	switch {
	case set.Most != nil && set.Most.When != nil:
		return field(set.Most.Path) + testText(*set.Most.When)
	case set.Most != nil:
		return field(set.Most.Path)
	case set.Unbounded != nil:
		return "no bound" + testText(*set.Unbounded)
	case set.Scaled:
		return "no bound with an autoscaler"
	}
	return "the same"
}

func testText(test gpu.Test) string {
	if slices.Equal(test.NotIn, []string{""}) {
		return " if there is " + field(test.Path)
	}
	if len(test.NotIn) > 0 {
		return " unless " + field(test.Path) + " is " + strings.ReplaceAll(codes(test.NotIn), ", ", " or ")
	}
	return " if " + field(test.Path) + " is " + strings.ReplaceAll(codes(test.In), ", ", " or ")
}

func rolloutText(set gpu.PodSet) string {
	if set.Rollout == nil {
		return "the same"
	}
	text := "twice as many"
	if !set.Rollout.Twice {
		text = field(set.Rollout.Surge.Path) + " (" + set.Rollout.Surge.Default + ") more; " +
			field(set.Rollout.Unavailable.Path) + " (" + set.Rollout.Unavailable.Default + ") may go before"
	}
	if set.Rollout.Unless != nil {
		text += "; not" + testText(*set.Rollout.Unless)
	}
	return text
}

func idleText(kind gpu.Kind) string {
	var parts []string
	for _, path := range kind.Suspended {
		parts = append(parts, field(path))
	}
	if kind.Finished != nil {
		parts = append(parts, field(kind.Finished.Path)+" is "+strings.ReplaceAll(codes(kind.Finished.In), ", ", " or "))
	}
	for _, name := range kind.FinishedConditions {
		parts = append(parts, code(name+"=True"))
	}
	return strings.Join(parts, ", ")
}

var (
	// shown is a test that a row names: its package, its function and, after a
	// slash, the case of its table.
	shown = regexp.MustCompile("`((?:pkg|hack|gpu-quota-controller|kustomize-controller)/[a-z/]+)\\.(Test\\w+)(?:/([^`]+))?`")
	// without is in a row that no test can show.
	without = regexp.MustCompile(`Later|Does not apply`)
	tests   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// TestEveryCaseNamesATest: each row names a test, or says why there is none, and
// the tests exist, with their cases.
func TestEveryCaseNamesATest(t *testing.T) {
	found := 0
	for _, heading := range []string{"### Rules", "### Faults of others"} {
		for _, line := range tableUnder(t, heading) {
			matches := shown.FindAllStringSubmatch(line, -1)
			if len(matches) == 0 && !without.MatchString(line) {
				t.Errorf("%s: no test shows\n%s", countingPage, line)
			}
			for _, match := range matches {
				found++
				sources := testSources(t, match[1])
				if !slices.Contains(functions(sources), match[2]) {
					t.Errorf("%s names %s, which %s does not have", countingPage, match[2], match[1])
				}
				if match[3] != "" && !strings.Contains(sources, `"`+match[3]+`":`) {
					t.Errorf("%s names the case %q of %s.%s, which is not there", countingPage, match[3], match[1], match[2])
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("the page names %d tests, want at least 20", found)
	}
}

func functions(sources string) []string {
	var names []string
	for _, match := range tests.FindAllStringSubmatch(sources, -1) {
		names = append(names, match[1])
	}
	return names
}

func testSources(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// TestUsersKindsOfThePageWork reads the ConfigMap that the page shows.
func TestUsersKindsOfThePageWork(t *testing.T) {
	read := false
	for _, block := range readPage(t, countingPage).Blocks {
		if !strings.Contains(block.Text, "podSets:") {
			continue
		}
		var configMap corev1.ConfigMap
		if err := yaml.UnmarshalStrict([]byte(block.Text), &configMap); err != nil {
			t.Fatal(err)
		}
		if _, err := gpu.BuiltinKinds().With(configMap.Data); err != nil {
			t.Fatal(err)
		}
		read = len(configMap.Data) > 0
	}
	if !read {
		t.Errorf("%s shows no kinds", countingPage)
	}
}
