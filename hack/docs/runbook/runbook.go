// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package runbook knows the pages for those who operate Weir. Its tests run
// every command on them: most against a cluster in which the controllers are
// processes, and those that need a container, which a page marks, against one
// in which they are pods.
package runbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

// InPods is the mark of a block whose commands need controllers that run as
// pods: for their logs, their ports, or a program in their images.
const InPods = "pods"

// Pages are run in this order, on one cluster that they share.
func Pages() []string {
	return []string{"docs/operations.md", "docs/security.md", "docs/upgrade.md", "docs/disaster-recovery.md"}
}

// A Step is a block of commands.
type Step struct {
	Page, Section string
	Script        string
	// Pods says that it needs controllers in pods.
	Pods bool
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
		case b.Mark != "" && b.Mark != InPods:
			return nil, fmt.Errorf("%s: nothing runs blocks with the mark %q", page.Path, b.Mark)
		default:
			steps = append(steps, Step{Page: page.Path, Section: b.Section, Script: strings.TrimSpace(b.Text), Pods: b.Mark == InPods})
		}
	}
	return steps, inText(page, steps)
}

// command is what a code span holds if it is something to type.
var command = regexp.MustCompile("^`((?:kubectl|git|flux|helm|etcdutl|sops) [^`]+)`$")

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
