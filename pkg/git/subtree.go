// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import "context"

// Walk calls visit for every path below a directory, as Commit.Walk does for
// the whole commit.
func (e Entry) Walk(ctx context.Context, visit func(Entry) error) error {
	w := walker{objects: e.objects, visit: visit}
	return w.dir(ctx, e.Path+"/", e.hash)
}
