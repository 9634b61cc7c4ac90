// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package runbook knows the pages for those who operate Weir. Its tests run
// the commands on them against a cluster in which the controllers are processes.
// A page marks those that need something else, and who runs them.
package runbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

const (
	// InPods is the mark of a block whose commands need controllers that run as
	// pods: for their logs, their ports, or a program in their images. The tests
	// of hack/e2e/pods run it.
	InPods = "pods"
	// InRehearsal is the mark of a block whose commands look at what there is when
	// the example has been at work for a while. The tests of hack/dashboards run it.
	InRehearsal = "rehearsal"
)

// Pages are run in this order, on one cluster that they share.
func Pages() []string {
	return []string{
		"docs/operations.md", "docs/security.md", "docs/upgrade.md", "docs/disaster-recovery.md",
		"docs/observability.md", "docs/audit.md",
	}
}

// A Step is a block of commands.
type Step struct {
	Page, Section string
	Script        string
	// Mark is InPods, InRehearsal, or "" for what is run here.
	Mark string
}

// Steps returns what a page has its reader type, in its order. A block of
// commands that nothing would run is an error: one in another shell than sh,
// with a mark that means nothing, or written into the text.
func Steps(page *markdown.Page) ([]Step, error) {
	var steps []Step
	for _, b := range page.Blocks {
		switch {
		case slices.Contains([]string{"bash", "shell", "console", "zsh"}, b.Language):
			return nil, fmt.Errorf("%s: a block in %s under %q is not run; write sh", page.Path, b.Language, b.Section)
		case b.Language != "sh":
		case !slices.Contains([]string{"", InPods, InRehearsal}, b.Mark):
			return nil, fmt.Errorf("%s: nothing runs blocks with the mark %q", page.Path, b.Mark)
		default:
			steps = append(steps, Step{Page: page.Path, Section: b.Section, Script: strings.TrimSpace(b.Text), Mark: b.Mark})
		}
	}
	return steps, inText(page, steps)
}

// command is what a code span holds if it is something to type. What has a
// placeholder, as <name>, nobody can type as it stands.
var command = regexp.MustCompile("^`((?:kubectl|git|flux|helm|etcdutl|sops) [^`<]+)`$")

// inText returns an error if the text of a page has a command that none of its
// blocks has.
func inText(page *markdown.Page, steps []Step) error {
	for span := range strings.Lines(markdown.Code(page.Prose)) {
		match := command.FindStringSubmatch(strings.TrimSpace(span))
		if len(match) > 1 && !slices.ContainsFunc(steps, func(s Step) bool { return strings.Contains(s.Script, match[1]) }) {
			return fmt.Errorf("%s: %s stands in the text, and no block of the page runs it", page.Path, match[0])
		}
	}
	return nil
}
