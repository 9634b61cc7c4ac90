// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// Path returns the quota and its ancestors up to the root, which is what a
// charge of the quota is charged to. It is empty if there is no such quota.
func (r *Record) Path(quota string) []string {
	var path []string
	for range quotav1.MaxDepth {
		q, ok := r.Quotas[quota]
		if !ok {
			break
		}
		path = append(path, quota)
		if q.Parent == "" {
			break
		}
		quota = q.Parent
	}
	return path
}

// Root is the quota without a parent, or "" if there is none.
func (r *Record) Root() string {
	for name, q := range r.Quotas {
		if q.Parent == "" {
			return name
		}
	}
	return ""
}

// home is the path that something is charged to that was promised to a quota:
// that of the root if the quota is no more, so that no promise goes uncharged.
func (r *Record) home(quota string) []string {
	if path := r.Path(quota); len(path) > 0 {
		return path
	}
	return r.Path(r.Root())
}
