// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A later leader has a higher term, also after somebody has deleted the lease.
func TestTermsGrow(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	lease := func(made time.Time, transitions *int32) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made)},
			Spec:       coordinationv1.LeaseSpec{LeaseTransitions: transitions},
		}
	}
	leases := map[string]struct{ earlier, later *coordinationv1.Lease }{
		"the first change of hands": {lease(made, nil), lease(made, new(int32(1)))},
		"another one":               {lease(made, new(int32(41))), lease(made, new(int32(42)))},
		"a lease made anew":         {lease(made, new(int32(42))), lease(made.Add(time.Second), nil)},
		"made anew after very many": {lease(made, new(int32(1<<31-1))), lease(made.Add(time.Second), new(int32(0)))},
	}
	for name, tc := range leases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if earlier, later := termOf(tc.earlier), termOf(tc.later); earlier >= later || earlier <= 0 {
				t.Errorf("term %d came before term %d", earlier, later)
			}
		})
	}
}
