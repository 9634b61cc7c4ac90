// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// Balance are the figures of one class in a quota, with all below it.
type Balance struct {
	// Hard is the quota's own limit, nil without one.
	Hard *gpu.Amount
	// Used is what counted pods hold, Reserved what was promised beyond.
	Used, Reserved gpu.Amount
	// Available is what is left here and in every quota above that enforces or
	// warns; nil if none of them has a limit.
	Available *gpu.Amount
}

// Balance returns the figures of a quota for each class that is in use or
// limited there or above. It is empty if there is no such quota.
func (r *Record) Balance(quota string) map[string]Balance {
	return open(r).balance(quota)
}

// Balances is Balance of every quota.
func (r *Record) Balances() map[string]map[string]Balance {
	b := open(r)
	all := make(map[string]map[string]Balance, len(r.Quotas))
	for quota := range r.Quotas {
		all[quota] = b.balance(quota)
	}
	return all
}

func (b *books) balance(quota string) map[string]Balance {
	result := map[string]Balance{}
	path := b.record.Path(quota)
	if len(path) == 0 {
		return result
	}
	used, reserved := b.used[quota], b.reserved(quota)
	for device := range used.Add(reserved) {
		result[device] = Balance{Used: used[device], Reserved: reserved[device]}
	}
	for _, at := range path {
		q := b.record.Quotas[at]
		charge := b.charge(at)
		for device, hard := range q.Hard {
			figures := result[device]
			if at == quota {
				figures.Hard = &hard
			}
			left := hard.Sub(charge[device])
			if q.admission() != quotav1.Off && (figures.Available == nil || left.Cmp(*figures.Available) < 0) {
				figures.Available = &left
			}
			result[device] = figures
		}
	}
	return result
}
