// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"testing"

	"github.com/weir-gitops/weir/pkg/gpu"
)

func TestRefusal(t *testing.T) {
	unknown := gpu.Estimate{Unknown: "no rule"}
	change := Change{Objects: []Object{
		{Key: "apps/Deployment/ns/b", After: unknown},
		{Key: "apps/Deployment/ns/a", After: unknown},
		{Key: "apps/Deployment/ns/same", Before: unknown, After: unknown},
	}}
	const refused = "revision 1 is not applied: no room; it adds to Deployment/ns/a, Deployment/ns/b"
	if got := Refusal("HelmRelease", "1", "no room", change, 2); got != refused {
		t.Errorf("got %q", got)
	}
	if got, want := Refusal("HelmRelease", "1", "no room", change, 3), refused+"; in a HelmRelease of their own these would not hold up the rest"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Listed([]string{"1", "2", "3", "4", "5", "6", "7"}); got != "1, 2, 3, 4, 5, and 2 more" {
		t.Errorf("got %q", got)
	}
}
