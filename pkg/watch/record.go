// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/health"
)

// Record is what is kept of a live object: a few hundred bytes instead of the
// object. Nobody may change it.
type Record struct {
	// Namespace, Name and UID of the object.
	Namespace, Name string
	UID             types.UID
	// Owner is the applier that the object's labels name.
	Owner types.NamespacedName
	// Owned is the fingerprint of what is ours of it.
	Owned Owned
	// Health as of this version of the object.
	Health health.Result
	// Available is how many replicas serve, of kinds that count them.
	Available int64
	// Left is set while the object asks to be left alone.
	Left bool
	// Deleting is set once somebody has asked for its deletion.
	Deleting bool
}

// Labels are the names of the two labels that tell whose object it is.
type Labels struct {
	Name, Namespace string
}

// recorder turns live objects into records.
type recorder struct {
	labels   Labels
	managers Managers
	// leave is the label or annotation that asks to be left alone, with
	// the value "disabled".
	leave string
}

func (r *recorder) record(obj *unstructured.Unstructured) Record {
	labels := obj.GetLabels()
	available, _, _ := unstructured.NestedInt64(obj.Object, "status", "availableReplicas")
	return Record{
		// The strings are cloned: they would keep the whole response of
		// the API server in memory.
		Namespace: strings.Clone(obj.GetNamespace()),
		Name:      strings.Clone(obj.GetName()),
		UID:       types.UID(strings.Clone(string(obj.GetUID()))),
		Owner: types.NamespacedName{
			Namespace: strings.Clone(labels[r.labels.Namespace]),
			Name:      strings.Clone(labels[r.labels.Name]),
		},
		Owned:     Fingerprint(obj, r.managers),
		Health:    health.Of(obj),
		Available: available,
		Left:      r.leave != "" && Disabled(obj, r.leave),
		Deleting:  obj.GetDeletionTimestamp() != nil,
	}
}

// Disabled reports whether obj has the given label or annotation with the
// value "disabled", in any case of letters.
func Disabled(obj metav1.Object, key string) bool {
	return slices.ContainsFunc([]string{obj.GetLabels()[key], obj.GetAnnotations()[key]}, func(value string) bool {
		return strings.EqualFold(value, "disabled")
	})
}
