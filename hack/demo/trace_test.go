// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIngredients(t *testing.T) {
	t.Parallel()
	got, err := ingredients("../../examples/llm-platform", "infra/dev/training")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{"infra/base/training", "infra/dev/release/images", "infra/dev/release/model", "infra/dev/training"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ingredients (-want +got):\n%s", diff)
	}
	if _, err := ingredients("../../examples/llm-platform", "infra/nowhere"); err == nil {
		t.Error("no error for a directory that is not there")
	}
}
