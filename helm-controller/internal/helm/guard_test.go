// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"log"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
)

// TestGuard has the SDK warn of values. It changes the log of the process, so it
// does not run beside others.
func TestGuard(t *testing.T) {
	before := log.Writer()
	defer log.SetOutput(before)
	var out bytes.Buffer
	log.SetOutput(&out)
	Guard()
	Guard()
	chartutil.CoalesceTables(map[string]any{"login": "hunter2\nhunter2"}, map[string]any{"login": map[string]any{"user": "ada"}})
	chartutil.CoalesceTables(map[string]any{"login": map[string]any{"user": "ada"}}, map[string]any{"login": "hunter2"})
	if got := out.String(); strings.Contains(got, "hunter2") || strings.Count(got, "login") != 2 {
		t.Errorf("the log is %q", got)
	}
}
