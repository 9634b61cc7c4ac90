// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// Restored passes objects whose resource version is lower than before: the
// cluster was restored from a backup, and with the object its status is an old
// one, though its generation may be the same.
func Restored() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		order, err := resourceversion.CompareResourceVersion(e.ObjectNew.GetResourceVersion(), e.ObjectOld.GetResourceVersion())
		return err == nil && order < 0
	}}
}
