// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWentBack(t *testing.T) {
	for name, tc := range map[string]struct {
		before, now string
		want        bool
	}{
		"first":              {"", "5", false},
		"same":               {"5", "5", false},
		"later":              {"5", "6", false},
		"earlier":            {"5", "4", true},
		"later, more digits": {"9", "10", false},
		"earlier, and fewer": {"10", "9", true},
		"not a number":       {"5", "x", false},
		"none":               {"5", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wentBack(tc.before, tc.now); got != tc.want {
				t.Errorf("wentBack(%q, %q) = %t, want %t", tc.before, tc.now, got, tc.want)
			}
		})
	}
}

func TestClock(t *testing.T) {
	// An empty version stands for a server that does not answer.
	for name, tc := range map[string]struct {
		versions []string
		want     string
	}{
		"goes on":                    {[]string{"5", "5", "9"}, ""},
		"goes back":                  {[]string{"5", "3"}, "restored from a backup"},
		"goes back while it is away": {[]string{"5", "", "", "3"}, "restored from a backup"},
		"away from the start":        {[]string{"", "", "7"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				next := 0
				c := &clock{list: func(context.Context) (*coordinationv1.LeaseList, error) {
					version := tc.versions[next]
					if next++; next == len(tc.versions) {
						cancel()
					}
					if version == "" {
						return nil, errors.New("away")
					}
					return &coordinationv1.LeaseList{ListMeta: metav1.ListMeta{ResourceVersion: version}}, nil
				}}
				err := c.Start(ctx)
				if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %q", err, tc.want)
				}
			})
		})
	}
}

func TestClockRunsOnStandbysToo(t *testing.T) {
	if (&clock{}).NeedLeaderElection() {
		t.Error("a standby would keep its caches")
	}
}
