// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"strings"
	"testing"

	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
)

// However long the message of a commit is, the pull request names its images,
// or nobody could tell later which ones were refused by closing it.
func TestBodyNamesTheImages(t *testing.T) {
	t.Parallel()
	text := body(&plan.Result{Message: strings.Repeat("é", 100_000), Changes: []plan.Change{{Image: "model", Old: "1.0.0", New: "host/model:1.1.0"}}})
	if len(text) > 2*maxQuote || !strings.Contains(text, line("model", "host/model:1.1.0")) {
		t.Errorf("%d bytes, which end in %q", len(text), text[len(text)-80:])
	}
}
