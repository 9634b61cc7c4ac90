// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"

	"github.com/weir-gitops/weir/helm-controller/internal/helm"
)

func TestShare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		whole, want int64
		enough      bool
	}{
		"as it ships":  {1536 << 20, 512 << 20, true},
		"just enough":  {4 << 30, 3 << 30, true},
		"too little":   {1 << 30, 256 << 20, false},
		"far too much": {64 << 30, 63 << 30, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, enough := share(c.whole, helm.DefaultLimits()); got != c.want || enough != c.enough {
				t.Errorf("%d, %t", got, enough)
			}
		})
	}
}

func TestRenderIsNotForPeople(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"much"}, {"1"}, {"1", "2"}} {
		if err := Render(args); err == nil {
			t.Errorf("%q renders", args)
		}
	}
}

func TestLimitsThatCannotWork(t *testing.T) {
	t.Parallel()
	if err := helm.DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
	if err := (helm.Limits{}).Validate(); err == nil {
		t.Error("no limits are limits")
	}
}
